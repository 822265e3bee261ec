#include "common/storage/redis_endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/redis_url_check.h"
#include "common/testing/temporary_directory.h"

namespace handrail::storage {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Topology = RedisTarget::Topology;

RedisTarget MustParse(const std::string& url) {
  auto target = ParseRedisUrl(url);
  EXPECT_TRUE(target.ok()) << url << " " << target.status();
  if (target.ok()) return *std::move(target);
  RedisTarget empty;
  empty.seeds.resize(1);
  return empty;
}

TEST(RedisEndpointTest, ReadsHostAndPort) {
  const RedisTarget target = MustParse("redis://cache.example:7001");
  EXPECT_EQ(target.topology, Topology::kSingle);
  EXPECT_FALSE(target.tls);
  ASSERT_EQ(target.seeds.size(), 1u);
  EXPECT_EQ(target.seeds[0].kind, RedisEndpoint::Kind::kTcp);
  EXPECT_EQ(target.seeds[0].host, "cache.example");
  EXPECT_EQ(target.seeds[0].port, 7001);
  EXPECT_FALSE(target.access.HasPassword());
  EXPECT_EQ(target.seeds[0].Address(), "cache.example:7001");
}

TEST(RedisEndpointTest, DefaultsToPort6379AndDatabase0) {
  for (const char* url : {"redis://h", "redis://h/", "redis://h/0", "redis://h:6379/0"}) {
    EXPECT_EQ(MustParse(url).seeds[0].port, 6379) << url;
  }
}

TEST(RedisEndpointTest, ReadsCredentials) {
  const RedisTarget both = MustParse("redis://match%40ing:p%3Aw%2f@10.0.0.1");
  EXPECT_EQ(both.access.user, "match@ing");
  EXPECT_EQ(both.access.password.Reveal(), "p:w/");
  EXPECT_EQ(both.seeds[0].Address(), "10.0.0.1:6379");

  const RedisTarget password_only = MustParse("redis://:a@b@[::1]:7");
  EXPECT_EQ(password_only.access.user, "");
  EXPECT_EQ(password_only.access.password.Reveal(), "a@b");
  EXPECT_EQ(password_only.seeds[0].host, "::1");
  EXPECT_EQ(password_only.seeds[0].Address(), "[::1]:7");
}

TEST(RedisEndpointTest, ReadsUnixSockets) {
  const RedisTarget target = MustParse("unix:///run/redis/redis.sock?password_file=/run/p");
  EXPECT_EQ(target.seeds[0].kind, RedisEndpoint::Kind::kUnix);
  EXPECT_EQ(target.seeds[0].path, "/run/redis/redis.sock");
  EXPECT_EQ(target.seeds[0].Address(), "/run/redis/redis.sock");
  EXPECT_EQ(target.access.password_file, "/run/p");
}

TEST(RedisEndpointTest, ReadsClusters) {
  const RedisTarget target = MustParse("redis-cluster://u:p@a,b:7001,[fd00::1]:7002/0");
  EXPECT_EQ(target.topology, Topology::kCluster);
  EXPECT_FALSE(target.tls);
  ASSERT_EQ(target.seeds.size(), 3u);
  EXPECT_EQ(target.seeds[0].Address(), "a:6379");
  EXPECT_EQ(target.seeds[1].Address(), "b:7001");
  EXPECT_EQ(target.seeds[2].Address(), "[fd00::1]:7002");
  EXPECT_EQ(target.access.user, "u");
  EXPECT_TRUE(MustParse("rediss-cluster://a").tls);
}

TEST(RedisEndpointTest, ReadsSentinels) {
  const RedisTarget target = MustParse(
      "redis+sentinel://u:p@a,b:7001/queues?sentinel_user=s&sentinel_password_file=%2Frun%2Fs");
  EXPECT_EQ(target.topology, Topology::kSentinel);
  EXPECT_EQ(target.seeds[0].port, 26379);
  EXPECT_EQ(target.seeds[1].port, 7001);
  EXPECT_EQ(target.master_name, "queues");
  EXPECT_EQ(target.access.password.Reveal(), "p");
  EXPECT_EQ(target.sentinel_access.user, "s");
  EXPECT_EQ(target.sentinel_access.password_file, "/run/s");
  EXPECT_EQ(MustParse("rediss+sentinel://a/my%20queues/0").master_name, "my queues");
}

TEST(RedisEndpointTest, ReadsOptions) {
  const RedisTarget target = MustParse(
      "rediss://h?user=u&password_file=/run/p&ca_file=/ca&certificate_file=/c&key_file=/k"
      "&server_name=redis.example");
  EXPECT_TRUE(target.tls);
  EXPECT_EQ(target.access.user, "u");
  EXPECT_EQ(target.access.password_file, "/run/p");
  EXPECT_EQ(target.tls_files.ca_file, "/ca");
  EXPECT_EQ(target.tls_files.certificate_file, "/c");
  EXPECT_EQ(target.tls_files.key_file, "/k");
  EXPECT_EQ(target.tls_files.server_name, "redis.example");
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
                              "redis://u:hunter2@h#x",
                              "redis://u:hunter2@h?hunter2=1",
                              "redis://u:hunter2@h?ca_file",
                              "redis://u:hunter2@h?ca_file=",
                              "redis://u:hunter2@h?ca_file=%4",
                              "redis://u:hunter2@h?ca_file=/x",
                              "redis://u:hunter2@h?password_file=/x",
                              "redis://u:hunter2@h?user=x",
                              "redis://u:hunter2@h?sentinel_password_file=/x",
                              "rediss://u:hunter2@h?key_file=/x",
                              "rediss://u:hunter2@h?ca_file=/x&ca_file=/y",
                              "redis://u:hunter2%@h",
                              "redis://u:hunter2%2@h",
                              "redis://u:hunter2%zz@h",
                              "redis://u:@h",
                              "redis://u:hunter2@[::1",
                              "redis://u:hunter2@[::1]x",
                              "redis://u:hunter2@[hunter2]",
                              "redis://u:hunter2@a b",
                              "redis://u:hunter2@a,b",
                              "redis-cluster://u:hunter2@a,,b",
                              "redis-cluster://u:hunter2@a/hunter2",
                              "redis+sentinel://u:hunter2@a",
                              "redis+sentinel://u:hunter2@a/",
                              "redis+sentinel://u:hunter2@a/m/1",
                              "redis+sentinel://u:hunter2@a/m?sentinel_user=hunter2",
                              "unix://hunter2",
                              "unix:hunter2",
                              "unix://"};
  for (const char* url : urls) {
    const auto target = ParseRedisUrl(url);
    ASSERT_FALSE(target.ok()) << url;
    EXPECT_EQ(target.status().code(), absl::StatusCode::kInvalidArgument) << url;
    EXPECT_TRUE(HasReason(target.status(), reason::kConfigurationInvalid)) << url;
    EXPECT_THAT(target.status().ToString(), Not(HasSubstr("hunter2"))) << url;
  }
  EXPECT_FALSE(ParseRedisUrl("unix:///" + std::string(107, 'x')).ok());
  EXPECT_TRUE(ParseRedisUrl("unix:///" + std::string(106, 'x')).ok());
  std::string many = "redis-cluster://h";
  for (int i = 0; i < 64; ++i) many += ",h";
  EXPECT_FALSE(ParseRedisUrl(many).ok());
}

TEST(RedisEndpointTest, TellsEveryFaultAtOnce) {
  const auto target = ParseRedisUrl("redis+sentinel://u:%4@a:0,b c?ca_file=/x&key_file=/k&what=1");
  ASSERT_FALSE(target.ok());
  EXPECT_THAT(std::string(target.status().message()),
              AllOf(HasSubstr("unknown option"), HasSubstr("broken %-escape"),
                    HasSubstr("does not name the primary"), HasSubstr("invalid port"),
                    HasSubstr("invalid host name"), HasSubstr("options for TLS"),
                    HasSubstr("certificate_file and key_file")));
}

TEST(RedisEndpointTest, TellsEveryFileThatCannotBeUsed) {
  testing::TemporaryDirectory folder;
  const std::string empty = folder.File("empty");
  std::ofstream(empty).close();
  auto target =
      ParseRedisUrl(absl::StrCat("rediss://h?user=u&password_file=", empty,
                                 "&ca_file=/no/ca&certificate_file=", empty, "&key_file=/no/key"));
  ASSERT_TRUE(target.ok()) << target.status();
  const absl::Status status = OpenRedisFiles(*target);
  EXPECT_TRUE(HasReason(status, reason::kConfigurationInvalid));
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(absl::StrCat("no password can be read from ", empty)),
                    HasSubstr("ca_file /no/ca"), HasSubstr("certificate_file " + empty),
                    HasSubstr("key_file /no/key")));
}

TEST(RedisEndpointTest, AConfigurationIsToldOfAllFaultsInOneText) {
  EXPECT_TRUE(RedisUrlFaults("").empty());
  EXPECT_TRUE(RedisUrlFaults("redis://h").empty());
  EXPECT_THAT(RedisUrlFaults("redis://u:hunter2@h:0/1"),
              ElementsAre(AllOf(HasSubstr("--redis_url: "), HasSubstr("port"),
                                HasSubstr("database"), Not(HasSubstr("hunter2")))));
  EXPECT_THAT(RedisUrlFaults("rediss://h?ca_file=/no/ca"), ElementsAre(HasSubstr("/no/ca")));
}

TEST(RedisEndpointTest, APasswordInAFileIsReadAgainAtEachLogIn) {
  testing::TemporaryDirectory folder;
  RedisAccess access;
  access.password_file = folder.File("password");
  EXPECT_TRUE(HasReason(access.ReadPassword().status(), reason::kRedisUnavailable));
  std::ofstream(access.password_file) << "first\n";
  EXPECT_EQ(access.ReadPassword()->Reveal(), "first");
  std::ofstream(access.password_file) << "second";
  EXPECT_EQ(access.ReadPassword()->Reveal(), "second");
}

TEST(RedisEndpointTest, ReadsAddressesAsServersWriteThem) {
  EXPECT_EQ(ParseRedisAddress("10.0.0.1:7000")->Address(), "10.0.0.1:7000");
  EXPECT_EQ(ParseRedisAddress("node-1.example:7000")->Address(), "node-1.example:7000");
  EXPECT_EQ(ParseRedisAddress("fd00::1:7000")->Address(), "[fd00::1]:7000");
  EXPECT_EQ(ParseRedisAddress("[fd00::1]:7000")->Address(), "[fd00::1]:7000");
  for (const char* bad : {"", ":1", "h:0", "h:x", "a b:1", "h:65536"}) {
    EXPECT_FALSE(ParseRedisAddress(bad).ok()) << bad;
  }
  // What comes behind a zero byte is read too.
  const std::string zero(1, '\0');
  EXPECT_FALSE(ParseRedisAddress(absl::StrCat("::1", zero, "x:42")).ok());
  EXPECT_FALSE(ParseRedisAddress(absl::StrCat("[::1", zero, "x]:42")).ok());
}

}  // namespace
}  // namespace handrail::storage
