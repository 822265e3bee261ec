#include "services/matching/adapters/redis_wake_channel.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace handrail::matching {
namespace {

constexpr absl::string_view kPrefix = "hr:w:";
constexpr absl::Duration kPublishTimeout = absl::Seconds(1);

std::string ChannelOf(const std::string& topic) { return absl::StrCat(kPrefix, topic); }

}  // namespace

absl::StatusOr<std::unique_ptr<RedisWakeChannel>> RedisWakeChannel::Create(
    storage::Redis& redis, const storage::RedisOptions& options, const Clock& clock,
    Random& random) {
  return std::unique_ptr<RedisWakeChannel>(new RedisWakeChannel(redis, options, clock, random));
}

RedisWakeChannel::RedisWakeChannel(storage::Redis& redis, const storage::RedisOptions& options,
                                   const Clock& clock, Random& random)
    : redis_(redis),
      options_(options),
      clock_(clock),
      origin_(absl::StrCat(absl::Hex(random.Next64(), absl::kZeroPad16))) {}

void RedisWakeChannel::Listen(OnWake on_wake, std::function<void()> on_reconnect) {
  auto subscriber = storage::ConnectRedisSubscriber(
      options_,
      [on_wake = std::move(on_wake), origin = origin_](absl::string_view channel,
                                                       absl::string_view payload) {
        // Who publishes has woken its own watches already.
        if (channel.size() <= kPrefix.size() || payload == origin) return;
        on_wake(std::string(channel.substr(kPrefix.size())));
      },
      std::move(on_reconnect));
  if (subscriber.ok()) subscriber_ = *std::move(subscriber);  // the URL was checked by ConnectRedis
}

void RedisWakeChannel::Publish(const std::string& topic) {
  if (!redis_.IsConnected()) return;
  const std::string channel = ChannelOf(topic);
  redis_.CommandAsync(clock_.Now() + kPublishTimeout, {"PUBLISH", channel, origin_},
                      [](const absl::StatusOr<storage::RedisReply>&) {});
}

void RedisWakeChannel::Subscribe(const std::string& topic) {
  if (subscriber_ != nullptr) subscriber_->Subscribe(ChannelOf(topic));
}

void RedisWakeChannel::Unsubscribe(const std::string& topic) {
  if (subscriber_ != nullptr) subscriber_->Unsubscribe(ChannelOf(topic));
}

bool RedisWakeChannel::WaitUntilSubscribed(const std::string& topic, absl::Duration timeout) {
  return subscriber_ != nullptr &&
         subscriber_->WaitUntilSubscribed(ChannelOf(topic), clock_.Now() + timeout);
}

bool RedisWakeChannel::IsUp() const { return subscriber_ != nullptr && subscriber_->IsConnected(); }

}  // namespace handrail::matching
