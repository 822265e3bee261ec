#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_SWEEPER_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_SWEEPER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/match_index.h"
#include "services/matching/domain/queue.h"

namespace handrail::matching {

struct SweeperOptions {
  absl::Duration interval = absl::Seconds(1);
  // What is rare, in sweeps: lapsed attestations and old request ids.
  int rare_every = 30;
  // A hint that has not been confirmed for so long is sent again.
  absl::Duration mark_age = absl::Seconds(3);
  absl::Duration attestation_lifetime = absl::Hours(24 * 30);
  int limit = 200;
  // How long each step in the ledger may take.
  absl::Duration timeout = absl::Seconds(10);
  absl::Duration redis_timeout = absl::Seconds(1);
};

// The one periodic task that moves what only time moves: offers and tickets past their deadline,
// trials that have passed, attestations that have lapsed, claims in Redis that nobody settled,
// hints that got lost, and old request ids. Any number of replicas may sweep at once: each move is
// a compare-and-set.
class Sweeper {
 public:
  using Sink = std::function<void(const Effects&)>;
  using PoolList = std::function<std::vector<PoolKey>()>;

  // `sink` hears of what was moved, and of every lost hint. `pools` are those whose claims are
  // swept.
  Sweeper(Ledger& ledger, Queue& queue, const Clock& clock, const SweeperOptions& options,
          PoolList pools, Sink sink);

  void Start();
  void Stop();
  // One sweep. Each part goes on when another failed; what failed is tried at the next sweep.
  void Sweep();

 private:
  void Move(absl::string_view what, absl::StatusOr<Effects> effects);
  void TrimRequests(absl::Time now);
  // Of each step by itself, so that a database that hangs holds a sweep for a bounded time.
  absl::Time Deadline() const { return clock_.Now() + options_.timeout; }
  void SweepClaims();
  void ResendMarks();

  Ledger& ledger_;
  Queue& queue_;
  const Clock& clock_;
  const SweeperOptions options_;
  const PoolList pools_;
  const Sink sink_;
  int64_t sweeps_ = 0;
  std::unique_ptr<PeriodicTask> task_;
};

// Notices that Redis has lost its data (a pool's epoch is gone), or may have lost some: the epoch
// names the run of the server in which the pool was built, and this is another run or another
// primary. A server that restarts from an old copy of its data brings an old epoch with it, so that
// it does not matter who noticed the restart, nor whether anybody ran then. Writes every waiting
// ticket and every free seat again, longest waiting first, in chunks, and takes out what is queued
// and should not be. The epoch is written last, so that a rebuild that failed begins anew. No call
// waits for it.
class Reconciler {
 public:
  Reconciler(Ledger& ledger, Queue& queue, MemberCache& members, const Clock& clock,
             absl::Duration interval);

  void Start();
  void Stop();
  // Looks once, and rebuilds when it must. UNAVAILABLE while Redis or the ledger is down.
  absl::Status Reconcile();
  int64_t RebuildCount() const { return rebuilds_.load(); }

 private:
  absl::Status Rebuild(const std::vector<PoolKey>& lost, const std::string& run);
  absl::Status RebuildTickets(const PoolKey& pool);
  absl::Status RebuildSponsors(const std::vector<PoolKey>& lost);
  absl::Status RemoveStaleTickets(const PoolKey& pool);
  absl::Status RemoveStaleSponsors(const PoolKey& pool);
  // Every pool in which somebody waits or has ever had a seat.
  absl::StatusOr<std::set<PoolKey>> AllPools();
  // The pools of each of these, in their order.
  absl::StatusOr<std::vector<std::vector<PoolKey>>> PoolsOfEach(
      absl::Span<const SponsorSeats> sponsors);
  absl::Status ForEachSponsor(
      absl::FunctionRef<absl::Status(absl::Span<const SponsorSeats>,
                                     absl::Span<const std::vector<PoolKey>>)>
          visit);

  Ledger& ledger_;
  Queue& queue_;
  MemberCache& members_;
  const Clock& clock_;
  const absl::Duration interval_;
  std::atomic<int64_t> rebuilds_ = 0;
  std::unique_ptr<PeriodicTask> task_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_SWEEPER_H_
