#ifndef HANDRAIL_SERVICES_MESSAGING_REPORT_METRICS_H_
#define HANDRAIL_SERVICES_MESSAGING_REPORT_METRICS_H_

#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "common/base/clock.h"
#include "services/messaging/domain/report_sender.h"
#include "services/messaging/domain/reports.h"

namespace handrail::messaging {

// Reports on their way to profiles, as every outbox shows itself, with receiver="profiles":
//   handrail_outbox_entries       that profiles has not confirmed yet
//   handrail_outbox_age_seconds   age of the oldest of them
//   handrail_outbox_delivered     since the start
//   handrail_outbox_failures      failed deliveries since the start
//   handrail_outbox_refused       those of them that were refusals of one entry, by code
// The registry must outlive it.
class ReportMetrics {
 public:
  explicit ReportMetrics(prometheus::Registry& registry);

  // Brings them up to date; call it before they are read. Reads the store, for at most a second.
  void Update(ReportStore& store, const ReportSender& sender, const Clock& clock);

 private:
  prometheus::Gauge& entries_;
  prometheus::Gauge& age_seconds_;
  prometheus::Gauge& delivered_;
  prometheus::Gauge& failures_;
  prometheus::Family<prometheus::Gauge>& refused_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_REPORT_METRICS_H_
