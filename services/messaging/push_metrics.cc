#include "services/messaging/push_metrics.h"

namespace handrail::messaging {

PushMetrics::PushMetrics(prometheus::Registry& registry)
    : pushes_(prometheus::BuildCounter()
                  .Name("handrail_messaging_pushes_total")
                  .Help("Pushes by what the gateway made of them.")
                  .Register(registry)),
      sent_(pushes_.Add({{"outcome", "sent"}})),
      gone_(pushes_.Add({{"outcome", "gone"}})),
      refused_(pushes_.Add({{"outcome", "refused"}})),
      failed_(pushes_.Add({{"outcome", "failed"}})),
      dropped_(prometheus::BuildCounter()
                   .Name("handrail_messaging_push_dropped_total")
                   .Help("Devices for which there was no room in memory; the sweep finds them.")
                   .Register(registry)
                   .Add({})),
      waiting_(prometheus::BuildGauge()
                   .Name("handrail_messaging_push_waiting")
                   .Help("Devices that are to be looked at.")
                   .Register(registry)
                   .Add({})),
      failing_(prometheus::BuildGauge()
                   .Name("handrail_messaging_push_failing_seconds")
                   .Help("How long the push gateway has taken nothing of what it was told.")
                   .Register(registry)
                   .Add({})) {}

void PushMetrics::OnPush(PushOutcome outcome) {
  switch (outcome) {
    case PushOutcome::kSent: return sent_.Increment();
    case PushOutcome::kGone: return gone_.Increment();
    case PushOutcome::kRefused: return refused_.Increment();
    case PushOutcome::kFailed: return failed_.Increment();
  }
}

void PushMetrics::OnDropped(int64_t devices) { dropped_.Increment(static_cast<double>(devices)); }

void PushMetrics::Update(const Pusher::Stats& stats) {
  waiting_.Set(static_cast<double>(stats.waiting));
  failing_.Set(absl::ToDoubleSeconds(stats.failing_for));
}

}  // namespace handrail::messaging
