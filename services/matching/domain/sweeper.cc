#include "services/matching/domain/sweeper.h"

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

constexpr int kTrimRows = 1000;
constexpr int kTrimBatches = 30;

}  // namespace

Sweeper::Sweeper(Ledger& ledger, Queue& queue, const Clock& clock, const SweeperOptions& options,
                 PoolList pools, Sink sink)
    : ledger_(ledger),
      queue_(queue),
      clock_(clock),
      options_(options),
      pools_(std::move(pools)),
      sink_(std::move(sink)) {
  AddTrim("requests", [this](absl::Time deadline, absl::Time now, int limit) {
    return ledger_.TrimRequests(deadline, now, limit);
  });
}

void Sweeper::AddTrim(absl::string_view what, Trim trim) {
  trims_.emplace_back(what, std::move(trim));
}

void Sweeper::Start() {
  task_ = std::make_unique<PeriodicTask>(options_.interval, [this] { Sweep(); });
}

void Sweeper::Stop() {
  if (task_ != nullptr) task_->Stop();
}

void Sweeper::Move(absl::string_view what, absl::StatusOr<Effects> effects) {
  if (!effects.ok()) {
    Log(Severity::kWarning, "sweep_failed",
        {{LogField::kComponent, what}, {LogField::kReason, ReasonOf(effects.status())}});
    return;
  }
  if (!effects->empty()) sink_(*effects);
}

void Sweeper::Sweep() {
  const absl::Time now = clock_.Now();
  Move("offers", ledger_.TimeOutOffers(Deadline(), now, options_.limit));
  Move("tickets", ledger_.ExpireTickets(Deadline(), now, options_.limit));
  if (const auto passed = ledger_.PassTrials(Deadline(), now, options_.limit); !passed.ok()) {
    Move("trials", passed.status());
  }
  SweepClaims();
  ResendMarks();
  if (sweeps_++ % options_.rare_every != 0) return;
  Move("attestations",
       ledger_.RescindLapsed(Deadline(), now, now - options_.attestation_lifetime, options_.limit));
  for (const auto& [what, trim] : trims_) RunTrim(what, trim, now);
}

void Sweeper::RunTrim(absl::string_view what, const Trim& trim, absl::Time now) {
  // As many batches as keep up with a thousand writes a second, and an end all the same.
  for (int batch = 0; batch < kTrimBatches; ++batch) {
    const auto trimmed = trim(Deadline(), now, kTrimRows);
    if (!trimmed.ok()) Move(what, trimmed.status());
    if (!trimmed.ok() || *trimmed < kTrimRows) return;
  }
}

void Sweeper::SweepClaims() {
  for (const PoolKey& pool : pools_()) {
    const auto claims = queue_.ExpiredClaims(clock_.Now() + options_.redis_timeout, pool,
                                             clock_.Now(), options_.limit);
    if (!claims.ok()) return;  // Redis is down; so are its claims
    if (claims->empty()) continue;
    std::vector<TicketId> ticket_ids;
    std::vector<MemberId> sponsor_ids;
    for (const Claim& claim : *claims) {
      ticket_ids.push_back(claim.ticket);
      sponsor_ids.push_back(claim.sponsor);
    }
    // SQL first: the claim's owner may have decided and died before saying so.
    const auto tickets = ledger_.LoadTickets(Deadline(), ticket_ids);
    const auto sponsors = ledger_.LoadSponsors(Deadline(), sponsor_ids);
    if (!tickets.ok() || !sponsors.ok()) return;
    absl::flat_hash_map<TicketId, QueueTicket> ticket_of;
    absl::flat_hash_map<MemberId, QueueSponsor> sponsor_of;
    for (const TicketChange& ticket : *tickets) ticket_of[ticket.ticket] = QueueTicketOf(ticket);
    for (const SponsorSeats& sponsor : *sponsors) {
      sponsor_of[sponsor.availability.sponsor] = QueueSponsorOf(sponsor);
    }
    std::vector<Settlement> settlements;
    for (const Claim& claim : *claims) {
      // What SQL does not know is gone.
      ticket_of.try_emplace(claim.ticket, QueueTicket{claim.ticket, INT64_MAX, false, 0});
      sponsor_of.try_emplace(claim.sponsor, QueueSponsor{claim.sponsor, 0, 0, 0});
      settlements.push_back({ticket_of[claim.ticket], sponsor_of[claim.sponsor]});
    }
    const absl::Status settled =
        queue_.Settle(clock_.Now() + options_.redis_timeout, pool, settlements, Announce::kYes);
    if (!settled.ok()) return;
    Effects again;
    for (const TicketChange& ticket : *tickets) again.tickets.push_back(ticket);
    again.sponsors = sponsor_ids;
    sink_(again);
  }
}

void Sweeper::ResendMarks() {
  auto marks = ledger_.LoadMarks(Deadline(), clock_.Now() - options_.mark_age, 5 * options_.limit);
  if (!marks.ok()) {
    Move("marks", marks.status());
    return;
  }
  Effects again;
  again.tickets = std::move(marks->tickets);
  again.sponsors = std::move(marks->sponsors);
  if (!again.empty()) sink_(again);
}

}  // namespace handrail::matching
