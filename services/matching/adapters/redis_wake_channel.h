#ifndef HANDRAIL_SERVICES_MATCHING_ADAPTERS_REDIS_WAKE_CHANNEL_H_
#define HANDRAIL_SERVICES_MATCHING_ADAPTERS_REDIS_WAKE_CHANNEL_H_

#include <functional>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/storage/redis.h"
#include "services/matching/domain/watch_hub.h"

namespace handrail::matching {

// Wake-ups over Redis pub/sub: the topic is an opaque id, the payload is empty. Thread-safe.
class RedisWakeChannel final : public WakeChannel {
 public:
  using OnWake = std::function<void(const std::string& topic)>;

  // `redis` and `clock` must outlive it. INVALID_ARGUMENT / CONFIGURATION_INVALID for a bad URL.
  static absl::StatusOr<std::unique_ptr<RedisWakeChannel>> Create(
      storage::Redis& redis, const storage::RedisOptions& options, const Clock& clock,
      Random& random);

  // Once, before anybody subscribes. Neither may block.
  void Listen(OnWake on_wake, std::function<void()> on_reconnect);
  // Nothing is heard any more.
  void Stop() { subscriber_.reset(); }

  void Publish(const std::string& topic) override;
  void Subscribe(const std::string& topic) override;
  void Unsubscribe(const std::string& topic) override;
  bool WaitUntilSubscribed(const std::string& topic, absl::Duration timeout) override;
  bool IsUp() const override;

 private:
  RedisWakeChannel(storage::Redis& redis, const storage::RedisOptions& options, const Clock& clock,
                   Random& random);

  storage::Redis& redis_;
  const storage::RedisOptions options_;
  const Clock& clock_;
  const std::string origin_;  // what we publish carries it, so that we know it when it comes back
  std::unique_ptr<storage::RedisSubscriber> subscriber_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_REDIS_WAKE_CHANNEL_H_
