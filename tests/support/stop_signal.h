#ifndef HANDRAIL_TESTS_SUPPORT_STOP_SIGNAL_H_
#define HANDRAIL_TESTS_SUPPORT_STOP_SIGNAL_H_

#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace handrail::tests {

// Tells threads to end, and is what they pause on meanwhile. Thread-safe.
class StopSignal {
 public:
  void Stop() {
    MutexLock lock(mutex_);
    stopped_ = true;
    wake_.SignalAll();
  }
  bool stopped() const {
    MutexLock lock(mutex_);
    return stopped_;
  }
  // True when it is time to end; false when only the pause is over.
  bool Pause(absl::Duration how_long) {
    MutexLock lock(mutex_);
    if (!stopped_) wake_.WaitFor(mutex_, how_long);
    return stopped_;
  }

 private:
  mutable Mutex mutex_;
  CondVar wake_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_SUPPORT_STOP_SIGNAL_H_
