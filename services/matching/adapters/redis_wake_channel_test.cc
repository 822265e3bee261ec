#include "services/matching/adapters/redis_wake_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/mutex.h"
#include "common/testing/temporary_redis.h"

namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAreArray;

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
        [this] {
          MutexLock lock(mutex_);
          ++all_;
          changed_.SignalAll();
        });
    EXPECT_TRUE(channel_->WaitUntilListening(kPatience));
  }
  ~Replica() {
    if (channel_ != nullptr) channel_->Stop();
  }

  RedisWakeChannel& channel() { return *channel_; }
  std::vector<std::string> WaitFor(size_t count) {
    MutexLock lock(mutex_);
    while (heard_.size() < count && changed_.WaitFor(mutex_, kPatience)) {
    }
    return heard_;
  }
  // The answers to whatever was published before are here.
  void Settle() { EXPECT_TRUE(redis_->Command(clock_.Now() + kPatience, {"PING"}).ok()); }
  // How often everybody was meant, as soon as it is that often.
  int WaitForAll(int count) {
    MutexLock lock(mutex_);
    while (all_ < count && changed_.WaitFor(mutex_, kPatience)) {
    }
    return all_;
  }
  void Drop() { channel_ = nullptr; }
  int64_t Publications() {
    const auto info = redis_->Command(clock_.Now() + kPatience, {"INFO", "commandstats"});
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(info->text, absl::MaxSplits("cmdstat_publish:calls=", 1));
    int64_t calls = 0;
    EXPECT_TRUE(absl::SimpleAtoi(parts.second.substr(0, parts.second.find(',')), &calls));
    return calls;
  }

 private:
  SystemClock clock_;
  SystemRandom random_;
  std::unique_ptr<storage::Redis> redis_;
  std::unique_ptr<RedisWakeChannel> channel_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> heard_ ABSL_GUARDED_BY(mutex_);
  int all_ ABSL_GUARDED_BY(mutex_) = 0;
};

std::vector<std::string> Topics(size_t count) {
  std::vector<std::string> topics;
  for (size_t i = 0; i < count; ++i) topics.push_back(absl::StrCat("t", i));
  return topics;
}

TEST(RedisWakeChannelTest, OthersHearAWakeUpAndWhoPublishedItDoesNot) {
  testing::TemporaryRedis server;
  Replica one(server.url());
  Replica two(server.url());
  one.channel().Publish({"a"});
  EXPECT_THAT(two.WaitFor(1), ElementsAre("a"));
  // Redis delivers in order: had the first heard itself, "a" would come before "b".
  two.channel().Publish({"b"});
  EXPECT_THAT(one.WaitFor(1), ElementsAre("b"));
}

TEST(RedisWakeChannelTest, WhatIsToBeToldAtATimeGoesTogether) {
  testing::TemporaryRedis server;
  Replica one(server.url());
  Replica two(server.url());
  const std::vector<std::string> topics = Topics(2 * RedisWakeChannel::kTopicsAMessage + 1);
  one.channel().Publish(topics);
  EXPECT_THAT(two.WaitFor(topics.size()), UnorderedElementsAreArray(topics));
  EXPECT_EQ(one.Publications(), 3);
  one.channel().Publish({"a", "a", "b"});
  EXPECT_THAT(two.WaitFor(topics.size() + 2), SizeIs(topics.size() + 2));
  EXPECT_EQ(one.Publications(), 4);
}

TEST(RedisWakeChannelTest, TooMuchToNameWakesEverybody) {
  testing::TemporaryRedis server;
  Replica one(server.url());
  Replica two(server.url());
  const int before = two.WaitForAll(0);
  one.channel().Publish(Topics(RedisWakeChannel::kMostWaiting + 1));
  EXPECT_EQ(two.WaitForAll(before + 1), before + 1);
  one.channel().Publish({"a"});
  EXPECT_THAT(two.WaitFor(1), ElementsAre("a"));
}

TEST(RedisWakeChannelTest, AnswersMayComeWhenItIsGone) {
  testing::TemporaryRedis server;
  Replica one(server.url());
  for (int i = 0; i < 50; ++i) one.channel().Publish({absl::StrCat("t", i)});
  one.Drop();
  one.Settle();
}

}  // namespace
}  // namespace handrail::matching
