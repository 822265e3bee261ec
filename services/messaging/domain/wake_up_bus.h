#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_WAKE_UP_BUS_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_WAKE_UP_BUS_H_

#include <cstdint>

#include "absl/time/time.h"
#include "common/base/ids.h"
#include "services/messaging/domain/messages.h"

namespace handrail::messaging {

// Hears what other replicas publish. Called on a thread that must not be blocked.
class WakeUpListener {
 public:
  virtual ~WakeUpListener() = default;
  virtual void OnWakeUp(const WakeUp& wake_up) = 0;
  // A newer stream of the device has begun somewhere.
  virtual void OnGeneration(const DeviceId& device, int64_t generation) = 0;
  // Something published may have been missed.
  virtual void OnMissed() = 0;
};

// Wake-ups between replicas: ids only, may be lost, doubled or late. Thread-safe; nothing blocks
// except WaitUntilListening.
class WakeUpBus {
 public:
  virtual ~WakeUpBus() = default;
  virtual void Publish(const WakeUp& wake_up) = 0;
  virtual void PublishGeneration(const DeviceId& device, int64_t generation) = 0;
  // Counted: each Listen wants its own Unlisten.
  virtual void Listen(const DeviceId& device) = 0;
  virtual void Unlisten(const DeviceId& device) = 0;
  // True when everything published from now on is heard, while the connection lasts.
  virtual bool WaitUntilListening(const DeviceId& device, absl::Time deadline) = 0;
  virtual bool IsUp() const = 0;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_WAKE_UP_BUS_H_
