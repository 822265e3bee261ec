// What a Redis link promises while its server is well, on a real server.

#include "common/storage/redis_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/redis.h"
#include "common/storage/redis_test_util.h"
#include "common/testing/simulated_clock.h"
#include "common/testing/temporary_redis.h"

namespace handrail::storage {
namespace {

using ::handrail::testing::TemporaryRedis;

class RedisLinkTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    TemporaryRedis::Options options;
    options.tcp = true;
    server_ = new TemporaryRedis(options);
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  void SetUp() override {
    server_->FlushAll();
    redis_ = MustConnect(server_->url());
  }

  static TemporaryRedis* server_;
  std::unique_ptr<Redis> redis_;
};

TemporaryRedis* RedisLinkTest::server_ = nullptr;

TEST_F(RedisLinkTest, GivesEveryKindOfReply) {
  const auto status = Do(*redis_, {"SET", "k", "v"});
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->type, RedisReply::Type::kStatus);
  EXPECT_EQ(status->text, "OK");
  EXPECT_EQ(Do(*redis_, {"GET", "k"})->text, "v");
  EXPECT_TRUE(Do(*redis_, {"GET", "none"})->IsNil());
  const auto integer = Do(*redis_, {"INCRBY", "n", "-7"});
  EXPECT_EQ(integer->type, RedisReply::Type::kInteger);
  EXPECT_EQ(integer->integer, -7);
  const auto empty = Do(*redis_, {"LRANGE", "none", "0", "-1"});
  EXPECT_EQ(empty->type, RedisReply::Type::kArray);
  EXPECT_TRUE(empty->elements.empty());
  EXPECT_TRUE(redis_->IsConnected());
  EXPECT_EQ(redis_->ConnectionEpoch(), 1);
}

TEST_F(RedisLinkTest, SpeaksTcpToo) {
  const auto by_address = MustConnect(server_->tcp_url());
  EXPECT_TRUE(Do(*by_address, {"PING"}).ok());
  // A name goes through the resolver's thread.
  const auto by_name = MustConnect(absl::StrCat("redis://localhost:", server_->port(), "/0"));
  const auto reply = Do(*by_name, {"PING"});
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text, "PONG");
}

TEST_F(RedisLinkTest, KeepsTheOrderOfManyThreads) {
  constexpr int kThreads = 16;
  constexpr int64_t kCommands = 5000;
  std::atomic<int64_t> called{0};
  std::atomic<int64_t> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string key = absl::StrCat("own:", t);
      for (int64_t i = 1; i <= kCommands; ++i) {
        // Each thread sees its own counter go up by one a command: a reply given to the wrong
        // command shows at once. Half of the time we wait, half of the time we pipeline.
        const auto check = [&wrong, &called, i](const absl::StatusOr<RedisReply>& reply) {
          if (!reply.ok() || reply->integer != i) ++wrong;
          ++called;
        };
        if (i % 2 == 0) {
          check(Do(*redis_, {"INCR", key}, absl::Seconds(60)));
        } else {
          DoAsync(*redis_, {"INCR", key}, check, absl::Seconds(60));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(Eventually([&] { return called == kThreads * kCommands; }));
  EXPECT_EQ(wrong, 0);
  for (int t = 0; t < kThreads; ++t) {
    EXPECT_EQ(Do(*redis_, {"GET", absl::StrCat("own:", t)})->text, absl::StrCat(kCommands));
  }
  EXPECT_EQ(called, kThreads * kCommands);
}

TEST_F(RedisLinkTest, CarriesAnyBytes) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  all += "\r\n$-1\r\n*2\r\n";
  ASSERT_TRUE(Do(*redis_, {"SET", all, all}).ok());
  EXPECT_EQ(Do(*redis_, {"GET", all})->text, all);
  ASSERT_TRUE(Do(*redis_, {"SET", "empty", ""}).ok());
  const auto empty = Do(*redis_, {"GET", "empty"});
  EXPECT_EQ(empty->type, RedisReply::Type::kString);
  EXPECT_EQ(empty->text, "");
}

TEST_F(RedisLinkTest, CarriesBigValuesAndBigArrays) {
  const std::string big(5 << 20, 'x');
  ASSERT_TRUE(Do(*redis_, {"SET", "big", big}).ok());
  EXPECT_EQ(Do(*redis_, {"GET", "big"})->text, big);

  const RedisScript range("range",
                          "local r = {} for i = 1, tonumber(ARGV[1]) do r[i] = i end return r");
  const auto array = redis_->Eval(In(absl::Seconds(20)), range, {}, {"100000"});
  ASSERT_TRUE(array.ok()) << array.status();
  ASSERT_EQ(array->elements.size(), 100000u);
  EXPECT_EQ(array->elements[99999].integer, 100000);
}

TEST_F(RedisLinkTest, CarriesNestedReplies) {
  const RedisScript nested("nested", "return {1, {'a', {'b', false}}, redis.status_reply('S')}");
  const auto reply = redis_->Eval(In(absl::Seconds(20)), nested, {}, {});
  ASSERT_TRUE(reply.ok()) << reply.status();
  ASSERT_EQ(reply->elements.size(), 3u);
  EXPECT_EQ(reply->elements[0].integer, 1);
  EXPECT_EQ(reply->elements[1].elements[1].elements[0].text, "b");
  EXPECT_TRUE(reply->elements[1].elements[1].elements[1].IsNil());
  EXPECT_EQ(reply->elements[2].type, RedisReply::Type::kStatus);
}

TEST_F(RedisLinkTest, LoadsScriptsAgainWhenForgotten) {
  const RedisScript add("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])");
  const std::vector<std::string> keys = {"sum"};
  const std::vector<std::string> args = {"5"};
  EXPECT_EQ(redis_->Eval(In(absl::Seconds(20)), add, keys, args)->integer, 5);
  EXPECT_EQ(server_->Run("SCRIPT FLUSH"), "+OK");
  EXPECT_EQ(redis_->Eval(In(absl::Seconds(20)), add, keys, args)->integer, 10);
  // Many at once on a server that has forgotten: each runs exactly once.
  EXPECT_EQ(server_->Run("SCRIPT FLUSH"), "+OK");
  std::atomic<int> good{0};
  std::atomic<int> called{0};
  for (int i = 0; i < 1000; ++i) {
    redis_->EvalAsync(In(absl::Seconds(20)), add, keys, args,
                      [&](const absl::StatusOr<RedisReply>& reply) {
                        if (reply.ok()) ++good;
                        ++called;
                      });
  }
  EXPECT_TRUE(Eventually([&] { return called == 1000; }));
  EXPECT_EQ(good, 1000);
  EXPECT_EQ(Do(*redis_, {"GET", "sum"})->text, "5010");
  // After the first reload the hash is enough: the server has seen few texts.
  EXPECT_EQ(Do(*redis_, {"SCRIPT", "EXISTS", add.sha1_hex()})->elements[0].integer, 1);
}

TEST_F(RedisLinkTest, NamesTheScriptOfAnError) {
  const RedisScript broken("broken_script", "return redis.error_reply('SEATS 42 members/secret')");
  const auto reply = redis_->Eval(In(absl::Seconds(20)), broken, {}, {});
  ASSERT_FALSE(reply.ok());
  EXPECT_EQ(reply.status().code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(HasReason(reply.status(), reason::kRedisError));
  EXPECT_EQ(DetailsOf(reply.status()).metadata.at("redis_error"), "SEATS");
  EXPECT_EQ(DetailsOf(reply.status()).metadata.at("redis_script"), "broken_script");
  EXPECT_THAT(reply.status().ToString(), ::testing::Not(::testing::HasSubstr("secret")));

  const RedisScript syntax("syntax", "this is not Lua");
  EXPECT_TRUE(
      HasReason(redis_->Eval(In(absl::Seconds(20)), syntax, {}, {}).status(), reason::kRedisError));
}

TEST_F(RedisLinkTest, ErrorsBelongToTheirCommand) {
  std::vector<absl::Status> statuses(3);
  std::atomic<int> called{0};
  ASSERT_TRUE(Do(*redis_, {"SET", "text", "x"}).ok());
  const auto keep = [&](size_t i) {
    return [&statuses, &called, i](const absl::StatusOr<RedisReply>& reply) {
      statuses[i] = reply.status();
      ++called;
    };
  };
  DoAsync(*redis_, {"PING"}, keep(0));
  DoAsync(*redis_, {"INCR", "text"}, keep(1));
  DoAsync(*redis_, {"PING"}, keep(2));
  ASSERT_TRUE(Eventually([&] { return called == 3; }));
  EXPECT_TRUE(statuses[0].ok());
  EXPECT_TRUE(HasReason(statuses[1], reason::kRedisError));
  EXPECT_TRUE(statuses[2].ok());
  EXPECT_TRUE(redis_->IsConnected());
  EXPECT_EQ(redis_->ConnectionEpoch(), 1);
}

TEST_F(RedisLinkTest, RefusesWhatWouldBreakTheLink) {
  for (const absl::string_view word : {"SUBSCRIBE", "subscribe", "MONITOR", "Quit", "HELLO"}) {
    EXPECT_TRUE(HasReason(Do(*redis_, {word, "x"}).status(), reason::kRedisError)) << word;
  }
  EXPECT_TRUE(HasReason(redis_->Command(In(absl::Seconds(20)), {}).status(), reason::kRedisError));
  EXPECT_EQ(Do(*redis_, {"PING"})->text, "PONG");
}

TEST_F(RedisLinkTest, RefusesToBlockOnTheLinkThread) {
  std::atomic<bool> called{false};
  absl::Status inner;
  DoAsync(*redis_, {"PING"}, [&](const absl::StatusOr<RedisReply>&) {
    inner = Do(*redis_, {"PING"}).status();
    called = true;
  });
  ASSERT_TRUE(Eventually([&] { return called.load(); }));
  EXPECT_EQ(inner.code(), absl::StatusCode::kInternal);
}

TEST_F(RedisLinkTest, CallbacksMaySendMore) {
  std::atomic<int> left{1000};
  std::function<void()> next = [&] {
    DoAsync(*redis_, {"INCR", "chain"}, [&](const absl::StatusOr<RedisReply>&) {
      if (--left > 0) next();
    });
  };
  next();
  ASSERT_TRUE(Eventually([&] { return left == 0; }));
  EXPECT_EQ(Do(*redis_, {"GET", "chain"})->text, "1000");
}

TEST_F(RedisLinkTest, APastDeadlineFailsWithoutRunning) {
  EXPECT_EQ(Do(*redis_, {"SET", "late", "1"}, absl::Seconds(-1)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Do(*redis_, {"SET", "late", "1"}, -absl::InfiniteDuration()).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(Do(*redis_, {"GET", "late"}, absl::InfiniteDuration())->IsNil());
}

TEST_F(RedisLinkTest, MeasuresDeadlinesOnTheInjectedClock) {
  testing::SimulatedClock clock;  // years away from the machine's
  RedisOptions options;
  options.url = server_->url();
  options.clock = &clock;
  const auto redis = MustConnect(options);
  const absl::string_view ping[] = {"PING"};
  EXPECT_TRUE(redis->Command(clock.Now() + absl::Seconds(20), ping).ok());
  EXPECT_EQ(redis->Command(clock.Now() - absl::Seconds(1), ping).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(RedisLinkTest, DestructionCompletesEverythingOnce) {
  constexpr int kCommands = 20000;
  std::vector<std::atomic<int>> calls(kCommands);
  std::atomic<int> lost{0};
  for (int i = 0; i < kCommands; ++i) {
    DoAsync(*redis_, {"PING"}, [&calls, &lost, i](const absl::StatusOr<RedisReply>& reply) {
      ++calls[static_cast<size_t>(i)];
      if (!reply.ok()) {
        ++lost;
        EXPECT_TRUE(HasReason(reply.status(), reason::kRedisUnavailable)) << reply.status();
      }
    });
  }
  redis_.reset();
  for (int i = 0; i < kCommands; ++i) ASSERT_EQ(calls[static_cast<size_t>(i)], 1) << i;
}

}  // namespace
}  // namespace handrail::storage
