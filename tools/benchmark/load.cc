#include "tools/benchmark/load.h"

#include <chrono>
#include <thread>

namespace handrail::benchmark {

int64_t SteadyNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void SleepUntil(int64_t steady_nanoseconds) {
  std::this_thread::sleep_until(
      std::chrono::steady_clock::time_point(std::chrono::nanoseconds(steady_nanoseconds)));
}

LoadResult ClosedLoop::RunFor(absl::Duration warm_up, absl::Duration measured,
                              const Window& window) {
  StartLanes();
  SleepUntil(SteadyNanoseconds() + absl::ToInt64Nanoseconds(warm_up));
  window.open();
  const int64_t completed_before = completed_;
  const int64_t begin = SteadyNanoseconds();
  SleepUntil(begin + absl::ToInt64Nanoseconds(measured));
  const int64_t completed = completed_ - completed_before;
  const int64_t end = SteadyNanoseconds();
  window.close();
  stopping_ = true;
  WaitForLanes();
  return Result(completed, end - begin);
}

LoadResult ClosedLoop::RunCount(int64_t count, const Window& window) {
  limit_ = count;
  window.open();
  const int64_t begin = SteadyNanoseconds();
  StartLanes();
  WaitForLanes();
  const int64_t end = SteadyNanoseconds();
  window.close();
  return Result(completed_, end - begin);
}

void ClosedLoop::StartLanes() {
  {
    MutexLock lock(mutex_);
    active_ = lanes_;
  }
  for (int lane = 0; lane < lanes_; ++lane) StartNext(lane);
}

void ClosedLoop::StartNext(int lane) {
  const int64_t number = next_.fetch_add(1, std::memory_order_relaxed);
  if (!stopping_ && (limit_ < 0 || number < limit_)) {
    start_(lane, number, Done{this, lane});
    return;
  }
  MutexLock lock(mutex_);
  if (--active_ == 0) idle_.SignalAll();
}

void ClosedLoop::OnDone(int lane, const absl::Status& status) {
  if (status.ok()) {
    completed_.fetch_add(1, std::memory_order_relaxed);
  } else {
    MutexLock lock(mutex_);
    if (first_error_.ok()) first_error_ = status;
    if (++failed_ > kFailureLimit) stopping_ = true;
  }
  StartNext(lane);
}

void ClosedLoop::WaitForLanes() {
  MutexLock lock(mutex_);
  while (active_ > 0) idle_.Wait(mutex_);
}

LoadResult ClosedLoop::Result(int64_t completed, int64_t nanoseconds) {
  LoadResult result;
  result.completed = completed;
  result.seconds = static_cast<double>(nanoseconds) / 1e9;
  MutexLock lock(mutex_);
  result.failed = failed_;
  result.first_error = first_error_;
  return result;
}

int64_t RunOpenLoop(double per_second, absl::Duration length,
                    const std::function<void(int64_t number, int64_t intended)>& start) {
  const auto count = static_cast<int64_t>(per_second * absl::ToDoubleSeconds(length));
  const int64_t begin = SteadyNanoseconds();
  for (int64_t number = 0; number < count; ++number) {
    const int64_t intended =
        begin + static_cast<int64_t>(static_cast<double>(number) * 1e9 / per_second);
    SleepUntil(intended);  // at once when we are late
    start(number, intended);
  }
  return count;
}

}  // namespace handrail::benchmark
