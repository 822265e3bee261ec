#include "services/matching/domain/chosen_offers.h"

#include <utility>

#include "common/base/log.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

constexpr size_t kWaitingLimit = 4096;
// Of one ticket in a row: everybody chosen, and a few changes in between.
constexpr int kAttempts = 2 * kMaxChosen;
constexpr int kSweepsAtOnce = 50;

}  // namespace

ChosenOffers::ChosenOffers(Ledger& ledger, ChoiceLedger& choices, Queue& queue,
                           const Chooser& chooser, const ProgramPolicies& policies,
                           const Clock& clock, Random& random, const ChosenOffersOptions& options,
                           Sink sink)
    : ledger_(ledger),
      choices_(choices),
      queue_(queue),
      chooser_(chooser),
      policies_(policies),
      clock_(clock),
      random_(random),
      options_(options),
      sink_(std::move(sink)),
      workers_(options.threads, kWaitingLimit) {}

void ChosenOffers::Start() {
  task_ = std::make_unique<PeriodicTask>(options_.sweep, [this] { Sweep(); });
}

void ChosenOffers::Stop() {
  if (task_ != nullptr) task_->Stop();
  workers_.Stop();
}

void ChosenOffers::Notify(const Effects& effects) {
  for (const TicketChange& ticket : effects.tickets) {
    if (!ticket.choosing || ticket.chosen_left == 0 || ticket.state != TicketState::kWaiting) {
      continue;
    }
    workers_.TryRun([this, id = ticket.ticket] { OfferNext(id).IgnoreError(); });
  }
}

void ChosenOffers::Sweep() {
  TicketId after;
  for (int round = 0; round < kSweepsAtOnce; ++round) {
    const auto due = choices_.ListDue(Deadline(), clock_.Now(), options_.sweep_limit, after);
    if (!due.ok()) {
      Log(Severity::kWarning, "choices_not_read", {{LogField::kReason, ReasonOf(due.status())}});
      return;
    }
    for (const TicketId& id : *due) OfferNext(id).IgnoreError();
    if (due->size() < static_cast<size_t>(options_.sweep_limit)) return;
    after = due->back();
  }
}

absl::Status ChosenOffers::OfferNext(const TicketId& id) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    ASSIGN_OR_RETURN(const std::optional<ChoiceLedger::Next> next,
                     choices_.FindNext(Deadline(), clock_.Now(), id));
    if (!next.has_value()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const Outcome outcome, Try(*next));
    if (outcome == Outcome::kDone) return absl::OkStatus();
    if (outcome == Outcome::kAgain) continue;
    ASSIGN_OR_RETURN(const Effects effects,
                     choices_.PassOver(Deadline(), clock_.Now(), id, next->sponsor));
    if (!effects.empty()) sink_(effects);
  }
  return absl::OkStatus();  // the sweep goes on
}

absl::StatusOr<ChosenOffers::Outcome> ChosenOffers::Try(const ChoiceLedger::Next& next) {
  const TicketChange& ticket = next.ticket;
  const absl::Time now = clock_.Now();
  ASSIGN_OR_RETURN(const std::optional<MemberTraits> newcomer,
                   ledger_.LoadMember(Deadline(), ticket.newcomer));
  // Their tickets are being withdrawn.
  if (!newcomer.has_value() || !newcomer->newcomer.has_value()) return Outcome::kDone;
  ASSIGN_OR_RETURN(const std::optional<MemberTraits> sponsor,
                   ledger_.LoadMember(Deadline(), next.sponsor));
  ASSIGN_OR_RETURN(const std::vector<SponsorSeats> seats,
                   ledger_.LoadSponsors(Deadline(), {next.sponsor}));
  if (!sponsor.has_value() || !sponsor->sponsor.has_value() || seats.empty()) {
    return Outcome::kPassOver;
  }
  ASSIGN_OR_RETURN(const std::vector<Ledger::PairRecord> pairs,
                   ledger_.LoadPairFacts(Deadline(), now, {ticket.newcomer}));
  PairFacts facts;
  for (const Ledger::PairRecord& pair : pairs) {
    if (pair.sponsor == next.sponsor) facts.Add(pair.facts);
  }
  const absl::Time week = UtcWeekStart(now);
  NewcomerRecord asks = MakeNewcomerRecord(*newcomer, ticket.pool.philosophy,
                                           ticket.relationship_type, policies_, week);
  asks.importance = ticket.importance;
  SponsorRecord gives = MakeSponsorRecord(*sponsor, ticket.pool.philosophy, policies_, week);
  SetSeats(seats.front().availability, gives);
  if (chooser_.rules().FirstBroken(asks, gives, facts, now)) return Outcome::kPassOver;

  Proposal proposal;
  proposal.offer = OfferId::Random(random_);
  proposal.ticket = ticket.ticket;
  proposal.ticket_version = ticket.version;
  proposal.newcomer = ticket.newcomer;
  proposal.newcomer_version = newcomer->version;
  proposal.sponsor = next.sponsor;
  proposal.sponsor_version = sponsor->version;
  proposal.expire_time =
      now + (options_.response_deadline > absl::ZeroDuration()
                 ? options_.response_deadline
                 : policies_.ResponseDeadline(ticket.pool.philosophy, ticket.relationship_type));
  proposal.parallel_limit = 1;  // one after another, in the newcomer's order
  proposal.explanation = chooser_.scorer().Explain(asks, gives, now);
  return Decide(next, proposal, seats.front());
}

absl::StatusOr<ChosenOffers::Outcome> ChosenOffers::Decide(const ChoiceLedger::Next& next,
                                                           const Proposal& proposal,
                                                           const SponsorSeats& seats) {
  const Claim claim{proposal.ticket, proposal.ticket_version, proposal.sponsor,
                    seats.availability.version};
  const auto claims =
      queue_.TakeClaims(QueueDeadline(), next.ticket.pool, clock_.Now(), {&claim, 1});
  if (claims.ok() && claims->front() != ClaimResult::kClaimed) {
    // The queue has not heard of one of them yet, or somebody else has the seat for a moment: the
    // truth is written there, and the sweep tries again.
    Settle(next);
    return Outcome::kDone;
  }
  const auto made = ledger_.MakeOffer(Deadline(), clock_.Now(), proposal);
  if (made.ok()) sink_(made->effects);
  if (claims.ok()) Settle(next);
  if (made.ok()) return Outcome::kDone;
  if (HasReason(made.status(), reason::kPoolFull) ||
      HasReason(made.status(), reason::kRelationshipNotOffered)) {
    return Outcome::kPassOver;
  }
  if (HasReason(made.status(), reason::kEtagMismatch) ||
      HasReason(made.status(), reason::kTicketNotOpen)) {
    return Outcome::kAgain;
  }
  // Not now: whom the newcomer chose keep their turn, and the sweep goes on when the drain is over.
  if (HasReason(made.status(), reason::kPoolDrained)) return Outcome::kDone;
  return made.status();
}

void ChosenOffers::Settle(const ChoiceLedger::Next& next) {
  const auto tickets = ledger_.LoadTickets(Deadline(), {next.ticket.ticket});
  const auto sponsors = ledger_.LoadSponsors(Deadline(), {next.sponsor});
  if (!tickets.ok() || tickets->empty() || !sponsors.ok() || sponsors->empty()) return;
  const Settlement settlement{QueueTicketOf(tickets->front()), QueueSponsorOf(sponsors->front())};
  queue_.Settle(QueueDeadline(), next.ticket.pool, {&settlement, 1}, Announce::kNo).IgnoreError();
}

}  // namespace handrail::matching
