#include "services/matching/domain/sweeper.h"

#include <algorithm>
#include <map>
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
      sink_(std::move(sink)) {}

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
  Move("offers", ledger_.TimeOutOffers(now, options_.limit));
  Move("tickets", ledger_.ExpireTickets(now, options_.limit));
  if (const auto passed = ledger_.PassTrials(now, options_.limit); !passed.ok()) {
    Move("trials", passed.status());
  }
  SweepClaims();
  ResendMarks();
  if (sweeps_++ % options_.rare_every != 0) return;
  Move("attestations",
       ledger_.RescindLapsed(now, now - options_.attestation_lifetime, options_.limit));
  TrimRequests(now);
}

void Sweeper::TrimRequests(absl::Time now) {
  // As many batches as keep up with a thousand writes a second, and an end all the same.
  for (int batch = 0; batch < kTrimBatches; ++batch) {
    const auto trimmed = ledger_.TrimRequests(now, kTrimRows);
    if (!trimmed.ok()) Move("requests", trimmed.status());
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
    const auto tickets = ledger_.LoadTickets(clock_.Now() + options_.timeout, ticket_ids);
    const auto sponsors = ledger_.LoadSponsors(clock_.Now() + options_.timeout, sponsor_ids);
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
  auto marks = ledger_.LoadMarks(clock_.Now() + options_.timeout, clock_.Now() - options_.mark_age,
                                 5 * options_.limit);
  if (!marks.ok()) {
    Move("marks", marks.status());
    return;
  }
  Effects again;
  again.tickets = std::move(marks->tickets);
  again.sponsors = std::move(marks->sponsors);
  if (!again.empty()) sink_(again);
}

Reconciler::Reconciler(Ledger& ledger, Queue& queue, MemberCache& members, const Clock& clock,
                       absl::Duration interval)
    : ledger_(ledger), queue_(queue), members_(members), clock_(clock), interval_(interval) {}

void Reconciler::Start() {
  task_ = std::make_unique<PeriodicTask>(interval_, [this] {
    if (const absl::Status status = Reconcile(); !status.ok()) {
      Log(Severity::kDebug, "not_reconciled", {{LogField::kReason, ReasonOf(status)}});
    }
  });
}

void Reconciler::Stop() {
  if (task_ != nullptr) task_->Stop();
}

absl::StatusOr<std::vector<PoolKey>> Reconciler::PoolsOfSponsors() {
  std::map<PoolKey, bool> pools;
  MemberId after;
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<SponsorSeats> sponsors,
                     ledger_.ScanSponsors(clock_.Now() + absl::Seconds(10), 500, after));
    if (sponsors.empty()) break;
    after = sponsors.back().availability.sponsor;
    std::vector<MemberId> missing;
    for (const SponsorSeats& sponsor : sponsors) {
      const MemberId& id = sponsor.availability.sponsor;
      if (members_.Find(id) == nullptr) missing.push_back(id);
    }
    ASSIGN_OR_RETURN(std::vector<MemberTraits> loaded,
                     ledger_.LoadMembers(clock_.Now() + absl::Seconds(10), missing));
    for (MemberTraits& member : loaded) members_.Put(std::move(member));
    for (const SponsorSeats& sponsor : sponsors) {
      const auto member = members_.Find(sponsor.availability.sponsor);
      if (member == nullptr || !member->sponsor.has_value()) continue;
      for (PoolKey& pool : PoolsForSponsor(*member->sponsor)) pools[std::move(pool)] = true;
    }
  }
  std::vector<PoolKey> keys;
  keys.reserve(pools.size());
  for (auto& [pool, unused] : pools) keys.push_back(pool);
  return keys;
}

absl::Status Reconciler::RebuildTickets(const PoolKey& pool) {
  std::optional<PageStart> after;
  while (true) {
    ASSIGN_OR_RETURN(
        const std::vector<TicketChange> tickets,
        ledger_.LoadWaiting(clock_.Now() + absl::Seconds(10), pool, Queue::kRebuildChunk, after));
    if (tickets.empty()) return absl::OkStatus();
    std::vector<QueueTicket> entries;
    entries.reserve(tickets.size());
    for (const TicketChange& ticket : tickets) entries.push_back(QueueTicketOf(ticket));
    RETURN_IF_ERROR(queue_.RebuildTickets(clock_.Now() + absl::Seconds(5), pool, entries));
    after = PageStart{tickets.back().create_time, tickets.back().ticket};
  }
}

absl::Status Reconciler::RebuildSponsors(const std::vector<PoolKey>& pools) {
  MemberId after;
  while (true) {
    ASSIGN_OR_RETURN(
        const std::vector<SponsorSeats> sponsors,
        ledger_.ScanSponsors(clock_.Now() + absl::Seconds(10), Queue::kRebuildChunk, after));
    if (sponsors.empty()) return absl::OkStatus();
    after = sponsors.back().availability.sponsor;
    std::map<PoolKey, std::vector<QueueSponsor>> entries;
    for (const SponsorSeats& sponsor : sponsors) {
      const auto member = members_.Find(sponsor.availability.sponsor);
      if (member == nullptr || !member->sponsor.has_value()) continue;
      for (const PoolKey& pool : PoolsForSponsor(*member->sponsor)) {
        entries[pool].push_back(QueueSponsorOf(sponsor));
      }
    }
    for (const PoolKey& pool : pools) {
      RETURN_IF_ERROR(queue_.RebuildSponsors(clock_.Now() + absl::Seconds(5), pool, entries[pool]));
    }
  }
}

absl::Status Reconciler::Reconcile() {
  ASSIGN_OR_RETURN(const std::string run, queue_.ServerRun(clock_.Now() + absl::Seconds(1)));
  ASSIGN_OR_RETURN(const std::vector<PoolKey> waiting,
                   ledger_.ListWaitingPools(clock_.Now() + absl::Seconds(10)));
  ASSIGN_OR_RETURN(std::vector<PoolKey> pools, PoolsOfSponsors());
  for (const PoolKey& pool : waiting) {
    if (std::find(pools.begin(), pools.end(), pool) == pools.end()) pools.push_back(pool);
  }
  const bool other_run = run != server_run_ && !server_run_.empty();
  std::vector<PoolKey> lost;
  for (const PoolKey& pool : pools) {
    ASSIGN_OR_RETURN(const bool built, queue_.HasEpoch(clock_.Now() + absl::Seconds(1), pool));
    if (!built || other_run) lost.push_back(pool);
  }
  if (!lost.empty()) {
    ++rebuilds_;
    Log(Severity::kInfo, "queues_rebuilding",
        {{LogField::kCount, static_cast<int64_t>(lost.size())}});
    // Seats first: they are few, and no ticket finds anybody without them.
    RETURN_IF_ERROR(RebuildSponsors(lost));
    for (const PoolKey& pool : lost) RETURN_IF_ERROR(RebuildTickets(pool));
    for (const PoolKey& pool : lost) {
      RETURN_IF_ERROR(queue_.SetEpoch(clock_.Now() + absl::Seconds(1), pool, run));
    }
    Log(Severity::kInfo, "queues_rebuilt", {{LogField::kCount, static_cast<int64_t>(lost.size())}});
  }
  server_run_ = run;
  return absl::OkStatus();
}

}  // namespace handrail::matching
