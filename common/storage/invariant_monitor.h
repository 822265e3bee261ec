#ifndef HANDRAIL_COMMON_STORAGE_INVARIANT_MONITOR_H_
#define HANDRAIL_COMMON_STORAGE_INVARIANT_MONITOR_H_

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/storage/database.h"

namespace handrail::storage {

// What must always hold, as a query for the number of rows that break it.
struct InvariantQuery {
  std::string name;  // the promise, "C2"; several queries may stand for one
  std::string text;  // what is wrong when it is broken; names no person
  std::string sql;
  std::function<Args(absl::Time now)> args;  // null: none
};

// Looks, while a service runs, whether its invariants hold: one query a round, in turn, each with a
// deadline of its own, so that it costs little however large the database is. A broken invariant is
// a bug of ours or damage: it is shown and logged, by number, never by id. Metrics:
//   handrail_invariant_violations{invariant="C2"}              rows that broke it when last looked
//   handrail_invariant_checks_total{outcome="held"|"broken"|"failed"}
// A query that does not end in time counts as failed and keeps its last number. Any number of
// replicas may look. Thread-safe.
class InvariantMonitor {
 public:
  struct Options {
    absl::Duration interval = absl::Minutes(1);
    absl::Duration timeout = absl::Seconds(5);
  };

  // `queries` must not be empty. All references must outlive it.
  InvariantMonitor(Database& database, const Clock& clock, prometheus::Registry& registry,
                   std::vector<InvariantQuery> queries, const Options& options);

  void Start();
  void Stop();  // idempotent
  // One round. Blocks, at most for the timeout.
  void RunOnce();

 private:
  absl::StatusOr<int64_t> Count(const InvariantQuery& query);

  Database& database_;
  const Clock& clock_;
  const std::vector<InvariantQuery> queries_;
  const Options options_;
  prometheus::Family<prometheus::Gauge>& violations_;
  prometheus::Counter& held_;
  prometheus::Counter& broken_;
  prometheus::Counter& failed_;
  Mutex mutex_;  // not held while a query runs
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<int64_t> counts_ ABSL_GUARDED_BY(mutex_);  // by query
  std::unique_ptr<PeriodicTask> task_;
};

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_INVARIANT_MONITOR_H_
