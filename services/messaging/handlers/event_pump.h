#ifndef HANDRAIL_SERVICES_MESSAGING_HANDLERS_EVENT_PUMP_H_
#define HANDRAIL_SERVICES_MESSAGING_HANDLERS_EVENT_PUMP_H_

#include <functional>

#include "common/base/mutex.h"

namespace handrail::messaging {

// Runs `pump` whenever it is woken, on the waking thread, never twice at once: a wake-up during a
// run makes that run go round again. Thread-safe.
class EventPump {
 public:
  explicit EventPump(std::function<void()> pump) : pump_(std::move(pump)) {}

  void Wake() {
    {
      MutexLock lock(mutex_);
      again_ = true;
      if (running_) return;
      running_ = true;
    }
    while (Again()) pump_();
  }

 private:
  bool Again() {
    MutexLock lock(mutex_);
    running_ = again_;
    again_ = false;
    return running_;
  }

  const std::function<void()> pump_;
  Mutex mutex_;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  bool again_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_HANDLERS_EVENT_PUMP_H_
