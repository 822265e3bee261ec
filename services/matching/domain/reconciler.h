#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_RECONCILER_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_RECONCILER_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/random.h"
#include "services/matching/domain/chunk_writer.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/member_cache.h"
#include "services/matching/domain/queue.h"

namespace handrail::matching {

struct ReconcilerOptions {
  // Between two looks at the epochs. A look is a script for each server, which asks
  // for INFO twice, and a GET a pool.
  absl::Duration interval = absl::Milliseconds(250);
  // How many waiting tickets are read from the ledger at once.
  int page = 2000;
  // Pages of a rebuild that are written while the next one is read. Few, because the matcher's
  // claims wait behind them on the link.
  int pages_in_flight = 2;
  absl::Duration ledger_timeout = absl::Seconds(10);
  absl::Duration queue_timeout = absl::Seconds(5);
  // A rebuild by another replica that has made no step for so long is taken over.
  absl::Duration patience = absl::Seconds(2);
};

// Notices that Redis has lost its data (a pool's epoch is gone), or may have lost some: the epoch
// names the run of the server in which the pool was built, and this is another run or another
// primary. A server that restarts from an old copy of its data brings an old epoch with it, so that
// it does not matter who noticed the restart, nor whether anybody ran then. Writes every waiting
// ticket and every free seat again, longest waiting first, the pools in turn, reading a page of the
// ledger while the one before is written, and takes out what is queued and should not be. No call
// waits for it.
//
// While a pool is built its epoch says by whom, and which step they are at, so that other replicas
// leave it to them as long as they go on. The run is written last, over one's own mark: a rebuild
// that failed, and one during which Redis lost its data again, begin anew.
class Reconciler {
 public:
  using PoolList = std::function<std::vector<PoolKey>()>;

  // `pools` are those in which a sponsor may have a seat, as far as this replica knows; the pools
  // in which somebody waits are read from the ledger. Everything must outlive the reconciler.
  Reconciler(Ledger& ledger, Queue& queue, MemberCache& members, const Clock& clock, Random& random,
             const ReconcilerOptions& options, PoolList pools);
  ~Reconciler() { Stop(); }

  void Start();
  // Ends a rebuild between two pages. Idempotent.
  void Stop();
  // Looks once, and rebuilds when it must. UNAVAILABLE while Redis or the ledger is down, CANCELLED
  // when it was stopped meanwhile.
  absl::Status Reconcile();
  int64_t RebuildCount() const { return rebuilds_.load(); }

 private:
  // A pool that this replica builds, and the mark that it has last set on it.
  using Marks = std::map<PoolKey, std::string>;
  // Another replica's mark, and since when it has not changed.
  struct Seen {
    std::string mark;
    absl::Time since;
  };

  // The run of the server that holds each pool.
  using Runs = std::map<PoolKey, std::string>;
  absl::StatusOr<std::vector<PoolKey>> AllPools();
  // The pools that were not built in this run of their server, with the epochs they have.
  absl::StatusOr<Marks> LostPools(const Runs& runs);
  // Those of `lost` that nobody else builds, marked as ours.
  absl::StatusOr<Marks> TakeOver(const Marks& lost);
  // Between two pages: tells others now and then that the rebuild goes on. ABORTED when a mark is
  // not ours any more, CANCELLED when we stop.
  absl::Status GoOn(Marks& ours);
  std::string NextMark();
  absl::Status Rebuild(Marks& ours, const Runs& runs);
  absl::Status RebuildTickets(Marks& ours, ChunkWriter& writer);
  absl::Status RebuildSponsors(Marks& ours, ChunkWriter& writer);
  // The pools that hold anything already: only there can be something that should not be.
  absl::StatusOr<std::vector<PoolKey>> NotEmpty(const Marks& ours);
  absl::Status RemoveStaleTickets(Marks& ours, const PoolKey& pool);
  absl::Status RemoveStaleSponsors(Marks& ours, const PoolKey& pool);
  absl::Status CheckTickets(const PoolKey& pool, const std::vector<TicketId>& queued);
  absl::Status CheckSponsors(const PoolKey& pool, const std::vector<MemberId>& queued);
  // The pools of each of these, in their order.
  absl::StatusOr<std::vector<std::vector<PoolKey>>> PoolsOfEach(
      absl::Span<const SponsorSeats> sponsors);
  absl::Time LedgerDeadline() const { return clock_.Now() + options_.ledger_timeout; }
  absl::Time QueueDeadline() const { return clock_.Now() + options_.queue_timeout; }

  Ledger& ledger_;
  Queue& queue_;
  MemberCache& members_;
  const Clock& clock_;
  const ReconcilerOptions options_;
  const PoolList pools_;
  const std::string mark_prefix_;
  int64_t steps_ = 0;
  absl::Time stepped_ = absl::InfinitePast();
  std::map<PoolKey, Seen> others_;
  std::atomic<int64_t> rebuilds_ = 0;
  std::atomic<bool> stopping_ = false;
  std::unique_ptr<PeriodicTask> task_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_RECONCILER_H_
