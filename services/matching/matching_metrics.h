#ifndef HANDRAIL_SERVICES_MATCHING_MATCHING_METRICS_H_
#define HANDRAIL_SERVICES_MATCHING_MATCHING_METRICS_H_

#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/storage/database.h"
#include "services/matching/domain/matcher.h"

namespace handrail::matching {

// How long people wait, and what waits to be told to messaging, as metrics:
//   handrail_tickets_waiting                          in the ledger, over all replicas
//   handrail_ticket_oldest_wait_seconds               since it was asked for; 0 when nobody waits
//   handrail_outbox_entries{receiver="messaging"}     changes that messaging has not confirmed yet
//   handrail_outbox_age_seconds{receiver="messaging"} age of the oldest of them
//   handrail_matching_tickets_indexed                 that wait, in this replica's index
//   handrail_matching_sponsors_free                   with a free seat, in this replica's index
//   handrail_matching_redis_up                        1 while the queues can be reached
// Thread-safe. All references must outlive it.
class MatchingMetrics {
 public:
  MatchingMetrics(storage::Database& database, const Clock& clock, prometheus::Registry& registry);

  // Brings the metrics up to date; call it before they are read. Reads the ledger, for at most a
  // second; what cannot be read keeps its value.
  void Update(const MatcherStats& stats);

 private:
  storage::Database& database_;
  const Clock& clock_;
  prometheus::Gauge& waiting_;
  prometheus::Gauge& oldest_wait_;
  prometheus::Gauge& outbox_entries_;
  prometheus::Gauge& outbox_age_;
  prometheus::Gauge& tickets_indexed_;
  prometheus::Gauge& sponsors_free_;
  prometheus::Gauge& redis_up_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_MATCHING_METRICS_H_
