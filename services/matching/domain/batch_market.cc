#include "services/matching/domain/batch_market.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

bool HasFreeSeat(const SponsorSeats& seats) {
  SponsorRecord record;
  SetSeats(seats.availability, record);
  return seats.may_be_offered && record.HasFreeSeat();
}

absl::Status TooLargeError(size_t limit) {
  return Error(absl::StatusCode::kFailedPrecondition, reason::kBatchTooLarge)
      .Message(
          absl::StrCat("more than ", limit,
                       " sponsors of this pool have a free seat, more than one batch takes; the "
                       "matcher gives them out by itself, once a pool that was drained is "
                       "resumed"))
      .Detail("limit", absl::StrCat(limit));
}

}  // namespace

TicketRecord MakeTicketRecord(const TicketChange& change, const MemberTraits& newcomer,
                              const ProgramPolicies& policies, absl::Time week_start) {
  return MakeTicketRecord(TicketOf(change), newcomer, policies, week_start);
}

absl::Status BatchMarket::Read(absl::Time deadline, std::vector<MemberId> sponsors) {
  std::sort(sponsors.begin(), sponsors.end());
  RETURN_IF_ERROR(ReadSponsors(deadline, sponsors));
  return ReadTickets(deadline);
}

absl::Status BatchMarket::ReadSponsors(absl::Time deadline, const std::vector<MemberId>& ids) {
  const size_t page = static_cast<size_t>(limits_.page);
  for (size_t at = 0; at < ids.size(); at += page) {
    const auto part = absl::MakeConstSpan(ids).subspan(at, page);
    ASSIGN_OR_RETURN(std::vector<SponsorSeats> seats, ledger_.LoadSponsors(deadline, part));
    std::erase_if(seats, [](const SponsorSeats& one) { return !HasFreeSeat(one); });
    RETURN_IF_ERROR(AddSponsors(deadline, seats));
    if (sponsors_.size() > limits_.sponsors) return TooLargeError(limits_.sponsors);
  }
  return absl::OkStatus();
}

absl::Status BatchMarket::AddSponsors(absl::Time deadline, absl::Span<const SponsorSeats> free) {
  absl::flat_hash_map<MemberId, const SponsorSeats*> seats_of;
  std::vector<MemberId> ids;
  for (const SponsorSeats& seats : free) {
    seats_of[seats.availability.sponsor] = &seats;
    ids.push_back(seats.availability.sponsor);
  }
  if (ids.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<MemberTraits> members, ledger_.LoadMembers(deadline, ids));
  for (const MemberTraits& member : members) {
    if (!member.sponsor.has_value()) continue;
    const std::vector<PoolKey> pools = PoolsForSponsor(*member.sponsor);
    if (std::find(pools.begin(), pools.end(), pool_) == pools.end()) continue;
    sponsors_.push_back(MakeSponsorRecord(member, pool_.philosophy, policies_, week_));
    SetSeats(seats_of.at(member.member)->availability, sponsors_.back());
  }
  return absl::OkStatus();
}

bool BatchMarket::IsFull() const {
  return looked_at_ >= limits_.looked_at ||
         planner_.ticket_count() >= static_cast<size_t>(limits_.tickets) ||
         planner_.pair_count() >= limits_.pairs;
}

absl::Status BatchMarket::ReadTickets(absl::Time deadline) {
  std::optional<PageStart> after;
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<TicketChange> page,
                     ledger_.LoadWaiting(deadline, pool_, limits_.page, after));
    RETURN_IF_ERROR(AddTickets(deadline, page));
    if (!complete_ || page.size() < static_cast<size_t>(limits_.page)) return absl::OkStatus();
    after = PageStart{page.back().create_time, page.back().ticket};
  }
}

absl::Status BatchMarket::AddTickets(absl::Time deadline, absl::Span<const TicketChange> tickets) {
  std::vector<MemberId> ids;
  for (const TicketChange& ticket : tickets) ids.push_back(ticket.newcomer);
  if (ids.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<MemberTraits> members, ledger_.LoadMembers(deadline, ids));
  ASSIGN_OR_RETURN(const std::vector<Ledger::PairRecord> pairs,
                   ledger_.LoadPairFacts(deadline, as_of_, ids));
  absl::flat_hash_map<MemberId, const MemberTraits*> member_of;
  for (const MemberTraits& member : members) member_of[member.member] = &member;
  Facts facts;
  for (const Ledger::PairRecord& pair : pairs) {
    facts[std::pair(pair.newcomer, pair.sponsor)].Add(pair.facts);
  }
  for (const TicketChange& ticket : tickets) {
    if (ticket.create_time > as_of_) continue;
    if (IsFull()) {
      complete_ = false;
      return absl::OkStatus();
    }
    ++looked_at_;
    const auto newcomer = member_of.find(ticket.newcomer);
    // Whoever chooses is put before those only whom they chose.
    if (ticket.choosing || newcomer == member_of.end()) continue;
    if (newcomer->second->newcomer.has_value()) AddTicket(ticket, *newcomer->second, facts);
  }
  return absl::OkStatus();
}

void BatchMarket::AddTicket(const TicketChange& ticket, const MemberTraits& newcomer,
                            const Facts& facts) {
  const TicketRecord record = MakeTicketRecord(ticket, newcomer, policies_, week_);
  const int64_t micros = absl::ToUnixMicros(as_of_);
  for (const SponsorRecord& sponsor : sponsors_) {
    const auto between = facts.find(std::pair(ticket.newcomer, sponsor.member));
    const PairFacts known = between == facts.end() ? PairFacts() : between->second;
    if (chooser_.rules().FirstBroken(record.newcomer, sponsor, known, as_of_)) continue;
    planner_.Add(chooser_.ScoredCandidate(
        record, sponsor, chooser_.scorer().Score(record.newcomer, sponsor, as_of_), micros));
  }
}

}  // namespace handrail::matching
