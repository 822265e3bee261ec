#ifndef HANDRAIL_SERVICES_MESSAGING_MESSAGING_METRICS_H_
#define HANDRAIL_SERVICES_MESSAGING_MESSAGING_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "common/base/mutex.h"
#include "services/messaging/domain/delivery_hub.h"
#include "services/messaging/domain/meter.h"

namespace handrail::messaging {

// What goes through this replica, as metrics:
//   handrail_messaging_streams                        open streams of devices
//   handrail_messaging_events_waiting                 to be sent on them
//   handrail_messaging_streams_behind                 those for which the database holds more
//   handrail_messaging_sends_total{reason="..."}      messages, "OK" or why they were refused; a
//                                                     unary one that the edge refused is only in
//                                                     handrail_rpc_calls_total
//   handrail_messaging_deliveries_total               messages handed to a stream or a page
//   handrail_messaging_group_resets_total             groups that were started anew
//   handrail_messaging_invalid_commits_total{mending="..."}
//                                                     commits that devices could not follow, by
//                                                     what they were told: join_again or reset
//   handrail_messaging_wake_ups_missed_total          times that Redis may have lost wake-ups
//   handrail_messaging_found_by_sweep_total           times that only the sweep found what was new
// Thread-safe. The registry must outlive it.
class MessagingMetrics final : public Meter {
 public:
  explicit MessagingMetrics(prometheus::Registry& registry);

  void OnSend(const absl::Status& status) override;
  void OnDelivered(int64_t messages) override;
  void OnGroupReset() override { group_resets_.Increment(); }
  void OnInvalidCommit(Mending mending) override;

  // Brings the rest up to date; call it before they are read.
  void Update(const DeliveryHub::Stats& stats);

 private:
  prometheus::Family<prometheus::Counter>& sends_;
  prometheus::Counter& accepted_;  // one of sends_, at hand for the hot path
  prometheus::Counter& deliveries_;
  prometheus::Counter& group_resets_;
  prometheus::Family<prometheus::Counter>& invalid_commits_;
  prometheus::Counter& wake_ups_missed_;
  prometheus::Counter& found_by_sweep_;
  prometheus::Gauge& streams_;
  prometheus::Gauge& events_waiting_;
  prometheus::Gauge& streams_behind_;
  Mutex mutex_;
  DeliveryHub::Stats shown_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_MESSAGING_METRICS_H_
