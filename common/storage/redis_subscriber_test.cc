#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/storage/redis.h"
#include "common/storage/redis_test_util.h"
#include "common/testing/temporary_redis.h"

namespace handrail::storage {
namespace {

using ::handrail::testing::TemporaryRedis;

class RedisSubscriberTest : public ::testing::Test {
 protected:
  void Connect(RedisOptions options = {}) {
    options.url = server_.url();
    auto subscriber = ConnectRedisSubscriber(
        options,
        [this](absl::string_view channel, absl::string_view payload) {
          MutexLock lock(mutex_);
          heard_[std::string(channel)].emplace_back(payload);
        },
        [this] { ++reconnected_; });
    ASSERT_TRUE(subscriber.ok());
    subscriber_ = *std::move(subscriber);
    redis_ = MustConnect(server_.url());
  }
  bool Subscribed(const std::string& channel) {
    return subscriber_->WaitUntilSubscribed(channel, In(absl::Seconds(20)));
  }
  int64_t Publish(absl::string_view channel, absl::string_view payload) {
    const auto reply = Do(*redis_, {"PUBLISH", channel, payload});
    return reply.ok() ? reply->integer : -1;
  }
  std::vector<std::string> Heard(const std::string& channel) {
    MutexLock lock(mutex_);
    return heard_[channel];
  }
  bool Hears(const std::string& channel, size_t count) {
    return Eventually([&] { return Heard(channel).size() == count; });
  }

  TemporaryRedis server_;
  Mutex mutex_;
  std::map<std::string, std::vector<std::string>> heard_ ABSL_GUARDED_BY(mutex_);
  std::atomic<int> reconnected_{0};
  std::unique_ptr<Redis> redis_;
  std::unique_ptr<RedisSubscriber> subscriber_;  // last: its thread uses what is above
};

TEST_F(RedisSubscriberTest, HearsWhatIsPublished) {
  Connect();
  const std::string binary("a\0\r\n", 4);
  subscriber_->Subscribe("one");
  subscriber_->Subscribe(binary);
  ASSERT_TRUE(Subscribed("one"));
  ASSERT_TRUE(Subscribed(binary));
  EXPECT_TRUE(subscriber_->IsConnected());
  for (int i = 0; i < 1000; ++i) Publish("one", absl::StrCat(i));
  EXPECT_EQ(Publish(binary, binary), 1);
  EXPECT_EQ(Publish("other", "x"), 0);
  ASSERT_TRUE(Hears("one", 1000));
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(Heard("one")[static_cast<size_t>(i)], absl::StrCat(i));
  ASSERT_TRUE(Hears(binary, 1));
  EXPECT_EQ(Heard(binary)[0], binary);
  EXPECT_EQ(reconnected_, 0);
}

TEST_F(RedisSubscriberTest, CountsSubscriptions) {
  Connect();
  subscriber_->Subscribe("c");
  subscriber_->Subscribe("c");
  ASSERT_TRUE(Subscribed("c"));
  subscriber_->Unsubscribe("c");
  EXPECT_EQ(Publish("c", "1"), 1);
  ASSERT_TRUE(Hears("c", 1));
  subscriber_->Unsubscribe("c");
  EXPECT_TRUE(Eventually([&] { return Publish("c", "2") == 0; }));
  subscriber_->Unsubscribe("c");  // one too many does nothing
  subscriber_->Subscribe("c");
  ASSERT_TRUE(Subscribed("c"));
  EXPECT_EQ(Publish("c", "3"), 1);
  ASSERT_TRUE(Eventually([&] { return !Heard("c").empty() && Heard("c").back() == "3"; }));
  EXPECT_EQ(Heard("c").front(), "1");
}

TEST_F(RedisSubscriberTest, WaitingForASubscriptionHasADeadline) {
  Connect();
  EXPECT_FALSE(subscriber_->WaitUntilSubscribed("never", In(absl::Milliseconds(20))));
}

TEST_F(RedisSubscriberTest, ComesBackWithAllChannels) {
  Connect();
  for (int i = 0; i < 1500; ++i) subscriber_->Subscribe(absl::StrCat("ch", i));
  for (int i = 0; i < 1500; ++i) ASSERT_TRUE(Subscribed(absl::StrCat("ch", i)));
  for (int round = 1; round <= 3; ++round) {
    server_.Kill();
    ASSERT_TRUE(Eventually([&] { return !subscriber_->IsConnected(); }));
    subscriber_->Subscribe(absl::StrCat("while down ", round));
    subscriber_->Unsubscribe(absl::StrCat("ch", round));
    server_.Start();
    ASSERT_TRUE(Eventually([&] { return reconnected_ == round; }));
    // Once on_reconnect has run, nothing that is published now is missed.
    ASSERT_TRUE(Eventually([&] { return Do(*redis_, {"PING"}).ok(); }));
    EXPECT_EQ(Publish("ch0", "x"), 1);
    EXPECT_EQ(Publish("ch1499", "x"), 1);
    EXPECT_EQ(Publish(absl::StrCat("while down ", round), "x"), 1);
    EXPECT_EQ(Publish(absl::StrCat("ch", round), "x"), 0);
  }
  EXPECT_TRUE(Hears("ch0", 3));
  EXPECT_TRUE(Hears("ch1499", 3));
}

TEST_F(RedisSubscriberTest, StartsWithoutAServer) {
  server_.Stop();
  Connect();
  subscriber_->Subscribe("early");
  EXPECT_FALSE(subscriber_->WaitUntilSubscribed("early", In(absl::Milliseconds(100))));
  server_.Start();
  ASSERT_TRUE(Subscribed("early"));
  // What was published before this late start is lost too, so the listener is told.
  EXPECT_TRUE(Eventually([&] { return reconnected_ == 1; }));
}

TEST_F(RedisSubscriberTest, NoticesADeadPeer) {
  RedisOptions options;
  options.keep_alive = absl::Milliseconds(50);
  options.keep_alive_timeout = absl::Milliseconds(100);
  options.connect_timeout = absl::Milliseconds(100);
  Connect(options);
  subscriber_->Subscribe("c");
  ASSERT_TRUE(Subscribed("c"));
  server_.Pause();
  EXPECT_TRUE(Eventually([&] { return !subscriber_->IsConnected(); }));
  server_.Resume();
  ASSERT_TRUE(Subscribed("c"));
  EXPECT_TRUE(Eventually([&] { return reconnected_ >= 1; }));
  EXPECT_TRUE(Eventually([&] { return Publish("c", "alive") >= 1; }));
  EXPECT_TRUE(Eventually([&] { return !Heard("c").empty(); }));
}

TEST_F(RedisSubscriberTest, KeepAliveKeepsAQuietConnection) {
  RedisOptions options;
  options.keep_alive = absl::Milliseconds(5);
  options.keep_alive_timeout = absl::Seconds(10);
  Connect(options);
  // Without any channel the server answers PING in another form: let a few pass in either.
  const auto pings = [this] {
    const auto info = Do(*redis_, {"INFO", "commandstats"});
    const size_t at = info->text.find("cmdstat_ping:calls=");
    return at == std::string::npos ? 0 : std::atoi(info->text.c_str() + at + 19);
  };
  const int at_first = pings();
  ASSERT_TRUE(Eventually([&] { return pings() >= at_first + 3; }));
  subscriber_->Subscribe("c");
  ASSERT_TRUE(Subscribed("c"));
  const int with_channel = pings();
  ASSERT_TRUE(Eventually([&] { return pings() >= with_channel + 3; }));
  EXPECT_EQ(reconnected_, 0);
  EXPECT_EQ(Publish("c", "x"), 1);
}

TEST_F(RedisSubscriberTest, RefusesABadUrl) {
  RedisOptions options;
  options.url = "http://u:hunter2@h";
  const auto subscriber = ConnectRedisSubscriber(options, [](auto, auto) {}, {});
  EXPECT_EQ(subscriber.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(HasReason(subscriber.status(), reason::kConfigurationInvalid));
}

}  // namespace
}  // namespace handrail::storage
