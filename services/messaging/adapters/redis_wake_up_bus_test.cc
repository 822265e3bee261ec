#include "services/messaging/adapters/redis_wake_up_bus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/testing/temporary_redis.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;

constexpr absl::Duration kPatience = absl::Seconds(20);

// A replica: its bus and what it heard.
class Replica final : public WakeUpListener {
 public:
  explicit Replica(const std::string& url) : bus_(*RedisWakeUpBus::Create(url, clock_, random_)) {
    bus_->SetListener(this);
  }
  ~Replica() override { bus_->SetListener(nullptr); }

  void OnWakeUp(const WakeUp& wake_up) override {
    Add(absl::StrCat("wake ", wake_up.device.ToString(), " ", wake_up.conversation.ToString()));
  }
  void OnGeneration(const DeviceId& device, int64_t generation) override {
    Add(absl::StrCat("generation ", device.ToString(), " ", generation));
  }
  void OnMissed() override {}

  RedisWakeUpBus& bus() { return *bus_; }
  void Listen(const DeviceId& device) {
    const absl::Time deadline = clock_.Now() + kPatience;
    bus_->Listen(device);
    ASSERT_TRUE(bus_->WaitUntilListening(device, deadline));
    // What is published before the link is there goes nowhere.
    while (!bus_->IsUp() && clock_.Now() < deadline) std::this_thread::yield();
    ASSERT_TRUE(bus_->IsUp());
  }
  std::vector<std::string> WaitFor(size_t count) {
    MutexLock lock(mutex_);
    while (heard_.size() < count && changed_.WaitFor(mutex_, kPatience)) {
    }
    return heard_;
  }

 private:
  void Add(std::string heard) {
    MutexLock lock(mutex_);
    heard_.push_back(std::move(heard));
    changed_.SignalAll();
  }

  SystemClock clock_;
  SystemRandom random_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> heard_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<RedisWakeUpBus> bus_;
};

TEST(RedisWakeUpBusTest, OthersHearAWakeUpAndWhoPublishedItDoesNot) {
  testing::TemporaryRedis server;
  Replica one(server.url());
  Replica two(server.url());
  SystemRandom random;
  const DeviceId device = DeviceId::Random(random);
  const ConversationId conversation = ConversationId::Random(random);
  one.Listen(device);
  two.Listen(device);
  one.bus().Publish({device, conversation});
  one.bus().Publish({device, ConversationId()});
  const std::string zero = ConversationId().ToString();
  EXPECT_THAT(two.WaitFor(2),
              ElementsAre(absl::StrCat("wake ", device.ToString(), " ", conversation.ToString()),
                          absl::StrCat("wake ", device.ToString(), " ", zero)));
  // Redis delivers in order: had the first heard itself, that would come before this.
  two.bus().PublishGeneration(device, 7);
  EXPECT_THAT(one.WaitFor(1), ElementsAre(absl::StrCat("generation ", device.ToString(), " 7")));
}

}  // namespace
}  // namespace handrail::messaging
