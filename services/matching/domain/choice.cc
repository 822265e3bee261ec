#include "services/matching/domain/choice.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>

#include "absl/strings/str_join.h"
#include "common/base/status.h"

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

uint64_t TieHash(const Candidate& candidate) {
  return StableHash(candidate.sponsor->member.Bytes(),
                    StableHash(candidate.ticket->ticket.Bytes(), 0));
}

// Which of two sponsors for one ticket comes first. Total: two records of one person do not occur.
bool SponsorBefore(const Candidate& a, const Candidate& b) {
  if (a.weight_billionths != b.weight_billionths) return a.weight_billionths > b.weight_billionths;
  if (a.sponsor->last_offer_micros != b.sponsor->last_offer_micros) {
    return a.sponsor->last_offer_micros < b.sponsor->last_offer_micros;
  }
  const auto key = [](const Candidate& c) { return std::tuple(TieHash(c), c.sponsor->member); };
  return key(a) < key(b);
}

bool WaitsLonger(const Candidate& a, const Candidate& b) {
  if (a.ticket->enqueue_micros != b.ticket->enqueue_micros) {
    return a.ticket->enqueue_micros < b.ticket->enqueue_micros;
  }
  const auto key = [](const Candidate& c) { return std::tuple(TieHash(c), c.ticket->ticket); };
  return key(a) < key(b);
}

bool TicketBefore(const Candidate& a, const Candidate& b) {
  if (a.weight_billionths != b.weight_billionths) return a.weight_billionths > b.weight_billionths;
  return WaitsLonger(a, b);
}

// The `limit` best of what is added, sorted.
template <typename Before>
class Best {
 public:
  Best(size_t limit, Before before)
      : limit_(std::clamp<size_t>(limit, 1, Chooser::kMaxCandidates)), before_(before) {
    kept_.reserve(limit_ + 1);
  }

  void Add(const Candidate& candidate) {
    if (kept_.size() == limit_ && !before_(candidate, kept_.back())) return;
    kept_.insert(std::upper_bound(kept_.begin(), kept_.end(), candidate, before_), candidate);
    if (kept_.size() > limit_) kept_.pop_back();
  }
  std::vector<Candidate> Take() && { return std::move(kept_); }

 private:
  size_t limit_;
  Before before_;
  std::vector<Candidate> kept_;
};

}  // namespace

absl::Status ChoiceOptions::Validate() const {
  std::vector<std::string> faults;
  if (!(aging >= 0 && aging <= 100)) faults.push_back("aging is not 0..100");
  if (!(balance >= 0 && balance <= 1)) faults.push_back("balance is not 0..1");
  if (faults.empty()) return absl::OkStatus();
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message("choice: " + absl::StrJoin(faults, "; "));
}

TicketRecord MakeTicketRecord(const Ticket& ticket, const MemberTraits& newcomer,
                              const ProgramPolicies& policies, absl::Time week_start) {
  TicketRecord record;
  record.newcomer = MakeNewcomerRecord(newcomer, ticket.philosophy, ticket.relationship_type,
                                       policies, week_start);
  record.newcomer.importance = ticket.importance;
  record.ticket = ticket.id;
  record.enqueue_micros = absl::ToUnixMicros(ticket.create_time);
  record.target_micros = absl::ToInt64Microseconds(
      absl::Hours(policies.Of(ticket.relationship_type).target_wait_hours));
  record.boost = std::clamp(ticket.boost, 0.0, kMaxBoost);
  return record;
}

Chooser::Chooser(const RuleSet& rules, const Scorer& scorer, const ChoiceOptions& options)
    : rules_(rules), scorer_(scorer), options_(options) {}

double Chooser::Weight(const TicketRecord& ticket, const SponsorRecord& sponsor, double score,
                       absl::Time now) const {
  const int64_t wait = std::max<int64_t>(0, absl::ToUnixMicros(now) - ticket.enqueue_micros);
  return score / 100 +
         options_.aging * static_cast<double>(wait) / static_cast<double>(ticket.target_micros) +
         ticket.boost - options_.balance * sponsor.balance_load;
}

Candidate Chooser::MakeCandidate(const TicketRecord& ticket, const SponsorRecord& sponsor,
                                 absl::Time now) const {
  const double score = scorer_.Score(ticket.newcomer, sponsor, now);
  return {&ticket, &sponsor, score, std::llround(Weight(ticket, sponsor, score, now) * 1e9)};
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
