#ifndef HANDRAIL_COMMON_TESTING_SIMULATED_CLOCK_H_
#define HANDRAIL_COMMON_TESTING_SIMULATED_CLOCK_H_

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace handrail::testing {

// Time that moves only by hand. Starts on 1 March 2026, 12:00 UTC. Thread-safe.
class SimulatedClock final : public Clock {
 public:
  absl::Time Now() const override {
    MutexLock lock(mutex_);
    return now_;
  }
  void Advance(absl::Duration by) {
    MutexLock lock(mutex_);
    now_ += by;
  }
  void Set(absl::Time to) {
    MutexLock lock(mutex_);
    now_ = to;
  }

 private:
  mutable Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_) = absl::FromUnixSeconds(1772366400);
};

}  // namespace handrail::testing

#endif  // HANDRAIL_COMMON_TESTING_SIMULATED_CLOCK_H_
