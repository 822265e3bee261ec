#include "services/matching/domain/batch_offers.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "common/base/status.h"
#include "services/matching/domain/batch_market.h"

namespace handrail::matching {
namespace {

// What everybody of some pairs is like now.
struct People {
  absl::flat_hash_map<TicketId, TicketChange> tickets;
  absl::flat_hash_map<MemberId, MemberTraits> members;
  absl::flat_hash_map<MemberId, SponsorSeats> seats;
  absl::flat_hash_map<std::pair<MemberId, MemberId>, PairFacts> facts;
};

absl::StatusOr<People> ReadPeople(Ledger& ledger, absl::Time deadline, absl::Time now,
                                  absl::Span<const BatchOffer> offers) {
  std::vector<TicketId> ticket_ids;
  std::vector<MemberId> sponsors;
  for (const BatchOffer& offer : offers) {
    ticket_ids.push_back(offer.ticket);
    sponsors.push_back(offer.sponsor);
  }
  ASSIGN_OR_RETURN(const std::vector<TicketChange> tickets,
                   ledger.LoadTickets(deadline, ticket_ids));
  People people;
  std::vector<MemberId> newcomers;
  for (const TicketChange& ticket : tickets) {
    people.tickets[ticket.ticket] = ticket;
    newcomers.push_back(ticket.newcomer);
  }
  if (newcomers.empty()) return people;
  ASSIGN_OR_RETURN(const std::vector<SponsorSeats> seats, ledger.LoadSponsors(deadline, sponsors));
  for (const SponsorSeats& one : seats) people.seats[one.availability.sponsor] = one;
  std::vector<MemberId> everybody = newcomers;
  everybody.insert(everybody.end(), sponsors.begin(), sponsors.end());
  ASSIGN_OR_RETURN(std::vector<MemberTraits> members, ledger.LoadMembers(deadline, everybody));
  for (MemberTraits& member : members) {
    const MemberId id = member.member;
    people.members.insert_or_assign(id, std::move(member));
  }
  ASSIGN_OR_RETURN(const std::vector<Ledger::PairRecord> pairs,
                   ledger.LoadPairFacts(deadline, now, newcomers));
  for (const Ledger::PairRecord& pair : pairs) {
    people.facts[std::pair(pair.newcomer, pair.sponsor)].Add(pair.facts);
  }
  return people;
}

// Everybody is as they are: the pair cannot be, and another call would not change that.
bool IsRefusal(const absl::Status& status) {
  return status.code() == absl::StatusCode::kFailedPrecondition ||
         HasReason(status, reason::kEtagMismatch);
}

}  // namespace

absl::StatusOr<int64_t> BatchOffers::MakeAll(absl::Time deadline, const PoolKey& pool,
                                             absl::Span<const BatchOffer> offers) {
  std::vector<OfferId> ids;
  for (const BatchOffer& offer : offers) ids.push_back(offer.offer);
  ASSIGN_OR_RETURN(const std::vector<OfferId> before, runs_.FindMade(deadline, ids));
  const absl::flat_hash_set<OfferId> made(before.begin(), before.end());
  std::vector<BatchOffer> left;
  for (const BatchOffer& offer : offers) {
    if (!made.contains(offer.offer)) left.push_back(offer);
  }
  // What goes wrong for some does not keep the others waiting.
  absl::Status failed;
  for (size_t at = 0; at < left.size(); at += options_.at_once) {
    if (clock_.Now() >= deadline) {
      return Error(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded)
          .Message("not all offers were made in time; repeat the call with its request id");
    }
    const absl::Status some =
        MakeSome(deadline, pool, absl::MakeConstSpan(left).subspan(at, options_.at_once));
    if (failed.ok()) failed = some;
  }
  RETURN_IF_ERROR(failed);
  // Counted in the ledger: another call of the same request may have made some of them.
  ASSIGN_OR_RETURN(const std::vector<OfferId> after, runs_.FindMade(deadline, ids));
  return static_cast<int64_t>(after.size());
}

absl::Status BatchOffers::MakeSome(absl::Time deadline, const PoolKey& pool,
                                   absl::Span<const BatchOffer> offers) {
  ASSIGN_OR_RETURN(std::vector<Attempt> attempts, Prepare(deadline, pool, offers));
  attempts = Claimed(deadline, pool, std::move(attempts));
  if (attempts.empty()) return absl::OkStatus();
  Decide(deadline, attempts);
  absl::Status failed;
  for (const Attempt& attempt : attempts) {
    if (attempt.outcome.ok()) {
      sink_(attempt.outcome->effects);
    } else if (!IsRefusal(attempt.outcome.status())) {
      failed = attempt.outcome.status();
    }
  }
  Settle(deadline, pool, attempts);
  return failed;
}

absl::StatusOr<std::vector<BatchOffers::Attempt>> BatchOffers::Prepare(
    absl::Time deadline, const PoolKey& pool, absl::Span<const BatchOffer> offers) {
  const absl::Time now = clock_.Now();
  const absl::Time week = UtcWeekStart(now);
  ASSIGN_OR_RETURN(const People people, ReadPeople(ledger_, deadline, now, offers));
  std::vector<Attempt> attempts;
  for (const BatchOffer& offer : offers) {
    const auto found = people.tickets.find(offer.ticket);
    const auto seats = people.seats.find(offer.sponsor);
    const auto sponsor = people.members.find(offer.sponsor);
    if (found == people.tickets.end() || seats == people.seats.end() ||
        sponsor == people.members.end() || !sponsor->second.sponsor.has_value()) {
      continue;
    }
    const TicketChange& ticket = found->second;
    const auto newcomer = people.members.find(ticket.newcomer);
    if (ticket.state != TicketState::kWaiting || ticket.choosing || ticket.pool != pool ||
        newcomer == people.members.end() || !newcomer->second.newcomer.has_value()) {
      continue;
    }
    const TicketRecord asks = MakeTicketRecord(ticket, newcomer->second, policies_, week);
    SponsorRecord gives = MakeSponsorRecord(sponsor->second, pool.philosophy, policies_, week);
    SetSeats(seats->second.availability, gives);
    const auto between = people.facts.find(std::pair(ticket.newcomer, offer.sponsor));
    const PairFacts facts = between == people.facts.end() ? PairFacts() : between->second;
    if (chooser_.rules().FirstBroken(asks.newcomer, gives, facts, now)) continue;

    Attempt attempt;
    Proposal& proposal = attempt.proposal;
    proposal.offer = offer.offer;
    proposal.ticket = ticket.ticket;
    proposal.ticket_version = ticket.version;
    proposal.newcomer = ticket.newcomer;
    proposal.newcomer_version = newcomer->second.version;
    proposal.sponsor = offer.sponsor;
    proposal.sponsor_version = sponsor->second.version;
    proposal.expire_time =
        now + (options_.response_deadline > absl::ZeroDuration()
                   ? options_.response_deadline
                   : policies_.ResponseDeadline(pool.philosophy, ticket.relationship_type));
    proposal.parallel_limit = policies_.Of(ticket.relationship_type).parallel_offers;
    proposal.explanation = chooser_.scorer().Explain(asks.newcomer, gives, now);
    attempt.seats_version = seats->second.availability.version;
    attempts.push_back(std::move(attempt));
  }
  return attempts;
}

std::vector<BatchOffers::Attempt> BatchOffers::Claimed(absl::Time deadline, const PoolKey& pool,
                                                       std::vector<Attempt> attempts) {
  std::vector<Attempt> claimed;
  // Whatever the queue had not heard of yet it knows after the first time.
  for (int round = 0; round < 2 && !attempts.empty(); ++round) {
    std::vector<Claim> claims;
    claims.reserve(attempts.size());
    for (const Attempt& attempt : attempts) {
      claims.push_back({attempt.proposal.ticket, attempt.proposal.ticket_version,
                        attempt.proposal.sponsor, attempt.seats_version});
    }
    const auto results = queue_.TakeClaims(QueueDeadline(), pool, clock_.Now(), claims);
    std::vector<Attempt> refused;
    for (size_t i = 0; i < attempts.size(); ++i) {
      // While the queue is down SQL decides alone.
      const bool taken = !results.ok() || (*results)[i] == ClaimResult::kClaimed;
      (taken ? claimed : refused).push_back(std::move(attempts[i]));
    }
    if (!refused.empty()) Settle(deadline, pool, refused);
    attempts = std::move(refused);
  }
  return claimed;
}

void BatchOffers::Decide(absl::Time deadline, std::vector<Attempt>& attempts) {
  std::vector<Proposal> proposals;
  proposals.reserve(attempts.size());
  for (const Attempt& attempt : attempts) proposals.push_back(attempt.proposal);
  auto outcomes = ledger_.MakeOffers(deadline, clock_.Now(), proposals);
  for (size_t i = 0; i < attempts.size(); ++i) attempts[i].outcome = std::move(outcomes[i]);
}

void BatchOffers::Settle(absl::Time deadline, const PoolKey& pool,
                         absl::Span<const Attempt> attempts) {
  std::vector<TicketId> ticket_ids;
  std::vector<MemberId> sponsor_ids;
  for (const Attempt& attempt : attempts) {
    ticket_ids.push_back(attempt.proposal.ticket);
    sponsor_ids.push_back(attempt.proposal.sponsor);
  }
  const auto tickets = ledger_.LoadTickets(deadline, ticket_ids);
  const auto sponsors = ledger_.LoadSponsors(deadline, sponsor_ids);
  if (!tickets.ok() || !sponsors.ok()) return;
  absl::flat_hash_map<TicketId, QueueTicket> ticket_of;
  absl::flat_hash_map<MemberId, QueueSponsor> sponsor_of;
  for (const TicketChange& ticket : *tickets) ticket_of[ticket.ticket] = QueueTicketOf(ticket);
  for (const SponsorSeats& sponsor : *sponsors) {
    sponsor_of[sponsor.availability.sponsor] = QueueSponsorOf(sponsor);
  }
  std::vector<Settlement> settlements;
  for (const Attempt& attempt : attempts) {
    const auto ticket = ticket_of.find(attempt.proposal.ticket);
    const auto sponsor = sponsor_of.find(attempt.proposal.sponsor);
    if (ticket == ticket_of.end() || sponsor == sponsor_of.end()) continue;
    settlements.push_back({ticket->second, sponsor->second});
  }
  queue_.Settle(QueueDeadline(), pool, settlements, Announce::kNo).IgnoreError();
}

}  // namespace handrail::matching
