#ifndef HANDRAIL_TOOLS_BENCHMARK_CORE_RUNS_H_
#define HANDRAIL_TOOLS_BENCHMARK_CORE_RUNS_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "tools/benchmark/report.h"

// What choosing costs without services, databases or Redis: the index, the rules and the score
// alone, in this process. One sample of each figure a call.
namespace handrail::benchmark {

struct CorePlan {
  int turns = 100'000;     // of the steady state, at most; a pool settles before it is measured
  int large = 1'000'000;   // tickets of the large pool, with a fifth as many sponsors
  int decisions = 20'000;  // measured one by one in the large pool
  uint64_t seed = 20261122;
};

inline constexpr const char* kCoreRuns[] = {"core_choice_1k", "core_choice_100k", "decision_p99_1m",
                                            "decision_cost_1m_to_10k", "index_bytes"};

// Those of kCoreRuns that are wanted.
absl::Status MeasureCore(const CorePlan& plan,
                         const std::function<bool(const std::string&)>& wanted, Report& report);

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_CORE_RUNS_H_
