#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_RECONCILER_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_RECONCILER_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
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
  // A hundred times what a page takes; short, because with them a builder that died is waited for,
  // and the queues are to be whole 10 s after Redis is back even then (M4).
  absl::Duration ledger_timeout = absl::Seconds(3);
  absl::Duration queue_timeout = absl::Milliseconds(1500);
  // How often a builder tells others that it goes on, between two calls.
  absl::Duration renewal = absl::Milliseconds(500);
  // The pools of another replica that has moved none of its marks for so long are taken over.
  // Longer than the slowest page that is still in time, and the slowest mark after it: a builder
  // that is only slow keeps its work, else two would take it from each other for ever.
  absl::Duration Patience() const { return renewal + ledger_timeout + 2 * queue_timeout; }
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
// leave it to them as long as they go on with any of their pools. Between two calls a builder moves
// a few of its marks, in turn: with hundreds of pools, to move each would take as long as a page.
// Whose rebuild fails gives its marks back at once; who died is waited for (Patience). The run is
// written last, over one's own mark: a rebuild that failed, and one during which Redis lost its
// data again, begin anew.
class Reconciler {
 public:
  using PoolList = std::function<std::vector<PoolKey>()>;
  // Pools of which Redis may have lost something, once for each loss, whoever builds them again.
  // Not to block.
  using OnLost = std::function<void(const std::vector<PoolKey>&)>;

  // `pools` are those in which a sponsor may have a seat, as far as this replica knows; the pools
  // in which somebody waits are read from the ledger. Everything must outlive the reconciler.
  Reconciler(Ledger& ledger, Queue& queue, MemberCache& members, const Clock& clock, Random& random,
             const ReconcilerOptions& options, PoolList pools, OnLost on_lost = nullptr);
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
  // Another replica's marks, and since when none has changed.
  struct Seen {
    Marks marks;
    absl::Time since;
  };

  // The run of the server that holds each pool.
  using Runs = std::map<PoolKey, std::string>;
  absl::StatusOr<std::vector<PoolKey>> AllPools();
  // The pools that were not built in this run of their server, with the epochs they have.
  absl::StatusOr<Marks> LostPools(const Runs& runs);
  void TellLost(const Runs& runs, const Marks& lost);
  // Those of `lost` that nobody else builds, marked as ours.
  absl::StatusOr<Marks> TakeOver(const Marks& lost);
  // Before every call that may take long: tells others now and then that the rebuild goes on.
  // ABORTED when a mark is not ours any more, CANCELLED when we stop.
  absl::Status GoOn(Marks& ours);
  // Leaves the pools to whoever looks first: as many as can be within one queue_timeout.
  void GiveBack(const Marks& ours);
  std::string NextMark();
  absl::Status Rebuild(Marks& ours, const Runs& runs);
  absl::Status RebuildTickets(Marks& ours, ChunkWriter& writer);
  // Those that have an offer and may have one more.
  absl::Status RebuildOffered(Marks& ours, const PoolKey& pool, ChunkWriter& writer);
  absl::Status RebuildSponsors(Marks& ours, ChunkWriter& writer);
  // The pools that hold anything already: only there can be something that should not be.
  absl::StatusOr<std::vector<PoolKey>> NotEmpty(Marks& ours);
  absl::Status RemoveStaleTickets(Marks& ours, const PoolKey& pool);
  absl::Status RemoveStaleSponsors(Marks& ours, const PoolKey& pool);
  absl::Status CheckTickets(Marks& ours, const PoolKey& pool, const std::vector<TicketId>& queued);
  absl::Status CheckSponsors(Marks& ours, const PoolKey& pool, const std::vector<MemberId>& queued);
  // The pools of each of these, in their order.
  absl::StatusOr<std::vector<std::vector<PoolKey>>> PoolsOfEach(
      Marks& ours, absl::Span<const SponsorSeats> sponsors);
  absl::Time LedgerDeadline() const { return clock_.Now() + options_.ledger_timeout; }
  absl::Time QueueDeadline() const { return clock_.Now() + options_.queue_timeout; }

  Ledger& ledger_;
  Queue& queue_;
  MemberCache& members_;
  const Clock& clock_;
  const ReconcilerOptions options_;
  const PoolList pools_;
  const OnLost on_lost_;
  const std::string mark_prefix_;
  int64_t steps_ = 0;
  absl::Time stepped_ = absl::InfinitePast();
  PoolKey renewed_;                     // the last whose mark was moved
  std::map<std::string, Seen> others_;  // by builder
  Runs runs_;                           // as they were last seen
  std::set<PoolKey> lost_;              // at the last look
  std::atomic<int64_t> rebuilds_ = 0;
  std::atomic<bool> stopping_ = false;
  std::unique_ptr<PeriodicTask> task_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_RECONCILER_H_
