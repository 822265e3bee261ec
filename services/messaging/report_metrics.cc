#include "services/messaging/report_metrics.h"

namespace handrail::messaging {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(1);

prometheus::Gauge& MakeGauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(
      {{"receiver", "profiles"}});
}

}  // namespace

ReportMetrics::ReportMetrics(prometheus::Registry& registry)
    : entries_(MakeGauge(registry, "handrail_outbox_entries",
                         "Changes that a receiver has not confirmed yet.")),
      age_seconds_(
          MakeGauge(registry, "handrail_outbox_age_seconds", "Age of the oldest of them.")),
      delivered_(
          MakeGauge(registry, "handrail_outbox_delivered", "Entries delivered since the start.")),
      failures_(
          MakeGauge(registry, "handrail_outbox_failures", "Failed deliveries since the start.")),
      refused_(prometheus::BuildGauge()
                   .Name("handrail_outbox_refused")
                   .Help("Refusals of one entry since the start.")
                   .Register(registry)) {}

void ReportMetrics::Update(ReportStore& store, const ReportSender& sender, const Clock& clock) {
  delivered_.Set(static_cast<double>(sender.loop().delivered()));
  failures_.Set(static_cast<double>(sender.loop().failures()));
  for (const auto& [code, count] : sender.loop().Refusals()) {
    refused_.Add({{"receiver", "profiles"}, {"code", absl::StatusCodeToString(code)}})
        .Set(static_cast<double>(count));
  }
  const auto state = store.State(clock.Now() + kTimeout);
  if (!state.ok()) return;
  entries_.Set(static_cast<double>(state->entries));
  age_seconds_.Set(state->oldest.has_value() ? absl::ToDoubleSeconds(clock.Now() - *state->oldest)
                                             : 0);
}

}  // namespace handrail::messaging
