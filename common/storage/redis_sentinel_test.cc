// A link to the primary that sentinels name, on real ones.

#include "common/storage/redis_sentinel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/redis_test_util.h"
#include "common/testing/temporary_certificates.h"
#include "common/testing/temporary_directory.h"
#include "common/testing/temporary_redis_sentinel.h"

namespace handrail::storage {
namespace {

using ::handrail::testing::TemporaryRedisSentinel;
using ::testing::HasSubstr;

bool Serves(Redis& redis) { return Do(redis, {"SET", "k", "v"}, absl::Seconds(2)).ok(); }

TEST(RedisSentinelTest, FollowsAFailoverByItselfAndBack) {
  TemporaryRedisSentinel servers;
  const auto redis = MustConnect(servers.url());
  RedisOptions options;
  options.url = servers.url();
  std::atomic<int> heard{0};
  std::atomic<int> reconnected{0};
  const auto subscriber = ConnectRedisSubscriber(
      options, [&](absl::string_view, absl::string_view) { ++heard; }, [&] { ++reconnected; });
  ASSERT_TRUE(subscriber.ok()) << subscriber.status();
  (*subscriber)->Subscribe("c");
  ASSERT_TRUE((*subscriber)->WaitUntilSubscribed("c", In(absl::Seconds(20))));
  ASSERT_TRUE(Do(*redis, {"SET", "k", "first"}).ok());
  for (int round = 0; round < 2; ++round) {
    const int primary = servers.Primary();
    ASSERT_GE(primary, 0);
    servers.node(primary).Kill();
    const auto began = std::chrono::steady_clock::now();
    EXPECT_TRUE(Eventually([&] { return Serves(*redis); }));
    const auto took = std::chrono::steady_clock::now() - began;
    EXPECT_LT(took, std::chrono::seconds(15));
    EXPECT_EQ(servers.Primary(), 1 - primary);
    EXPECT_TRUE(Eventually([&] { return reconnected > round; }));
    ASSERT_TRUE((*subscriber)->WaitUntilSubscribed("c", In(absl::Seconds(20))));
    heard = 0;
    EXPECT_TRUE(Do(*redis, {"PUBLISH", "c", "x"}).ok());
    EXPECT_TRUE(Eventually([&] { return heard == 1; }));
    servers.node(primary).Start();
    servers.WaitUntilWell();
  }
}

TEST(RedisSentinelTest, APrimaryThatHangsIsLeftWhenTheSentinelsSaySo) {
  TemporaryRedisSentinel servers;
  RedisOptions options;
  options.url = servers.url();
  options.stall_timeout = absl::Seconds(60);  // only the announcement can help
  const auto redis = MustConnect(options);
  ASSERT_TRUE(Serves(*redis));
  const int primary = servers.Primary();
  servers.node(primary).Pause();
  const auto reply = Do(*redis, {"GET", "k"}, absl::Seconds(30));
  EXPECT_TRUE(HasReason(reply.status(), reason::kRedisUnavailable)) << reply.status();
  EXPECT_TRUE(Eventually([&] { return Serves(*redis); }));
  servers.node(primary).Resume();
}

TEST(RedisSentinelTest, ASentinelThatHangsOrIsGoneIsPassedOver) {
  TemporaryRedisSentinel servers;
  servers.sentinel(0).Pause();
  servers.sentinel(1).Kill();
  for (int i = 0; i < 3; ++i) {
    const auto redis = MustConnect(servers.url());
    EXPECT_TRUE(Eventually([&] { return Serves(*redis); }));
  }
  servers.sentinel(0).Resume();
}

TEST(RedisSentinelTest, SaysWhatIsWrong) {
  TemporaryRedisSentinel servers;
  std::string url = servers.url();
  const auto unknown = MustConnect(url.substr(0, url.rfind('/')) + "/another");
  const auto status = Do(*unknown, {"PING"}).status();
  EXPECT_TRUE(HasReason(status, reason::kRedisUnavailable)) << status;
  EXPECT_THAT(status.ToString(), HasSubstr("no sentinel names the primary"));
  const auto nobody =
      MustConnect(absl::StrCat("redis+sentinel://127.0.0.1:", testing::FreeTcpPort(), "/queues"));
  EXPECT_THAT(Do(*nobody, {"PING"}).status().ToString(), HasSubstr("refused"));
}

TEST(RedisSentinelTest, TlsAndPasswordsOfBothKinds) {
  const testing::TemporaryCertificates certificates;
  TemporaryRedisSentinel::Options options;
  options.node.tls = &certificates;
  options.node.password = "of-the-data";
  options.sentinel_password = "of-the-sentinels";
  TemporaryRedisSentinel servers(options);
  testing::TemporaryDirectory folder;
  const std::string file = folder.File("sentinel_password");
  std::ofstream(file) << options.sentinel_password;
  const std::string url =
      absl::StrCat(servers.url(":of-the-data"), "?ca_file=", certificates.authority());
  const auto redis = MustConnect(url + "&sentinel_password_file=" + file);
  EXPECT_TRUE(Eventually([&] { return Serves(*redis); }));
  servers.node(servers.Primary()).Kill();
  EXPECT_TRUE(Eventually([&] { return Serves(*redis); }));
  const auto without = MustConnect(url);
  EXPECT_THAT(Do(*without, {"PING"}).status().ToString(), HasSubstr("NOAUTH"));
}

}  // namespace
}  // namespace handrail::storage
