// TLS and access lists on real servers: who is let in, and what everybody else is told.

#include "common/storage/redis_tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/storage/redis_test_util.h"
#include "common/testing/redis_backends.h"
#include "common/testing/temporary_certificates.h"
#include "common/testing/temporary_directory.h"
#include "common/testing/temporary_redis.h"
#include "common/testing/temporary_redis_cluster.h"

namespace handrail::storage {
namespace {

using ::handrail::testing::TemporaryCertificates;
using ::handrail::testing::TemporaryRedis;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

// What a command says through a link with this URL.
absl::Status Try(const std::string& url) { return Do(*MustConnect(url), {"PING"}).status(); }

class RedisTlsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    certificates_ = new TemporaryCertificates;
    TemporaryRedis::Options options;
    options.tcp = true;
    options.tls = certificates_;
    server_ = new TemporaryRedis(options);
    options.tls_asks_clients = true;
    strict_ = new TemporaryRedis(options);
  }
  static void TearDownTestSuite() {
    delete strict_;
    delete server_;
    delete certificates_;
  }
  static std::string Trusting() { return absl::StrCat("?ca_file=", certificates_->authority()); }
  static std::string Showing(const TemporaryCertificates& from) {
    return absl::StrCat("&certificate_file=", from.client_certificate(),
                        "&key_file=", from.client_key());
  }

  static TemporaryCertificates* certificates_;
  static TemporaryRedis* server_;
  static TemporaryRedis* strict_;  // asks for client certificates
};

TemporaryCertificates* RedisTlsTest::certificates_ = nullptr;
TemporaryRedis* RedisTlsTest::server_ = nullptr;
TemporaryRedis* RedisTlsTest::strict_ = nullptr;

TEST_F(RedisTlsTest, CarriesManyAndBigCommands) {
  const auto redis = MustConnect(server_->tcp_url() + Trusting());
  const std::string big(5 << 20, 'x');
  ASSERT_TRUE(Do(*redis, {"SET", "big", big}).ok());
  std::atomic<int> right{0};
  for (int i = 0; i < 2000; ++i) {
    const std::string text = absl::StrCat("text ", i);
    DoAsync(*redis, {"ECHO", text}, [&right, text](const absl::StatusOr<RedisReply>& reply) {
      if (reply.ok() && reply->text == text) ++right;
    });
  }
  // Bytes that the TLS library holds are not forgotten when the socket has none.
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Do(*redis, {"GET", "big"})->text, big);
  EXPECT_TRUE(Eventually([&] { return right == 2000; })) << right;
  EXPECT_EQ(redis->ConnectionEpoch(), 1);
}

TEST_F(RedisTlsTest, ByNameToo) {
  const auto status = Try(absl::StrCat("rediss://localhost:", server_->port(), Trusting()));
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(RedisTlsTest, HealsAfterTheServersDeath) {
  TemporaryRedis::Options options;
  options.tcp = true;
  options.tls = certificates_;
  TemporaryRedis server(options);
  const auto redis = MustConnect(server.tcp_url() + Trusting());
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(Eventually([&] { return Do(*redis, {"PING"}).ok(); }));
    server.Kill();
    EXPECT_TRUE(HasReason(Do(*redis, {"PING"}).status(), reason::kRedisUnavailable));
    server.Start();
  }
  EXPECT_TRUE(Eventually([&] { return Do(*redis, {"PING"}).ok(); }));
}

TEST_F(RedisTlsTest, SubscribesToo) {
  RedisOptions options;
  options.url = server_->tcp_url() + Trusting();
  std::atomic<int> heard{0};
  const auto subscriber =
      ConnectRedisSubscriber(options, [&](absl::string_view, absl::string_view) { ++heard; }, {});
  ASSERT_TRUE(subscriber.ok()) << subscriber.status();
  (*subscriber)->Subscribe("c");
  ASSERT_TRUE((*subscriber)->WaitUntilSubscribed("c", In(absl::Seconds(20))));
  ASSERT_TRUE(Do(*MustConnect(options), {"PUBLISH", "c", "x"}).ok());
  EXPECT_TRUE(Eventually([&] { return heard == 1; }));
}

TEST_F(RedisTlsTest, RefusesACertificateOfAnotherAuthority) {
  const TemporaryCertificates foreign;
  const auto status = Try(absl::StrCat(server_->tcp_url(), "?ca_file=", foreign.authority()));
  EXPECT_TRUE(HasReason(status, reason::kRedisUnavailable)) << status;
  EXPECT_THAT(status.ToString(), HasSubstr("certificate was not accepted"));
  // Nor is one of ours accepted without naming the authority.
  EXPECT_THAT(Try(server_->tcp_url()).ToString(), HasSubstr("certificate was not accepted"));
}

TEST_F(RedisTlsTest, RefusesACertificateThatHasExpired) {
  TemporaryCertificates::Options options;
  options.server_has_expired = true;
  const TemporaryCertificates old(options);
  TemporaryRedis::Options server_options;
  server_options.tcp = true;
  server_options.tls = &old;
  const TemporaryRedis server(server_options);
  const auto status = Try(absl::StrCat(server.tcp_url(), "?ca_file=", old.authority()));
  EXPECT_TRUE(HasReason(status, reason::kRedisUnavailable)) << status;
  EXPECT_THAT(status.ToString(), HasSubstr("certificate has expired"));
}

TEST_F(RedisTlsTest, TheCertificateMustNameTheServer) {
  TemporaryCertificates::Options options;
  options.server_names = "DNS:redis.example";
  const TemporaryCertificates named(options);
  TemporaryRedis::Options server_options;
  server_options.tcp = true;
  server_options.tls = &named;
  const TemporaryRedis server(server_options);
  const std::string url = absl::StrCat(server.tcp_url(), "?ca_file=", named.authority());
  EXPECT_THAT(Try(url).ToString(), HasSubstr("certificate was not accepted"));
  EXPECT_THAT(Try(url + "&server_name=other.example").ToString(),
              HasSubstr("certificate was not accepted"));
  const auto status = Try(url + "&server_name=redis.example");
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(RedisTlsTest, ShowsItsOwnCertificate) {
  const std::string url = strict_->tcp_url() + Trusting();
  const auto status = Try(url + Showing(*certificates_));
  EXPECT_TRUE(status.ok()) << status;
  const auto without = Try(url);
  EXPECT_TRUE(HasReason(without, reason::kRedisUnavailable)) << without;
  // The server's alert may be overtaken by its closing of the connection.
  EXPECT_THAT(without.ToString(), HasSubstr("certificate"));
  const TemporaryCertificates foreign;
  const auto wrong = Try(url + Showing(foreign));
  EXPECT_TRUE(HasReason(wrong, reason::kRedisUnavailable)) << wrong;
  EXPECT_THAT(wrong.ToString(), AnyOf(HasSubstr("certificate"), HasSubstr("unknown ca")));
}

TEST_F(RedisTlsTest, PlainAndTlsDoNotMeetAndSaySo) {
  TemporaryRedis::Options options;
  options.tcp = true;
  const TemporaryRedis plain(options);
  const auto tls_to_plain = Try(absl::StrCat("rediss://127.0.0.1:", plain.port(), Trusting()));
  EXPECT_TRUE(HasReason(tls_to_plain, reason::kRedisUnavailable)) << tls_to_plain;
  EXPECT_THAT(tls_to_plain.ToString(), HasSubstr("speak TLS on this port"));
  const auto plain_to_tls = Try(absl::StrCat("redis://127.0.0.1:", server_->port()));
  EXPECT_TRUE(HasReason(plain_to_tls, reason::kRedisUnavailable)) << plain_to_tls;
  EXPECT_THAT(plain_to_tls.ToString(), HasSubstr("want"));
  EXPECT_THAT(plain_to_tls.ToString(), HasSubstr("TLS"));
}

TEST_F(RedisTlsTest, ACertificateThatWasReplacedOnDiskNeedsNoRestart) {
  // The authority was wrong when we started; a minute later the file is read again. What can be
  // seen here at once: the file is read when a link is made, not when the program is.
  testing::TemporaryDirectory folder;
  const TemporaryCertificates foreign;
  const std::string path = folder.File("ca.crt");
  std::filesystem::copy_file(foreign.authority(), path);
  const std::string url = absl::StrCat(server_->tcp_url(), "?ca_file=", path);
  EXPECT_FALSE(Try(url).ok());
  std::filesystem::copy_file(certificates_->authority(), path,
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(Try(url).ok());
}

// ---- Access lists ----

TEST(RedisAccessTest, APasswordInAFileMayChangeWhileWeRun) {
  testing::TemporaryDirectory folder;
  const std::string file = folder.File("password");
  std::ofstream(file) << "one\n";
  TemporaryRedis::Options options;
  options.tcp = true;
  options.configuration = {"user handrail on >one >two ~* &* +@all"};
  TemporaryRedis server(options);
  const auto redis = MustConnect(
      absl::StrCat("redis://127.0.0.1:", server.port(), "?user=handrail&password_file=", file));
  ASSERT_TRUE(Do(*redis, {"PING"}).ok());
  std::ofstream(file) << "two\n";
  ASSERT_EQ(server.Run("ACL SETUSER handrail <one"), "+OK");
  server.Run("CLIENT KILL TYPE normal");
  EXPECT_TRUE(Eventually([&] { return Do(*redis, {"PING"}).ok(); }));
}

TEST(RedisAccessTest, WhatIsMissingIsNamed) {
  Mutex mutex;
  std::string log;
  SetLogSinkForTest([&](absl::string_view line) {
    MutexLock lock(mutex);
    log += std::string(line);
  });
  TemporaryRedis::Options options;
  options.tcp = true;
  options.configuration = {"user narrow on >hunter2 ~hr:* resetchannels +ping +get +evalsha +eval"};
  TemporaryRedis server(options);
  {
    RedisOptions link;
    link.url = server.tcp_url("narrow:hunter2");
    const auto redis = MustConnect(link);
    EXPECT_TRUE(Do(*redis, {"GET", "hr:x"}).ok());
    const absl::Status command = Do(*redis, {"SET", "hr:x", "1"}).status();
    EXPECT_TRUE(HasReason(command, reason::kRedisError)) << command;
    EXPECT_THAT(command.ToString(), HasSubstr("this command (SET): NOPERM"));
    const absl::Status key = Do(*redis, {"GET", "private-key"}).status();
    EXPECT_THAT(key.ToString(), HasSubstr("these keys (GET): NOPERM"));
    EXPECT_THAT(key.ToString(), Not(HasSubstr("private-key")));
    const RedisScript script("writer", "return redis.call('SET', KEYS[1], '1')");
    const absl::Status inside = redis->Eval(In(absl::Seconds(20)), script, {"hr:x"}, {}).status();
    EXPECT_THAT(inside.ToString(), HasSubstr("this command inside the script (writer): NOPERM"));

    const auto subscriber = ConnectRedisSubscriber(link, [](auto, auto) {}, {});
    ASSERT_TRUE(subscriber.ok());
    (*subscriber)->Subscribe("hr:w:x");
    EXPECT_TRUE(Eventually([&] {
      MutexLock lock(mutex);
      return absl::StrContains(log, "(SUBSCRIBE): NOPERM");
    }));
  }
  SetLogSinkForTest({});
  MutexLock lock(mutex);
  EXPECT_THAT(log, Not(HasSubstr("hunter2")));
}

TEST(RedisAccessTest, TheShippedListIsEnoughForALinkOfEachKind) {
  testing::TemporaryRedisCluster::Options options;
  options.node.configuration = {testing::LeastAllowedUser("hunter2")};
  testing::TemporaryRedisCluster cluster(options);
  const auto redis = MustConnect(cluster.url("handrail:hunter2"));
  EXPECT_TRUE(Do(*redis, {"GET", "hr:{a}"}).ok());
  EXPECT_TRUE(Do(*redis, {"PUBLISH", "hr:w:a", ""}).ok());
  for (const std::vector<absl::string_view>& forbidden :
       std::vector<std::vector<absl::string_view>>{{"GET", "other"},
                                                   {"PUBLISH", "other", ""},
                                                   {"CLIENT", "LIST"},
                                                   {"ACL", "WHOAMI"},
                                                   {"CLUSTER", "RESET"}}) {
    const auto status = redis->Command(In(absl::Seconds(20)), forbidden).status();
    EXPECT_THAT(status.ToString(), HasSubstr("NOPERM")) << forbidden[0];
  }
}

}  // namespace
}  // namespace handrail::storage
