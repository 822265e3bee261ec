#ifndef HANDRAIL_TOOLS_BENCHMARK_LOAD_H_
#define HANDRAIL_TOOLS_BENCHMARK_LOAD_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "tools/benchmark/histogram.h"

namespace handrail::benchmark {

// For latencies and rates: never goes back. Nanoseconds from an arbitrary start.
int64_t SteadyNanoseconds();
void SleepUntil(int64_t steady_nanoseconds);

// What is looked at when a measurement begins and when it ends, such as the CPU time of a process.
struct Window {
  std::function<void()> open = [] {};
  std::function<void()> close = [] {};
};

struct LoadResult {
  int64_t completed = 0;  // within the window
  int64_t failed = 0;     // in all
  absl::Status first_error;
  double seconds = 0;

  double PerSecond() const { return seconds > 0 ? static_cast<double>(completed) / seconds : 0; }
};

// Keeps one operation going in each of `lanes` lanes: as soon as one is answered, the lane starts
// the next.
class ClosedLoop {
 public:
  // Says that an operation ended; called exactly once for each, from any thread.
  struct Done {
    ClosedLoop* loop;
    int lane;
    void operator()(const absl::Status& status) const { loop->OnDone(lane, status); }
  };
  // Starts operation `number` (0, 1, 2, … over all lanes) and returns without waiting for it.
  using Start = std::function<void(int lane, int64_t number, Done done)>;

  ClosedLoop(int lanes, Start start) : lanes_(lanes), start_(std::move(start)) {}

  // Counts what ends in `measured` after `warm_up`. Returns when everything that was started has
  // ended. Once, of either.
  LoadResult RunFor(absl::Duration warm_up, absl::Duration measured, const Window& window = {});
  // Takes the time of exactly `count` operations.
  LoadResult RunCount(int64_t count, const Window& window = {});

 private:
  // A lane whose operations fail at once would spin; more failures than these end the run.
  static constexpr int64_t kFailureLimit = 1000;

  void StartLanes();
  void StartNext(int lane);
  void OnDone(int lane, const absl::Status& status);
  void WaitForLanes();
  LoadResult Result(int64_t completed, int64_t nanoseconds);

  const int lanes_;
  const Start start_;
  int64_t limit_ = -1;
  std::atomic<bool> stopping_{false};
  std::atomic<int64_t> next_{0};
  std::atomic<int64_t> completed_{0};
  Mutex mutex_;
  CondVar idle_;
  int active_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t failed_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status first_error_ ABSL_GUARDED_BY(mutex_);
};

// Calls `start(number, intended)` at a fixed rate for `length`, whatever becomes of what it starts:
// a stall of the other side delays nothing here, and latencies counted from `intended` (steady
// nanoseconds) contain the waiting that a closed loop would leave out. Returns how many it started.
int64_t RunOpenLoop(double per_second, absl::Duration length,
                    const std::function<void(int64_t number, int64_t intended)>& start);

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_LOAD_H_
