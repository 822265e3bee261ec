#include "services/messaging/messaging_metrics.h"

#include <string>

#include "common/base/status.h"

namespace handrail::messaging {
namespace {

prometheus::Gauge& MakeGauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Counter& MakeCounter(prometheus::Registry& registry, const char* name,
                                 const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

MessagingMetrics::MessagingMetrics(prometheus::Registry& registry)
    : sends_(prometheus::BuildCounter()
                 .Name("handrail_messaging_sends_total")
                 .Help("Messages that were accepted (OK) or refused, by reason.")
                 .Register(registry)),
      accepted_(sends_.Add({{"reason", "OK"}})),
      deliveries_(MakeCounter(registry, "handrail_messaging_deliveries_total",
                              "Messages handed to a stream or a page.")),
      group_resets_(MakeCounter(registry, "handrail_messaging_group_resets_total",
                                "Groups that a device started anew.")),
      invalid_commits_(prometheus::BuildCounter()
                           .Name("handrail_messaging_invalid_commits_total")
                           .Help("Commits that a device could not follow, by what it was told.")
                           .Register(registry)),
      wake_ups_missed_(MakeCounter(registry, "handrail_messaging_wake_ups_missed_total",
                                   "Times that wake-ups between replicas may have been lost.")),
      found_by_sweep_(MakeCounter(registry, "handrail_messaging_found_by_sweep_total",
                                  "Times that only the sweep found what a stream did not know.")),
      streams_(MakeGauge(registry, "handrail_messaging_streams", "Open streams of devices.")),
      events_waiting_(MakeGauge(registry, "handrail_messaging_events_waiting",
                                "Events that wait to be sent on them.")),
      streams_behind_(MakeGauge(registry, "handrail_messaging_streams_behind",
                                "Streams for which the database holds more than they take.")) {}

void MessagingMetrics::OnSend(const absl::Status& status) {
  if (status.ok()) return accepted_.Increment();
  // The reasons are a fixed list, so are the labels.
  const std::string reason = ReasonOf(status);
  sends_.Add({{"reason", reason.empty() ? "NONE" : reason}}).Increment();
}

void MessagingMetrics::OnDelivered(int64_t messages) {
  if (messages > 0) deliveries_.Increment(static_cast<double>(messages));
}

void MessagingMetrics::OnInvalidCommit(Mending mending) {
  const char* told = mending == Mending::kReset ? "reset" : "join_again";
  invalid_commits_.Add({{"mending", told}}).Increment();
}

void MessagingMetrics::Update(const DeliveryHub::Stats& stats) {
  streams_.Set(static_cast<double>(stats.streams));
  events_waiting_.Set(static_cast<double>(stats.events_waiting));
  streams_behind_.Set(static_cast<double>(stats.streams_behind));
  MutexLock lock(mutex_);
  const auto grow = [](prometheus::Counter& counter, int64_t now, int64_t& shown) {
    if (now <= shown) return;  // an older answer that came late
    counter.Increment(static_cast<double>(now - shown));
    shown = now;
  };
  grow(wake_ups_missed_, stats.wake_ups_missed, shown_.wake_ups_missed);
  grow(found_by_sweep_, stats.found_by_sweep, shown_.found_by_sweep);
}

}  // namespace handrail::messaging
