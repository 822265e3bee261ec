#ifndef HANDRAIL_COMMON_RPC_TIMER_QUEUE_H_
#define HANDRAIL_COMMON_RPC_TIMER_QUEUE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace handrail::rpc {

// One thread that runs short callbacks later, for pings and lifetimes of streams. Steady time, not
// the time of day. Callbacks must not block. Thread-safe.
class TimerQueue {
 public:
  using TimerId = uint64_t;  // never 0

  TimerQueue();
  ~TimerQueue();  // callbacks that are not due never run; one in progress is waited for

  // Runs `work` once, `delay` from now.
  TimerId RunAfter(absl::Duration delay, std::function<void()> work);
  // Forgets a timer. Its callback may be in progress on the timer thread when this returns: a
  // callback holds a weak_ptr to what it touches.
  void Cancel(TimerId id);
  void Stop();  // idempotent

 private:
  using Due = std::pair<int64_t, TimerId>;  // steady nanoseconds
  void Loop();

  Mutex mutex_;
  CondVar wake_;
  TimerId next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<Due, std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<TimerId, int64_t> due_by_id_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_TIMER_QUEUE_H_
