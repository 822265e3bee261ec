#include "services/matching/domain/choice.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "services/matching/domain/candidate_order.h"

namespace handrail::matching {
namespace {

// Nobody has anything between them.
class NoHistory final : public PairHistory {
 public:
  PairFacts Between(const MemberId&, const MemberId&) const override { return {}; }
  bool HasAny(const MemberId&) const override { return false; }
};

const PairHistory& HistoryOf(const MemberId& member, const PairHistory& history) {
  static const NoHistory* const none = new NoHistory;
  return history.HasAny(member) ? history : *none;
}

}  // namespace

absl::Status ChoiceOptions::Validate() const {
  std::vector<std::string> faults;
  if (!(aging >= 0 && aging <= 100)) faults.push_back("aging is not 0..100");
  if (!(balance >= 0 && balance <= 1)) faults.push_back("balance is not 0..1");
  if (effort < 1 || effort > 1'000'000'000) faults.push_back("effort is not 1..1,000,000,000");
  if (faults.empty()) return absl::OkStatus();
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message("choice: " + absl::StrJoin(faults, "; "));
}

void SetTicket(const Ticket& ticket, const ProgramPolicies& policies, TicketRecord& record) {
  record.newcomer.relationship_type = ticket.relationship_type;
  record.newcomer.importance = ticket.importance;
  record.ticket = ticket.id;
  record.enqueue_micros = absl::ToUnixMicros(ticket.create_time);
  record.target_micros = absl::ToInt64Microseconds(
      absl::Hours(policies.Of(ticket.relationship_type).target_wait_hours));
  record.boost = std::clamp(ticket.boost, 0.0, kMaxBoost);
}

TicketRecord MakeTicketRecord(const Ticket& ticket, const MemberTraits& newcomer,
                              const ProgramPolicies& policies, absl::Time week_start) {
  TicketRecord record;
  record.newcomer = MakeNewcomerRecord(newcomer, ticket.philosophy, ticket.relationship_type,
                                       policies, week_start);
  SetTicket(ticket, policies, record);
  return record;
}

Chooser::Chooser(const RuleSet& rules, const Scorer& scorer, const ChoiceOptions& options)
    : rules_(rules), scorer_(scorer), options_(options) {}

double Chooser::WaitWeight(const TicketRecord& ticket, int64_t now_micros) const {
  const int64_t wait = std::max<int64_t>(0, now_micros - ticket.enqueue_micros);
  return options_.aging * static_cast<double>(wait) / static_cast<double>(ticket.target_micros) +
         ticket.boost;
}

double Chooser::Weight(const TicketRecord& ticket, const SponsorRecord& sponsor, double score,
                       absl::Time now) const {
  return score / 100 + WaitWeight(ticket, absl::ToUnixMicros(now)) -
         options_.balance * sponsor.balance_load;
}

Candidate Chooser::MakeCandidate(const TicketRecord& ticket, const SponsorRecord& sponsor,
                                 absl::Time now) const {
  return ScoredCandidate(ticket, sponsor, scorer_.Score(ticket.newcomer, sponsor, now),
                         absl::ToUnixMicros(now));
}

Candidate Chooser::ScoredCandidate(const TicketRecord& ticket, const SponsorRecord& sponsor,
                                   double score, int64_t now_micros) const {
  const double weight =
      score / 100 + WaitWeight(ticket, now_micros) - options_.balance * sponsor.balance_load;
  return {&ticket, &sponsor, score, std::llround(weight * 1e9)};
}

Choice Chooser::BestSponsorsFor(const TicketRecord& ticket,
                                absl::Span<const SponsorRecord> sponsors,
                                const PairHistory& history, absl::Time now, size_t limit) const {
  Choice choice;
  Best best(limit, SponsorBefore);
  const PairHistory& facts = HistoryOf(ticket.newcomer.member, history);
  for (const SponsorRecord& sponsor : sponsors) {
    if (!sponsor.IsLive()) continue;
    const std::optional<Rule> broken = rules_.FirstBroken(ticket.newcomer, sponsor, facts, now);
    choice.removed.Add(broken);
    if (!broken) best.Add(MakeCandidate(ticket, sponsor, now));
  }
  choice.candidates = std::move(best).Take();
  return choice;
}

Choice Chooser::BestTicketsFor(const SponsorRecord& sponsor, absl::Span<const TicketRecord> tickets,
                               const PairHistory& history, absl::Time now, size_t limit) const {
  Choice choice;
  Best best(limit, TicketBefore);
  Best longest(1, WaitsLonger);
  const PairHistory& facts = HistoryOf(sponsor.member, history);
  for (const TicketRecord& ticket : tickets) {
    if (!ticket.IsLive()) continue;
    const std::optional<Rule> broken = rules_.FirstBroken(ticket.newcomer, sponsor, facts, now);
    choice.removed.Add(broken);
    if (broken) continue;
    const Candidate candidate = MakeCandidate(ticket, sponsor, now);
    best.Add(candidate);
    longest.Add(candidate);
  }
  choice.candidates = std::move(best).Take();
  for (const Candidate& waited : std::move(longest).Take()) {
    const bool listed = std::any_of(choice.candidates.begin(), choice.candidates.end(),
                                    [&](const Candidate& c) { return c.ticket == waited.ticket; });
    if (!listed && choice.candidates.size() > 1) choice.candidates.back() = waited;
  }
  return choice;
}

}  // namespace handrail::matching
