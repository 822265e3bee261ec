#include "common/rpc/call_recorder.h"

#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/status_conversion.h"

namespace handrail::rpc {
namespace {

constexpr absl::StatusCode kErrorsOfOurOwn[] = {
    absl::StatusCode::kInternal, absl::StatusCode::kUnknown, absl::StatusCode::kDataLoss};

const prometheus::Histogram::BucketBoundaries& LatencyBuckets() {
  static const auto& buckets = *new prometheus::Histogram::BucketBoundaries{
      0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
      0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
  return buckets;
}

}  // namespace

CallRecorder::CallRecorder(prometheus::Registry& registry, const PolicyTable& policy,
                           int failure_lines_per_second)
    : calls_(prometheus::BuildCounter()
                 .Name("handrail_rpc_calls_total")
                 .Help("Calls that ended, by method and canonical code.")
                 .Register(registry)),
      database_full_(prometheus::BuildCounter()
                         .Name("handrail_database_full_total")
                         .Help("Calls refused because the database has no room left.")
                         .Register(registry)
                         .Add({})),
      failure_lines_per_second_(failure_lines_per_second) {
  auto& latency = prometheus::BuildHistogram()
                      .Name("handrail_rpc_latency_seconds")
                      .Help("From the first look at a call to its answer.")
                      .Register(registry);
  for (const MethodRow& row : policy.rows()) {
    series_.push_back(std::make_unique<Series>());
    if (!row.streaming) {
      series_.back()->latency = &latency.Add({{"method", row.method}}, LatencyBuckets());
    }
    for (const absl::StatusCode code : kErrorsOfOurOwn) CounterOf(row, code);
  }
}

void CallRecorder::Record(const MethodRow& row, const absl::Status& status, int64_t latency_ns,
                          int64_t now_ns, absl::string_view trace_id) {
  const absl::string_view code = CodeName(status.code());
  const Series& series = *series_[row.index];
  CounterOf(row, status.code()).Increment();
  if (status.code() == absl::StatusCode::kResourceExhausted &&
      HasReason(status, reason::kDatabaseFull)) {
    database_full_.Increment();
  }
  if (series.latency != nullptr) series.latency->Observe(static_cast<double>(latency_ns) * 1e-9);

  if (status.ok()) {
    Log(Severity::kDebug, "call",
        {{LogField::kMethod, row.method},
         {LogField::kCode, code},
         {LogField::kLatencyUs, latency_ns / 1000},
         {LogField::kTraceId, trace_id}});
  } else if (MayLog(now_ns)) {
    Log(status.code() == absl::StatusCode::kInternal ? Severity::kError : Severity::kInfo, "call",
        {{LogField::kMethod, row.method},
         {LogField::kCode, code},
         {LogField::kReason, ReasonOf(status)},
         {LogField::kLatencyUs, latency_ns / 1000},
         {LogField::kTraceId, trace_id}});
  }
}

prometheus::Counter& CallRecorder::CounterOf(const MethodRow& row, absl::StatusCode code) {
  std::atomic<prometheus::Counter*>& slot =
      series_[row.index]->by_code[static_cast<size_t>(code) % kCodes];
  prometheus::Counter* counter = slot.load(std::memory_order_acquire);
  if (counter == nullptr) {
    // The same for the same labels.
    counter = &calls_.Add({{"method", row.method}, {"code", std::string(CodeName(code))}});
    slot.store(counter, std::memory_order_release);
  }
  return *counter;
}

bool CallRecorder::MayLog(int64_t now_ns) {
  const int64_t second = now_ns / 1'000'000'000;
  int64_t current = second_.load(std::memory_order_relaxed);
  if (current != second && second_.compare_exchange_strong(current, second)) {
    lines_.store(0, std::memory_order_relaxed);
  }
  return lines_.fetch_add(1, std::memory_order_relaxed) < failure_lines_per_second_;
}

}  // namespace handrail::rpc
