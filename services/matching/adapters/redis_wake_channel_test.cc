#include "services/matching/adapters/redis_wake_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/testing/temporary_redis.h"

namespace handrail::matching {
namespace {

using ::testing::ElementsAre;

constexpr absl::Duration kPatience = absl::Seconds(20);

// A replica: its channel and what it heard.
class Replica {
 public:
  explicit Replica(const std::string& url) {
    storage::RedisOptions options;
    options.url = url;
    redis_ = *storage::ConnectRedis(options);
    // Until its link is up a replica publishes nothing: a wake-up may be lost.
    EXPECT_TRUE(redis_->Command(clock_.Now() + kPatience, {"PING"}).ok());
    channel_ = *RedisWakeChannel::Create(*redis_, options, clock_, random_);
    channel_->Listen(
        [this](const std::string& topic) {
          MutexLock lock(mutex_);
          heard_.push_back(topic);
          changed_.SignalAll();
        },
        [] {});
  }
  ~Replica() { channel_->Stop(); }

  RedisWakeChannel& channel() { return *channel_; }
  std::vector<std::string> WaitFor(size_t count) {
    MutexLock lock(mutex_);
    while (heard_.size() < count && changed_.WaitFor(mutex_, kPatience)) {
    }
    return heard_;
  }

 private:
  SystemClock clock_;
  SystemRandom random_;
  std::unique_ptr<storage::Redis> redis_;
  std::unique_ptr<RedisWakeChannel> channel_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> heard_ ABSL_GUARDED_BY(mutex_);
};

TEST(RedisWakeChannelTest, OthersHearAWakeUpAndWhoPublishedItDoesNot) {
  testing::TemporaryRedis server;
  Replica one(server.url());
  Replica two(server.url());
  for (Replica* replica : {&one, &two}) {
    for (const char* topic : {"a", "b"}) {
      replica->channel().Subscribe(topic);
      ASSERT_TRUE(replica->channel().WaitUntilSubscribed(topic, kPatience));
    }
  }
  one.channel().Publish("a");
  EXPECT_THAT(two.WaitFor(1), ElementsAre("a"));
  // Redis delivers in order: had the first heard itself, "a" would come before "b".
  two.channel().Publish("b");
  EXPECT_THAT(one.WaitFor(1), ElementsAre("b"));
}

}  // namespace
}  // namespace handrail::matching
