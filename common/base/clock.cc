#include "common/base/clock.h"

#include "absl/time/clock.h"

namespace handrail {

absl::Time SystemClock::Now() const { return absl::Now(); }

}  // namespace handrail
