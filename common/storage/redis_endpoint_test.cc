#include "common/storage/redis_endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"

namespace handrail::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(RedisEndpointTest, ReadsHostAndPort) {
  const auto endpoint = ParseRedisUrl("redis://cache.example:7001");
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(endpoint->kind, RedisEndpoint::Kind::kTcp);
  EXPECT_EQ(endpoint->host, "cache.example");
  EXPECT_EQ(endpoint->port, 7001);
  EXPECT_FALSE(endpoint->has_password);
  EXPECT_EQ(endpoint->Address(), "cache.example:7001");
}

TEST(RedisEndpointTest, DefaultsToPort6379AndDatabase0) {
  for (const char* url : {"redis://h", "redis://h/", "redis://h/0", "redis://h:6379/0"}) {
    const auto endpoint = ParseRedisUrl(url);
    ASSERT_TRUE(endpoint.ok()) << url << " " << endpoint.status();
    EXPECT_EQ(endpoint->port, 6379);
  }
}

TEST(RedisEndpointTest, ReadsCredentials) {
  const auto both = ParseRedisUrl("redis://match%40ing:p%3Aw%2f@10.0.0.1");
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_EQ(both->user, "match@ing");
  EXPECT_EQ(both->password.Reveal(), "p:w/");
  EXPECT_EQ(both->Address(), "10.0.0.1:6379");

  const auto password_only = ParseRedisUrl("redis://:a@b@[::1]:7");
  ASSERT_TRUE(password_only.ok()) << password_only.status();
  EXPECT_EQ(password_only->user, "");
  EXPECT_EQ(password_only->password.Reveal(), "a@b");
  EXPECT_EQ(password_only->host, "::1");
  EXPECT_EQ(password_only->Address(), "[::1]:7");
}

TEST(RedisEndpointTest, ReadsUnixSockets) {
  const auto endpoint = ParseRedisUrl("unix:///run/redis/redis.sock");
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(endpoint->kind, RedisEndpoint::Kind::kUnix);
  EXPECT_EQ(endpoint->path, "/run/redis/redis.sock");
  EXPECT_EQ(endpoint->Address(), "/run/redis/redis.sock");
}

TEST(RedisEndpointTest, SaysWhichSchemesAreNotYetSupported) {
  for (const char* scheme : {"rediss://", "redis+sentinel://", "redis-cluster://"}) {
    const auto endpoint = ParseRedisUrl(std::string(scheme) + "user:hunter2@host:1");
    ASSERT_FALSE(endpoint.ok());
    EXPECT_THAT(std::string(endpoint.status().message()), HasSubstr("not yet supported"));
    EXPECT_THAT(std::string(endpoint.status().message()), HasSubstr(scheme));
    EXPECT_THAT(endpoint.status().ToString(), Not(HasSubstr("hunter2")));
  }
}

TEST(RedisEndpointTest, RefusesBadUrlsWithoutQuotingThem) {
  const char* const urls[] = {"",
                              "hunter2",
                              "http://u:hunter2@h",
                              "redis://",
                              "redis://u:hunter2@",
                              "redis://hunter2@h",
                              "redis://u:hunter2@h:0",
                              "redis://u:hunter2@h:65536",
                              "redis://u:hunter2@h:x",
                              "redis://u:hunter2@h:",
                              "redis://u:hunter2@h:-1",
                              "redis://u:hunter2@h: 1",
                              "redis://u:hunter2@h/1",
                              "redis://u:hunter2@h/0/0",
                              "redis://u:hunter2@h?x=1",
                              "redis://u:hunter2%@h",
                              "redis://u:hunter2%2@h",
                              "redis://u:hunter2%zz@h",
                              "redis://u:@h",
                              "redis://u:hunter2@[::1",
                              "redis://u:hunter2@[::1]x",
                              "redis://u:hunter2@[hunter2]",
                              "redis://u:hunter2@a b",
                              "unix://hunter2",
                              "unix:hunter2",
                              "unix://"};
  for (const char* url : urls) {
    const auto endpoint = ParseRedisUrl(url);
    ASSERT_FALSE(endpoint.ok()) << url;
    EXPECT_EQ(endpoint.status().code(), absl::StatusCode::kInvalidArgument) << url;
    EXPECT_TRUE(HasReason(endpoint.status(), reason::kConfigurationInvalid)) << url;
    EXPECT_THAT(endpoint.status().ToString(), Not(HasSubstr("hunter2"))) << url;
  }
  EXPECT_FALSE(ParseRedisUrl("unix:///" + std::string(107, 'x')).ok());
  EXPECT_TRUE(ParseRedisUrl("unix:///" + std::string(106, 'x')).ok());
}

}  // namespace
}  // namespace handrail::storage
