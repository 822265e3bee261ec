#ifndef HANDRAIL_SERVICES_MESSAGING_PUSH_METRICS_H_
#define HANDRAIL_SERVICES_MESSAGING_PUSH_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "services/messaging/domain/push.h"
#include "services/messaging/domain/pusher.h"

namespace handrail::messaging {

// What becomes of this replica's pushes, as metrics:
//   handrail_messaging_pushes_total{outcome="..."}   sent, gone, refused or failed
//   handrail_messaging_push_dropped_total            devices for which there was no room in memory
//   handrail_messaging_push_waiting                  devices that are to be looked at
//   handrail_messaging_push_failing_seconds          how long the gateway has taken nothing
// Thread-safe. The registry must outlive it.
class PushMetrics final : public PushMeter {
 public:
  explicit PushMetrics(prometheus::Registry& registry);

  void OnPush(PushOutcome outcome) override;
  void OnDropped(int64_t devices) override;

  // Brings the rest up to date; call it before they are read.
  void Update(const Pusher::Stats& stats);

 private:
  prometheus::Family<prometheus::Counter>& pushes_;
  prometheus::Counter& sent_;
  prometheus::Counter& gone_;
  prometheus::Counter& refused_;
  prometheus::Counter& failed_;
  prometheus::Counter& dropped_;
  prometheus::Gauge& waiting_;
  prometheus::Gauge& failing_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_PUSH_METRICS_H_
