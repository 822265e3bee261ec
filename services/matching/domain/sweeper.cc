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
// Of one step of a rebuild.
constexpr absl::Duration kLedgerTimeout = absl::Seconds(10);
constexpr absl::Duration kQueueTimeout = absl::Seconds(5);

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
  TrimRequests(now);
}

void Sweeper::TrimRequests(absl::Time now) {
  // As many batches as keep up with a thousand writes a second, and an end all the same.
  for (int batch = 0; batch < kTrimBatches; ++batch) {
    const auto trimmed = ledger_.TrimRequests(Deadline(), now, kTrimRows);
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

absl::StatusOr<std::vector<std::vector<PoolKey>>> Reconciler::PoolsOfEach(
    absl::Span<const SponsorSeats> sponsors) {
  std::vector<MemberId> missing;
  absl::flat_hash_map<MemberId, MemberCache::Member> member_of;
  for (const SponsorSeats& sponsor : sponsors) {
    const MemberId& id = sponsor.availability.sponsor;
    MemberCache::Member held = members_.Find(id);
    if (held == nullptr || held->version < sponsor.member_version) {
      missing.push_back(id);
    } else {
      member_of[id] = std::move(held);
    }
  }
  ASSIGN_OR_RETURN(std::vector<MemberTraits> loaded,
                   ledger_.LoadMembers(clock_.Now() + kLedgerTimeout, missing));
  for (MemberTraits& member : loaded) {
    const MemberId id = member.member;
    member_of[id] = members_.Put(std::move(member));
  }
  std::vector<std::vector<PoolKey>> pools(sponsors.size());
  for (size_t i = 0; i < sponsors.size(); ++i) {
    const auto member = member_of.find(sponsors[i].availability.sponsor);
    if (member == member_of.end() || !member->second->sponsor.has_value()) continue;
    pools[i] = PoolsForSponsor(*member->second->sponsor);
  }
  return pools;
}

absl::Status Reconciler::ForEachSponsor(
    absl::FunctionRef<absl::Status(absl::Span<const SponsorSeats>,
                                   absl::Span<const std::vector<PoolKey>>)>
        visit) {
  MemberId after;
  while (true) {
    ASSIGN_OR_RETURN(
        const std::vector<SponsorSeats> sponsors,
        ledger_.ScanSponsors(clock_.Now() + kLedgerTimeout, Queue::kRebuildChunk, after));
    if (sponsors.empty()) return absl::OkStatus();
    after = sponsors.back().availability.sponsor;
    ASSIGN_OR_RETURN(const auto pools, PoolsOfEach(sponsors));
    RETURN_IF_ERROR(visit(sponsors, pools));
  }
}

absl::StatusOr<std::set<PoolKey>> Reconciler::AllPools() {
  ASSIGN_OR_RETURN(const std::vector<PoolKey> waiting,
                   ledger_.ListWaitingPools(clock_.Now() + kLedgerTimeout));
  std::set<PoolKey> all(waiting.begin(), waiting.end());
  RETURN_IF_ERROR(ForEachSponsor([&all](auto, auto pools) {
    for (const std::vector<PoolKey>& some : pools) all.insert(some.begin(), some.end());
    return absl::OkStatus();
  }));
  return all;
}

absl::Status Reconciler::RebuildTickets(const PoolKey& pool) {
  std::optional<PageStart> after;
  while (true) {
    ASSIGN_OR_RETURN(
        const std::vector<TicketChange> tickets,
        ledger_.LoadWaiting(clock_.Now() + kLedgerTimeout, pool, Queue::kRebuildChunk, after));
    if (tickets.empty()) return absl::OkStatus();
    std::vector<QueueTicket> entries;
    entries.reserve(tickets.size());
    for (const TicketChange& ticket : tickets) entries.push_back(QueueTicketOf(ticket));
    RETURN_IF_ERROR(queue_.RebuildTickets(clock_.Now() + kQueueTimeout, pool, entries));
    after = PageStart{tickets.back().create_time, tickets.back().ticket};
  }
}

absl::Status Reconciler::RebuildSponsors(const std::vector<PoolKey>& lost) {
  return ForEachSponsor([&](auto sponsors, auto pools) -> absl::Status {
    std::map<PoolKey, std::vector<QueueSponsor>> entries;
    for (size_t i = 0; i < sponsors.size(); ++i) {
      for (const PoolKey& pool : pools[i]) entries[pool].push_back(QueueSponsorOf(sponsors[i]));
    }
    for (const PoolKey& pool : lost) {
      RETURN_IF_ERROR(queue_.RebuildSponsors(clock_.Now() + kQueueTimeout, pool, entries[pool]));
    }
    return absl::OkStatus();
  });
}

absl::Status Reconciler::RemoveStaleTickets(const PoolKey& pool) {
  std::string cursor;
  do {
    ASSIGN_OR_RETURN(const Queue::Part part,
                     queue_.ScanTickets(clock_.Now() + kQueueTimeout, pool, cursor));
    cursor = part.cursor;
    ASSIGN_OR_RETURN(const std::vector<TicketChange> known,
                     ledger_.LoadTickets(clock_.Now() + kLedgerTimeout, part.tickets));
    absl::flat_hash_map<TicketId, QueueTicket> stale;
    for (const TicketId& id : part.tickets) stale[id] = {id, INT64_MAX, false, 0};
    for (const TicketChange& ticket : known) {
      if (ticket.state == TicketState::kWaiting) {
        stale.erase(ticket.ticket);
      } else {
        stale[ticket.ticket] = QueueTicketOf(ticket);
      }
    }
    std::vector<QueueTicket> entries;
    entries.reserve(stale.size());
    for (const auto& [id, entry] : stale) entries.push_back(entry);
    RETURN_IF_ERROR(queue_.PutTickets(clock_.Now() + kQueueTimeout, pool, entries, Announce::kNo));
  } while (!cursor.empty());
  return absl::OkStatus();
}

absl::Status Reconciler::RemoveStaleSponsors(const PoolKey& pool) {
  std::string cursor;
  do {
    ASSIGN_OR_RETURN(const Queue::Part part,
                     queue_.ScanSponsors(clock_.Now() + kQueueTimeout, pool, cursor));
    cursor = part.cursor;
    ASSIGN_OR_RETURN(const std::vector<SponsorSeats> known,
                     ledger_.LoadSponsors(clock_.Now() + kLedgerTimeout, part.sponsors));
    ASSIGN_OR_RETURN(const auto pools, PoolsOfEach(known));
    absl::flat_hash_map<MemberId, QueueSponsor> stale;
    for (const MemberId& id : part.sponsors) stale[id] = {id, kNotInLedger, 0, 0};
    for (size_t i = 0; i < known.size(); ++i) {
      const Availability& seats = known[i].availability;
      if (std::find(pools[i].begin(), pools[i].end(), pool) != pools[i].end()) {
        stale.erase(seats.sponsor);  // as it is in the ledger: it was written a moment ago
      } else {
        stale[seats.sponsor] = {seats.sponsor, seats.version, 0, 0};
      }
    }
    std::vector<QueueSponsor> entries;
    entries.reserve(stale.size());
    for (const auto& [id, entry] : stale) entries.push_back(entry);
    RETURN_IF_ERROR(queue_.PutSponsors(clock_.Now() + kQueueTimeout, pool, entries, Announce::kNo));
  } while (!cursor.empty());
  return absl::OkStatus();
}

absl::Status Reconciler::Rebuild(const std::vector<PoolKey>& lost, const std::string& run) {
  // Seats first: they are few, and no ticket finds anybody without them.
  RETURN_IF_ERROR(RebuildSponsors(lost));
  for (const PoolKey& pool : lost) RETURN_IF_ERROR(RebuildTickets(pool));
  // An old copy also holds what has gone since; that only costs refused claims, so it comes last.
  for (const PoolKey& pool : lost) {
    RETURN_IF_ERROR(RemoveStaleTickets(pool));
    RETURN_IF_ERROR(RemoveStaleSponsors(pool));
  }
  for (const PoolKey& pool : lost) {
    RETURN_IF_ERROR(queue_.SetEpoch(clock_.Now() + absl::Seconds(1), pool, run));
  }
  return absl::OkStatus();
}

absl::Status Reconciler::Reconcile() {
  // Read first: of a server that restarts from here on the epochs will not bear the name.
  ASSIGN_OR_RETURN(const std::string run, queue_.ServerRun(clock_.Now() + absl::Seconds(1)));
  ASSIGN_OR_RETURN(const std::set<PoolKey> pools, AllPools());
  std::vector<PoolKey> lost;
  for (const PoolKey& pool : pools) {
    ASSIGN_OR_RETURN(const std::string epoch,
                     queue_.ReadEpoch(clock_.Now() + absl::Seconds(1), pool));
    if (epoch != run) lost.push_back(pool);
  }
  if (lost.empty()) return absl::OkStatus();
  ++rebuilds_;
  const int64_t count = static_cast<int64_t>(lost.size());
  Log(Severity::kInfo, "queues_rebuilding", {{LogField::kCount, count}});
  RETURN_IF_ERROR(Rebuild(lost, run));
  Log(Severity::kInfo, "queues_rebuilt", {{LogField::kCount, count}});
  return absl::OkStatus();
}

}  // namespace handrail::matching
