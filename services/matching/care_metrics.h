#ifndef HANDRAIL_SERVICES_MATCHING_CARE_METRICS_H_
#define HANDRAIL_SERVICES_MATCHING_CARE_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <array>

#include "common/base/clock.h"
#include "common/storage/database.h"
#include "services/matching/domain/ledger.h"

namespace handrail::matching {

// The clock of the first human contact, and what people are told, as metrics:
//   handrail_tickets_open_by_age{age="0h"|"24h"|"48h"|"72h"}  in the ledger, over all replicas:
//   tickets
//       that nobody has accepted yet, by how long ago they were asked for: less than 24 hours, from
//       24 (the target), from 48 (the alert), from 72 on (the breach)
//   handrail_care_overdue_seconds      how long the most overdue step of care has been due; 0 when
//   none is handrail_notices_total{kind}                              what this replica told people
// The clock of a ticket begins when it is asked for (of a rematch: when that is asked for) and
// stops when a sponsor accepts: a person has said yes, and the conversation opens within seconds.
// What the two then say is not ours to see. Thread-safe. All references must outlive it.
class CareMetrics {
 public:
  CareMetrics(storage::Database& database, const Clock& clock, prometheus::Registry& registry);

  // Counts what a step told people.
  void Count(const Effects& effects);
  // Brings the gauges up to date; call it before they are read. Reads the ledger, for at most a
  // second; what cannot be read keeps its value.
  void Update();

 private:
  storage::Database& database_;
  const Clock& clock_;
  prometheus::Gauge& overdue_;
  std::array<prometheus::Gauge*, 4> by_age_;
  std::array<prometheus::Counter*, kNoticeKindCount> notices_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_CARE_METRICS_H_
