#include "services/matching/domain/reconciler.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

// The epoch of a pool that somebody builds: then who, and the number of their step.
constexpr absl::string_view kBuilding = "building:";
// How many marks are moved at once: a few, so that it never takes as long as a page.
constexpr size_t kMarksAtOnce = 8;

// Who set this mark: all but the number of the step.
std::string BuilderOf(const std::string& mark) { return mark.substr(0, mark.rfind(':')); }

// Reads a set of the queue part by part.
absl::Status ForEachPart(absl::FunctionRef<absl::StatusOr<Queue::Part>(const std::string&)> scan,
                         absl::FunctionRef<absl::Status(const Queue::Part&)> visit) {
  std::string cursor;
  do {
    ASSIGN_OR_RETURN(const Queue::Part part, scan(cursor));
    RETURN_IF_ERROR(visit(part));
    cursor = part.cursor;
  } while (!cursor.empty());
  return absl::OkStatus();
}

template <typename Id, typename Entry>
std::vector<Entry> Values(const absl::flat_hash_map<Id, Entry>& entries) {
  std::vector<Entry> values;
  values.reserve(entries.size());
  for (const auto& [id, entry] : entries) values.push_back(entry);
  return values;
}

}  // namespace

Reconciler::Reconciler(Ledger& ledger, Queue& queue, MemberCache& members, const Clock& clock,
                       Random& random, const ReconcilerOptions& options, PoolList pools,
                       OnLost on_lost)
    : ledger_(ledger),
      queue_(queue),
      members_(members),
      clock_(clock),
      options_(options),
      pools_(std::move(pools)),
      on_lost_(std::move(on_lost)),
      mark_prefix_(absl::StrCat(kBuilding, absl::Hex(random.Next64(), absl::kZeroPad16), ":")) {}

void Reconciler::Start() {
  task_ = std::make_unique<PeriodicTask>(options_.interval, [this] {
    if (const absl::Status status = Reconcile(); !status.ok()) {
      Log(Severity::kDebug, "not_reconciled", {{LogField::kReason, ReasonOf(status)}});
    }
  });
}

void Reconciler::Stop() {
  stopping_ = true;
  if (task_ != nullptr) task_->Stop();
}

absl::Status Reconciler::Reconcile() {
  ASSIGN_OR_RETURN(const std::vector<PoolKey> pools, AllPools());
  // Read first: of a server that restarts from here on the epochs will not bear the name. Pools
  // whose server does not answer wait for it; the others do not.
  ASSIGN_OR_RETURN(const Runs runs, queue_.ServerRuns(QueueDeadline(), pools));
  ASSIGN_OR_RETURN(const Marks lost, LostPools(runs));
  TellLost(runs, lost);
  ASSIGN_OR_RETURN(Marks ours, TakeOver(lost));
  if (ours.empty()) return absl::OkStatus();
  ++rebuilds_;
  const int64_t count = static_cast<int64_t>(ours.size());
  Log(Severity::kInfo, "queues_rebuilding", {{LogField::kCount, count}});
  if (absl::Status status = Rebuild(ours, runs); !status.ok()) {
    GiveBack(ours);
    return status;
  }
  Log(Severity::kInfo, "queues_rebuilt", {{LogField::kCount, count}});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PoolKey>> Reconciler::AllPools() {
  ASSIGN_OR_RETURN(const std::vector<PoolKey> waiting, ledger_.ListWaitingPools(LedgerDeadline()));
  std::set<PoolKey> pools(waiting.begin(), waiting.end());
  for (PoolKey& pool : pools_()) pools.insert(std::move(pool));
  return std::vector<PoolKey>(pools.begin(), pools.end());
}

absl::StatusOr<Reconciler::Marks> Reconciler::LostPools(const Runs& runs) {
  Marks lost;
  for (const auto& [pool, run] : runs) {
    ASSIGN_OR_RETURN(std::string epoch, queue_.ReadEpoch(QueueDeadline(), pool));
    if (epoch != run) lost.emplace(pool, std::move(epoch));
  }
  return lost;
}

void Reconciler::TellLost(const Runs& runs, const Marks& lost) {
  std::vector<PoolKey> told;
  for (const auto& [pool, run] : runs) {
    const auto [known, is_new] = runs_.try_emplace(pool, run);
    const bool other_run = !is_new && known->second != run;
    known->second = run;
    if (other_run || (lost.contains(pool) && !lost_.contains(pool))) told.push_back(pool);
  }
  lost_.clear();
  for (const auto& [pool, epoch] : lost) lost_.insert(pool);
  if (on_lost_ && !told.empty()) on_lost_(told);
}

absl::StatusOr<Reconciler::Marks> Reconciler::TakeOver(const Marks& lost) {
  const absl::Time now = clock_.Now();
  const auto is_others = [this](const std::string& epoch) {
    return absl::StartsWith(epoch, kBuilding) && !absl::StartsWith(epoch, mark_prefix_);
  };
  std::map<std::string, Seen> others;
  for (const auto& [pool, epoch] : lost) {
    if (is_others(epoch)) others[BuilderOf(epoch)].marks.emplace(pool, epoch);
  }
  for (auto& [builder, seen] : others) {
    // By our own clock, because theirs may differ.
    const auto before = others_.find(builder);
    const bool same = before != others_.end() && before->second.marks == seen.marks;
    seen.since = same ? before->second.since : now;
  }
  Marks ours;
  for (const auto& [pool, epoch] : lost) {
    if (is_others(epoch) && now - others.at(BuilderOf(epoch)).since < options_.Patience()) continue;
    std::string mark = NextMark();
    ASSIGN_OR_RETURN(const bool set, queue_.ReplaceEpoch(QueueDeadline(), pool, epoch, mark));
    if (set) ours.emplace(pool, std::move(mark));
  }
  others_ = std::move(others);
  stepped_ = now;
  return ours;
}

std::string Reconciler::NextMark() { return absl::StrCat(mark_prefix_, ++steps_); }

absl::Status Reconciler::GoOn(Marks& ours) {
  if (stopping_) return absl::CancelledError("stopping");
  // Not at every call: the answer comes behind all that is on its way, and nothing is read then.
  if (clock_.Now() - stepped_ < options_.renewal) return absl::OkStatus();
  stepped_ = clock_.Now();
  auto next = ours.upper_bound(renewed_);
  for (size_t moved = 0; moved < std::min(kMarksAtOnce, ours.size()); ++moved, ++next) {
    if (next == ours.end()) next = ours.begin();
    auto& [pool, mark] = *next;
    std::string step = NextMark();
    ASSIGN_OR_RETURN(const bool still, queue_.ReplaceEpoch(QueueDeadline(), pool, mark, step));
    if (!still) return absl::AbortedError("the pool was lost again, or somebody else builds it");
    mark = std::move(step);
    renewed_ = pool;
  }
  return absl::OkStatus();
}

void Reconciler::GiveBack(const Marks& ours) {
  const absl::Time deadline = QueueDeadline();
  for (const auto& [pool, mark] : ours) {
    if (!queue_.ReplaceEpoch(deadline, pool, mark, "").ok()) return;
  }
}

absl::Status Reconciler::Rebuild(Marks& ours, const Runs& runs) {
  ASSIGN_OR_RETURN(const std::vector<PoolKey> old, NotEmpty(ours));
  {
    ChunkWriter writer(options_.pages_in_flight);
    // Seats first: they are few, and no ticket finds anybody without them.
    RETURN_IF_ERROR(RebuildSponsors(ours, writer));
    RETURN_IF_ERROR(RebuildTickets(ours, writer));
    RETURN_IF_ERROR(writer.Finish());
  }
  // An old copy also holds what has gone since; that only costs refused claims, so it comes last.
  for (const PoolKey& pool : old) {
    RETURN_IF_ERROR(RemoveStaleTickets(ours, pool));
    RETURN_IF_ERROR(RemoveStaleSponsors(ours, pool));
  }
  while (!ours.empty()) {
    RETURN_IF_ERROR(GoOn(ours));
    const auto& [pool, mark] = *ours.begin();
    ASSIGN_OR_RETURN(const bool still,
                     queue_.ReplaceEpoch(QueueDeadline(), pool, mark, runs.at(pool)));
    if (!still) return absl::AbortedError("the pool was lost while it was built");
    ours.erase(ours.begin());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PoolKey>> Reconciler::NotEmpty(Marks& ours) {
  std::vector<PoolKey> old;
  for (const auto& [pool, mark] : ours) {
    RETURN_IF_ERROR(GoOn(ours));
    ASSIGN_OR_RETURN(const Queue::Depth depth, queue_.ReadDepth(QueueDeadline(), pool));
    if (depth.waiting > 0 || depth.available > 0) old.push_back(pool);
  }
  return old;
}

absl::Status Reconciler::RebuildTickets(Marks& ours, ChunkWriter& writer) {
  // The pools in turn, so that a small one does not wait for a large one.
  struct Place {
    PoolKey pool;
    std::optional<PageStart> after;
  };
  std::deque<Place> places;
  for (const auto& [pool, mark] : ours) places.push_back({pool, std::nullopt});
  while (!places.empty()) {
    Place place = std::move(places.front());
    places.pop_front();
    RETURN_IF_ERROR(GoOn(ours));
    ASSIGN_OR_RETURN(std::vector<WaitingTicket> tickets,
                     ledger_.ScanWaiting(LedgerDeadline(), place.pool, options_.page, place.after));
    if (tickets.empty()) continue;
    place.after = PageStart{tickets.back().create_time, tickets.back().ticket};
    const bool more = tickets.size() == static_cast<size_t>(options_.page);
    RETURN_IF_ERROR(writer.Add([this, pool = place.pool, tickets = std::move(tickets)] {
      std::vector<QueueTicket> entries;
      entries.reserve(tickets.size());
      for (const WaitingTicket& ticket : tickets) entries.push_back(QueueTicketOf(ticket));
      return queue_.RebuildTickets(QueueDeadline(), pool, entries);
    }));
    if (more) places.push_back(std::move(place));
  }
  for (const auto& [pool, mark] : ours) RETURN_IF_ERROR(RebuildOffered(ours, pool, writer));
  return absl::OkStatus();
}

absl::Status Reconciler::RebuildOffered(Marks& ours, const PoolKey& pool, ChunkWriter& writer) {
  TicketId after;
  while (true) {
    RETURN_IF_ERROR(GoOn(ours));
    ASSIGN_OR_RETURN(
        const std::vector<TicketChange> tickets,
        ledger_.LoadOfferedInParallel(LedgerDeadline(), pool, Queue::kRebuildChunk, after));
    if (tickets.empty()) return absl::OkStatus();
    after = tickets.back().ticket;
    std::vector<QueueTicket> entries;
    for (const TicketChange& ticket : tickets) {
      if (ticket.HasRoomForOffer()) entries.push_back(QueueTicketOf(ticket));
    }
    if (entries.empty()) continue;
    RETURN_IF_ERROR(writer.Add([this, pool, entries = std::move(entries)] {
      return queue_.RebuildTickets(QueueDeadline(), pool, entries);
    }));
  }
}

absl::Status Reconciler::RebuildSponsors(Marks& ours, ChunkWriter& writer) {
  MemberId after;
  while (true) {
    RETURN_IF_ERROR(GoOn(ours));
    ASSIGN_OR_RETURN(const std::vector<SponsorSeats> sponsors,
                     ledger_.ScanSponsors(LedgerDeadline(), Queue::kRebuildChunk, after));
    if (sponsors.empty()) return absl::OkStatus();
    after = sponsors.back().availability.sponsor;
    ASSIGN_OR_RETURN(const auto pools, PoolsOfEach(ours, sponsors));
    std::map<PoolKey, std::vector<QueueSponsor>> entries;
    for (size_t i = 0; i < sponsors.size(); ++i) {
      for (const PoolKey& pool : pools[i]) {
        if (ours.count(pool) > 0) entries[pool].push_back(QueueSponsorOf(sponsors[i]));
      }
    }
    for (auto& [pool, some] : entries) {
      RETURN_IF_ERROR(GoOn(ours));
      RETURN_IF_ERROR(writer.Add([this, pool = pool, some = std::move(some)] {
        return queue_.RebuildSponsors(QueueDeadline(), pool, some);
      }));
    }
  }
}

absl::StatusOr<std::vector<std::vector<PoolKey>>> Reconciler::PoolsOfEach(
    Marks& ours, absl::Span<const SponsorSeats> sponsors) {
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
  RETURN_IF_ERROR(GoOn(ours));
  ASSIGN_OR_RETURN(std::vector<MemberTraits> loaded,
                   ledger_.LoadMembers(LedgerDeadline(), missing));
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

absl::Status Reconciler::RemoveStaleTickets(Marks& ours, const PoolKey& pool) {
  return ForEachPart(
      [&](const std::string& cursor) -> absl::StatusOr<Queue::Part> {
        RETURN_IF_ERROR(GoOn(ours));
        return queue_.ScanTickets(QueueDeadline(), pool, cursor);
      },
      [&](const Queue::Part& part) -> absl::Status {
        RETURN_IF_ERROR(GoOn(ours));
        return CheckTickets(ours, pool, part.tickets);
      });
}

absl::Status Reconciler::RemoveStaleSponsors(Marks& ours, const PoolKey& pool) {
  return ForEachPart(
      [&](const std::string& cursor) -> absl::StatusOr<Queue::Part> {
        RETURN_IF_ERROR(GoOn(ours));
        return queue_.ScanSponsors(QueueDeadline(), pool, cursor);
      },
      [&](const Queue::Part& part) -> absl::Status {
        RETURN_IF_ERROR(GoOn(ours));
        return CheckSponsors(ours, pool, part.sponsors);
      });
}

absl::Status Reconciler::CheckTickets(Marks& ours, const PoolKey& pool,
                                      const std::vector<TicketId>& queued) {
  ASSIGN_OR_RETURN(const std::vector<TicketChange> known,
                   ledger_.LoadTickets(LedgerDeadline(), queued));
  absl::flat_hash_map<TicketId, QueueTicket> stale;
  for (const TicketId& id : queued) stale[id] = {id, INT64_MAX, false, 0};
  for (const TicketChange& ticket : known) {
    if (ticket.HasRoomForOffer()) {
      stale.erase(ticket.ticket);
    } else {
      stale[ticket.ticket] = QueueTicketOf(ticket);
    }
  }
  RETURN_IF_ERROR(GoOn(ours));
  return queue_.PutTickets(QueueDeadline(), pool, Values(stale), Announce::kNo);
}

absl::Status Reconciler::CheckSponsors(Marks& ours, const PoolKey& pool,
                                       const std::vector<MemberId>& queued) {
  ASSIGN_OR_RETURN(const std::vector<SponsorSeats> known,
                   ledger_.LoadSponsors(LedgerDeadline(), queued));
  ASSIGN_OR_RETURN(const auto pools, PoolsOfEach(ours, known));
  absl::flat_hash_map<MemberId, QueueSponsor> stale;
  for (const MemberId& id : queued) stale[id] = {id, kNotInLedger, 0, 0};
  for (size_t i = 0; i < known.size(); ++i) {
    const Availability& seats = known[i].availability;
    if (std::find(pools[i].begin(), pools[i].end(), pool) != pools[i].end()) {
      stale.erase(seats.sponsor);  // as it is in the ledger: it was written a moment ago
    } else {
      stale[seats.sponsor] = {seats.sponsor, seats.version, 0, 0};
    }
  }
  RETURN_IF_ERROR(GoOn(ours));
  return queue_.PutSponsors(QueueDeadline(), pool, Values(stale), Announce::kNo);
}

}  // namespace handrail::matching
