#ifndef HANDRAIL_COMMON_STORAGE_DATABASE_METRICS_H_
#define HANDRAIL_COMMON_STORAGE_DATABASE_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <array>

#include "common/base/mutex.h"
#include "common/storage/database.h"

namespace handrail::storage {

// Shows the statistics of a database as metrics:
//   handrail_database_commits_total                   durable commits (one fsync each on SQLite)
//   handrail_database_units_total                     units of work in them
//   handrail_database_retries_total
//   handrail_database_largest_batch                   units of work in one commit, so far
//   handrail_database_batches_total{units="1".."128"} commits by units of work, at least so many
// Thread-safe. Both references must outlive it.
class DatabaseMetrics {
 public:
  DatabaseMetrics(const Database& database, prometheus::Registry& registry);

  // Brings the metrics up to date; call it before they are read.
  void Update();

 private:
  const Database& database_;
  prometheus::Counter& commits_;
  prometheus::Counter& units_;
  prometheus::Counter& retries_;
  prometheus::Gauge& largest_batch_;
  std::array<prometheus::Counter*, 8> batches_{};
  Mutex mutex_;
  DatabaseStats shown_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_DATABASE_METRICS_H_
