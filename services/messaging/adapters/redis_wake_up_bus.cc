#include "services/messaging/adapters/redis_wake_up_bus.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/macros.h"

namespace handrail::messaging {
namespace {

constexpr absl::string_view kPrefix = "hr:d:";
constexpr absl::Duration kPublishTimeout = absl::Seconds(1);

std::string ChannelOf(const DeviceId& device) { return absl::StrCat(kPrefix, device.ToString()); }

}  // namespace

RedisWakeUpBus::RedisWakeUpBus(const Clock& clock, Random& random)
    : clock_(clock), origin_(absl::StrCat("@", absl::Hex(random.Next64(), absl::kZeroPad16))) {}

absl::StatusOr<std::unique_ptr<RedisWakeUpBus>> RedisWakeUpBus::Create(const std::string& url,
                                                                       const Clock& clock,
                                                                       Random& random) {
  std::unique_ptr<RedisWakeUpBus> bus(new RedisWakeUpBus(clock, random));
  if (url.empty()) return bus;
  storage::RedisOptions options;
  options.url = url;
  options.clock = &clock;
  ASSIGN_OR_RETURN(bus->redis_, storage::ConnectRedis(options));
  RedisWakeUpBus* const self = bus.get();
  ASSIGN_OR_RETURN(bus->subscriber_,
                   storage::ConnectRedisSubscriber(
                       options,
                       [self](absl::string_view channel, absl::string_view payload) {
                         self->OnMessage(channel, payload);
                       },
                       [self] { self->OnReconnect(); }));
  return bus;
}

RedisWakeUpBus::~RedisWakeUpBus() {
  SetListener(nullptr);
  subscriber_.reset();
}

void RedisWakeUpBus::SetListener(WakeUpListener* listener) {
  MutexLock lock(mutex_);
  listener_ = listener;
}

void RedisWakeUpBus::Publish(const WakeUp& wake_up) {
  const std::string conversation =
      wake_up.conversation.IsZero() ? std::string() : wake_up.conversation.ToString();
  Send(wake_up.device, absl::StrCat("w", conversation, origin_));
}

void RedisWakeUpBus::PublishGeneration(const DeviceId& device, int64_t generation) {
  Send(device, absl::StrCat("g", generation));
}

void RedisWakeUpBus::Send(const DeviceId& device, absl::string_view payload) {
  if (redis_ == nullptr || !redis_->IsConnected()) return;
  const std::string channel = ChannelOf(device);
  const absl::string_view command[] = {"PUBLISH", channel, payload};
  // A wake-up that is lost is found by the sweep.
  redis_->CommandAsync(clock_.Now() + kPublishTimeout, command,
                       [](absl::StatusOr<storage::RedisReply>) {});
}

void RedisWakeUpBus::Listen(const DeviceId& device) {
  if (subscriber_ != nullptr) subscriber_->Subscribe(ChannelOf(device));
}

void RedisWakeUpBus::Unlisten(const DeviceId& device) {
  if (subscriber_ != nullptr) subscriber_->Unsubscribe(ChannelOf(device));
}

bool RedisWakeUpBus::WaitUntilListening(const DeviceId& device, absl::Time deadline) {
  return subscriber_ != nullptr && subscriber_->WaitUntilSubscribed(ChannelOf(device), deadline);
}

bool RedisWakeUpBus::IsUp() const {
  return redis_ != nullptr && redis_->IsConnected() && subscriber_->IsConnected();
}

void RedisWakeUpBus::OnMessage(absl::string_view channel, absl::string_view payload) {
  if (!absl::ConsumePrefix(&channel, kPrefix)) return;
  const auto device = DeviceId::Parse(channel);
  if (!device.ok()) return;
  MutexLock lock(mutex_);
  if (listener_ == nullptr) return;
  int64_t generation = 0;
  if (absl::ConsumePrefix(&payload, "g")) {
    if (absl::SimpleAtoi(payload, &generation)) listener_->OnGeneration(*device, generation);
  } else if (absl::ConsumePrefix(&payload, "w")) {
    if (absl::EndsWith(payload, origin_)) return;  // we read at once when we published it
    const auto conversation = ConversationId::Parse(payload.substr(0, payload.find('@')));
    listener_->OnWakeUp({*device, conversation.ok() ? *conversation : ConversationId()});
  }
}

void RedisWakeUpBus::OnReconnect() {
  MutexLock lock(mutex_);
  if (listener_ != nullptr) listener_->OnMissed();
}

}  // namespace handrail::messaging
