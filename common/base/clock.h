#ifndef HANDRAIL_COMMON_BASE_CLOCK_H_
#define HANDRAIL_COMMON_BASE_CLOCK_H_

#include "absl/time/time.h"

namespace handrail {

// The time of day, injected so that tests move it by hand (common/testing/simulated_clock.h).
// Implementations are thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
};

// The machine's clock. The only place, with random.cc and the mains, that may ask the system.
class SystemClock final : public Clock {
 public:
  absl::Time Now() const override;
};

}  // namespace handrail

#endif  // HANDRAIL_COMMON_BASE_CLOCK_H_
