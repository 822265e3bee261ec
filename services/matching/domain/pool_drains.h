#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_DRAINS_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_DRAINS_H_

#include <atomic>
#include <functional>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "services/matching/domain/operator_ledger.h"

namespace handrail::matching {

// Which pools operators have drained, as the ledger had it at most `interval` ago, for the matcher
// of this process. When a drain ends, whoever waits in the pool is told to the matcher again,
// longest waiting first. Thread-safe.
class PoolDrains {
 public:
  using Sink = std::function<void(const Effects&)>;

  // The most tickets of a pool that are told when its drain ends; the matcher's scrub finds the
  // rest.
  static constexpr int kResumeLimit = 20'000;

  // Everything must outlive it.
  PoolDrains(OperatorLedger& operators, Ledger& ledger, const Clock& clock, absl::Duration interval,
             Sink sink)
      : operators_(operators),
        ledger_(ledger),
        clock_(clock),
        interval_(interval),
        sink_(std::move(sink)) {}

  void Start();
  void Stop();
  // Looks once; whoever has changed a drain calls it, so that this process knows before it goes on.
  // UNAVAILABLE while the ledger is down: then what was known holds, until its time.
  absl::Status Refresh();
  // True while nothing is to be offered in the pool.
  bool IsDrained(const PoolKey& pool) const;

 private:
  void Resume(const PoolKey& pool);

  OperatorLedger& operators_;
  Ledger& ledger_;
  const Clock& clock_;
  const absl::Duration interval_;
  const Sink sink_;
  // The matcher asks for every ticket; nearly always nothing is drained.
  std::atomic<bool> any_ = false;
  mutable Mutex mutex_;
  absl::flat_hash_map<PoolKey, absl::Time> until_ ABSL_GUARDED_BY(mutex_);
  // Looks are numbered as they begin: an older one never replaces what a later one saw.
  int64_t begun_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t shown_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<PeriodicTask> task_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_DRAINS_H_
