#include "services/matching/domain/operator_desk.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

// Code and reason; no message, which may tell more.
std::string OutcomeText(const absl::Status& status) {
  if (status.ok()) return "OK";
  return absl::StrCat(absl::StatusCodeToString(status.code()), " ", ReasonOf(status));
}

bool IsIn(const PoolKey& pool, const SponsorTraits& sponsor) {
  const std::vector<PoolKey> pools = PoolsForSponsor(sponsor);
  return std::find(pools.begin(), pools.end(), pool) != pools.end();
}

}  // namespace

absl::Status OperatorDesk::Read(const Call& call, absl::string_view subject,
                                absl::FunctionRef<absl::StatusOr<std::string>()> read) {
  const absl::StatusOr<std::string> detail = read();
  RETURN_IF_ERROR(operators_.Record(call, clock_.Now(), subject, OutcomeText(detail.status()),
                                    detail.ok() ? absl::string_view(*detail) : ""));
  return detail.status();
}

absl::Status OperatorDesk::Written(const Call& call, absl::string_view subject,
                                   const absl::Status& outcome) {
  if (outcome.ok()) return outcome;
  RETURN_IF_ERROR(operators_.Record(call, clock_.Now(), subject, OutcomeText(outcome), ""));
  return outcome;
}

absl::StatusOr<std::vector<MemberCache::Member>> OperatorDesk::MembersOf(
    absl::Time deadline, absl::Span<const SponsorSeats> seats) {
  std::vector<MemberCache::Member> members;
  std::vector<MemberId> missing;
  for (const SponsorSeats& sponsor : seats) {
    const MemberId& id = sponsor.availability.sponsor;
    MemberCache::Member held = members_.Find(id);
    if (held == nullptr || held->version < sponsor.member_version) {
      held = nullptr;
      missing.push_back(id);
    }
    members.push_back(std::move(held));
  }
  if (missing.empty()) return members;
  ASSIGN_OR_RETURN(std::vector<MemberTraits> loaded, ledger_.LoadMembers(deadline, missing));
  absl::flat_hash_map<MemberId, MemberCache::Member> by_id;
  for (MemberTraits& member : loaded) {
    const MemberId id = member.member;
    by_id[id] = std::make_shared<const MemberTraits>(std::move(member));
  }
  for (size_t i = 0; i < members.size(); ++i) {
    if (members[i] == nullptr) members[i] = by_id[seats[i].availability.sponsor];
  }
  return members;
}

absl::Status OperatorDesk::TallySponsors(const Call& call, absl::Time now,
                                         const MemberTraits& newcomer, TicketReport& report) {
  const TicketChange& ticket = report.ticket.ticket;
  const Philosophy program = ticket.pool.philosophy;
  const absl::Time week = UtcWeekStart(now);
  const NewcomerRecord asks =
      MakeNewcomerRecord(newcomer, program, ticket.relationship_type, policies_, week);
  ASSIGN_OR_RETURN(const std::vector<Ledger::PairRecord> pairs,
                   ledger_.LoadPairFacts(call.deadline, now, {ticket.newcomer}));
  absl::flat_hash_map<MemberId, PairFacts> facts;
  for (const Ledger::PairRecord& pair : pairs) facts[pair.sponsor].Add(pair.facts);

  MemberId after;
  while (true) {
    if (clock_.Now() + options_.reserve > call.deadline) {
      report.situation.complete = false;
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const std::vector<SponsorSeats> seats,
                     ledger_.ScanSponsors(call.deadline, options_.chunk, after));
    if (seats.empty()) return absl::OkStatus();
    after = seats.back().availability.sponsor;
    ASSIGN_OR_RETURN(const std::vector<MemberCache::Member> members,
                     MembersOf(call.deadline, seats));
    for (size_t i = 0; i < seats.size(); ++i) {
      ++report.sponsors;
      const MemberCache::Member& member = members[i];
      if (member == nullptr || !member->sponsor.has_value()) continue;
      if (!IsIn(ticket.pool, *member->sponsor)) continue;
      SponsorRecord gives = MakeSponsorRecord(*member, program, policies_, week);
      SetSeats(seats[i].availability, gives);
      const auto between = facts.find(member->member);
      Tally(rules_, asks, gives, between == facts.end() ? PairFacts() : between->second, now,
            report.tally);
    }
  }
}

absl::StatusOr<TicketReport> OperatorDesk::Explain(const Call& call, const TicketId& id) {
  const absl::Time now = clock_.Now();
  TicketReport report;
  ASSIGN_OR_RETURN(report.ticket, operators_.FindOpenTicket(call.deadline, id));
  const TicketChange& ticket = report.ticket.ticket;
  ASSIGN_OR_RETURN(const std::optional<MemberTraits> newcomer,
                   ledger_.LoadMember(call.deadline, ticket.newcomer));
  TicketSituation& situation = report.situation;
  situation.state = ticket.state;
  situation.newcomer_known = newcomer.has_value() && newcomer->newcomer.has_value();
  if (situation.newcomer_known) {
    RETURN_IF_ERROR(TallySponsors(call, now, *newcomer, report));
  }
  ASSIGN_OR_RETURN(const int64_t open_offers, operators_.CountOpenOffers(call.deadline, id));
  situation.open_offers = static_cast<int>(open_offers);
  ASSIGN_OR_RETURN(situation.waiting_ahead,
                   ledger_.CountWaitingBefore(call.deadline, ticket.pool, ticket.create_time,
                                              options_.waiting_ahead_limit));
  situation.hint_overdue = report.ticket.hint_due != absl::InfinitePast() &&
                           report.ticket.hint_due < now - options_.hint_patience;
  ASSIGN_OR_RETURN(const std::vector<PoolDrain> drains, operators_.ListDrains(call.deadline, now));
  for (const PoolDrain& drain : drains) situation.pool_drained |= drain.pool == ticket.pool;
  return report;
}

}  // namespace handrail::matching
