#ifndef HANDRAIL_SERVICES_MATCHING_HELP_METRICS_H_
#define HANDRAIL_SERVICES_MATCHING_HELP_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <array>

#include "common/base/clock.h"
#include "common/storage/database.h"
#include "handrail/matching/v1/crisis.pb.h"
#include "services/matching/domain/help_desk.h"

namespace handrail::matching {

// Calls for help and the lines beside them, as metrics; they say nothing of anybody:
//   handrail_help_calls_open          in the ledger, over all replicas
//   handrail_help_call_oldest_seconds since it was made; 0 when none is open
//   handrail_reach_total{outcome}     of Reach in this process
//   handrail_crisis_rows              rows that this process shows
//   handrail_crisis_rows_undated      of which nobody said when they were checked
//   handrail_crisis_rows_stale        checked more than 180 days ago
//   handrail_crisis_oldest_row_days   since the earliest check
//   handrail_matching_database_up     1 while the ledger can be read
// Thread-safe. All references must outlive it.
class HelpMetrics {
 public:
  HelpMetrics(storage::Database& database, const Clock& clock, const v1::CrisisTable& crisis,
              prometheus::Registry& registry);

  // Brings the metrics up to date; call it before they are read. Reads the ledger, for at most a
  // second; what cannot be read keeps its value.
  void Update(const HelpDesk& desk);

 private:
  storage::Database& database_;
  const Clock& clock_;
  const v1::CrisisTable& crisis_;
  prometheus::Gauge& open_;
  prometheus::Gauge& oldest_;
  std::array<prometheus::Counter*, 7> outcomes_{};  // by ReachOutcome; none for the first
  prometheus::Gauge& rows_;
  prometheus::Gauge& undated_;
  prometheus::Gauge& stale_;
  prometheus::Gauge& oldest_row_;
  prometheus::Gauge& database_up_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HELP_METRICS_H_
