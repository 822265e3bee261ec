#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_ABSENCE_LISTENER_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_ABSENCE_LISTENER_H_

#include <cstdint>

#include "absl/types/span.h"
#include "common/base/ids.h"

namespace handrail::messaging {

// Hears of devices that may not be there to read. Called in the path of every send: must not block,
// and may only take note.
class AbsenceListener {
 public:
  virtual ~AbsenceListener() = default;
  // Something was stored for devices that have no stream here.
  virtual void OnAway(absl::Span<const DeviceId> devices) = 0;
  // A stream of this process is over; another of the device may have begun before.
  virtual void OnStreamEnded(const DeviceId& device, int64_t generation) = 0;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_ABSENCE_LISTENER_H_
