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

// Wake-ups over one pub/sub channel of Redis that every replica hears. A message is a random name
// of who sent it and up to kTopicsAMessage topics, which are opaque ids. One message is under way
// at a time; what comes meanwhile goes together with the next, each topic once. Thread-safe.
class RedisWakeChannel final : public WakeChannel {
 public:
  static constexpr size_t kTopicsAMessage = 256;
  // More topics than this at a time become one wake-up of everybody.
  static constexpr size_t kMostWaiting = 8192;

  using OnWake = std::function<void(const std::string& topic)>;

  // `redis` and `clock` must outlive it. INVALID_ARGUMENT / CONFIGURATION_INVALID for a bad URL.
  static absl::StatusOr<std::unique_ptr<RedisWakeChannel>> Create(
      storage::Redis& redis, const storage::RedisOptions& options, const Clock& clock,
      Random& random);
  ~RedisWakeChannel() override;

  // Once, before anything is published. `on_all` when everybody may have been meant: after a
  // reconnection, or when another replica had too much to name. Neither may block.
  void Listen(OnWake on_wake, std::function<void()> on_all);
  // Nothing is heard any more.
  void Stop() { subscriber_.reset(); }

  void Publish(absl::Span<const std::string> topics) override;
  bool WaitUntilListening(absl::Duration timeout) override;
  bool IsUp() const override;

 private:
  class Outgoing;

  RedisWakeChannel(storage::Redis& redis, const storage::RedisOptions& options, const Clock& clock,
                   Random& random);

  storage::Redis& redis_;
  const storage::RedisOptions options_;
  const Clock& clock_;
  const std::string origin_;  // what we publish carries it, so that we know it when it comes back
  const std::shared_ptr<Outgoing> outgoing_;
  std::unique_ptr<storage::RedisSubscriber> subscriber_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_REDIS_WAKE_CHANNEL_H_
