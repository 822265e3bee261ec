#ifndef HANDRAIL_SERVICES_MESSAGING_ADAPTERS_REDIS_WAKE_UP_BUS_H_
#define HANDRAIL_SERVICES_MESSAGING_ADAPTERS_REDIS_WAKE_UP_BUS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/storage/redis.h"
#include "services/messaging/domain/wake_up_bus.h"

namespace handrail::messaging {

// Wake-ups through Redis pub/sub: one channel a device, "hr:d:<device>". What is published is "w"
// and the conversation's id (or nothing), or "g" and the number of a generation: ids only. Without
// a server (an empty URL) it is down for ever, and the sweep delivers. Thread-safe.
class RedisWakeUpBus final : public WakeUpBus {
 public:
  // Codes as of ConnectRedis. `clock` must outlive the bus. A wake-up that this bus published is
  // not heard by its own listener, who knows; `random` makes the mark by which it is recognised.
  static absl::StatusOr<std::unique_ptr<RedisWakeUpBus>> Create(const std::string& url,
                                                                const Clock& clock, Random& random);
  ~RedisWakeUpBus() override;

  // Who hears; null for nobody. When it returns, the one before is not called any more.
  void SetListener(WakeUpListener* listener);

  void Publish(const WakeUp& wake_up) override;
  void PublishGeneration(const DeviceId& device, int64_t generation) override;
  void Listen(const DeviceId& device) override;
  void Unlisten(const DeviceId& device) override;
  bool WaitUntilListening(const DeviceId& device, absl::Time deadline) override;
  bool IsUp() const override;

 private:
  RedisWakeUpBus(const Clock& clock, Random& random);
  void Send(const DeviceId& device, absl::string_view payload);
  void OnMessage(absl::string_view channel, absl::string_view payload);
  void OnReconnect();

  const Clock& clock_;
  const std::string origin_;  // "@" and 16 hexadecimal digits
  Mutex mutex_;
  WakeUpListener* listener_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::unique_ptr<storage::Redis> redis_;
  std::unique_ptr<storage::RedisSubscriber> subscriber_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_ADAPTERS_REDIS_WAKE_UP_BUS_H_
