#ifndef HANDRAIL_COMMON_RPC_CALL_RECORDER_H_
#define HANDRAIL_COMMON_RPC_CALL_RECORDER_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/rpc/policy_table.h"

namespace handrail::rpc {

// One log line and the metrics of each call:
//   handrail_rpc_calls_total{method, code}
//   handrail_rpc_latency_seconds{method}   from the edge's first look to the answer
//   handrail_database_full_total           calls refused because the database has no room
// Errors of our own are there as 0 before the first one: an alert on a rate sees no jump from
// nothing to one.
// A call that was answered is logged at debug, another at info, at most `failure_lines_per_second`.
// No label and no field identifies a person. Thread-safe.
class CallRecorder {
 public:
  CallRecorder(prometheus::Registry& registry, const PolicyTable& policy,
               int failure_lines_per_second);

  void Record(const MethodRow& row, const absl::Status& status, int64_t latency_ns, int64_t now_ns,
              absl::string_view trace_id);

 private:
  static constexpr size_t kCodes = 17;
  struct Series {
    std::array<std::atomic<prometheus::Counter*>, kCodes> by_code{};
    prometheus::Histogram* latency = nullptr;
  };

  prometheus::Counter& CounterOf(const MethodRow& row, absl::StatusCode code);
  bool MayLog(int64_t now_ns);

  prometheus::Family<prometheus::Counter>& calls_;
  prometheus::Counter& database_full_;
  std::vector<std::unique_ptr<Series>> series_;  // by MethodRow::index
  const int failure_lines_per_second_;
  std::atomic<int64_t> second_{0};
  std::atomic<int> lines_{0};
};

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_CALL_RECORDER_H_
