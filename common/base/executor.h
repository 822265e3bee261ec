#ifndef HANDRAIL_COMMON_BASE_EXECUTOR_H_
#define HANDRAIL_COMMON_BASE_EXECUTOR_H_

#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace handrail {

// A fixed number of threads and a queue with a bound, for straight-line code that may block.
// Thread-safe.
class Executor {
 public:
  Executor(int threads, size_t queue_limit);
  // Runs what is queued, then joins.
  ~Executor();

  // False when the queue is full or the executor stops: the caller refuses the work, it is not lost
  // silently.
  bool TryRun(std::function<void()> work);
  // Takes no more work, runs what is queued and joins. Idempotent; not from a worker thread.
  void Stop();
  size_t QueuedCount() const;

 private:
  void Loop();

  const size_t queue_limit_;
  mutable Mutex mutex_;
  CondVar wake_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

// One thread that runs `work` every `interval`, and at once after Wake(). The next run starts
// `interval` after the last one ended. Stops, joined, on destruction.
class PeriodicTask {
 public:
  PeriodicTask(absl::Duration interval, std::function<void()> work);
  ~PeriodicTask();

  void Wake();
  void Stop();  // idempotent; waits for a run in progress

 private:
  void Loop();

  const absl::Duration interval_;
  const std::function<void()> work_;
  Mutex mutex_;
  CondVar wake_;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace handrail

#endif  // HANDRAIL_COMMON_BASE_EXECUTOR_H_
