// What a Redis link promises while its server is ill, on a real server.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/storage/redis.h"
#include "common/storage/redis_test_util.h"
#include "common/testing/temporary_redis.h"

namespace handrail::storage {
namespace {

using ::handrail::testing::TemporaryRedis;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(RedisFaultsTest, LateRepliesAreNotGivenToOtherCommands) {
  TemporaryRedis server;
  const auto redis = MustConnect(server.url());
  ASSERT_TRUE(Do(*redis, {"PING"}).ok());
  server.Pause();
  const auto started = std::chrono::steady_clock::now();
  std::atomic<int> expired{0};
  for (int i = 0; i < 100; ++i) {
    DoAsync(
        *redis, {"ECHO", absl::StrCat("late ", i)},
        [&](const absl::StatusOr<RedisReply>& reply) {
          if (reply.status().code() == absl::StatusCode::kDeadlineExceeded &&
              HasReason(reply.status(), reason::kDeadlineExceeded)) {
            ++expired;
          }
        },
        absl::Milliseconds(20 + i % 7));
  }
  // One with a longer deadline between them must be answered, and by its own reply.
  std::atomic<bool> patient_done{false};
  std::string patient_text;
  DoAsync(*redis, {"ECHO", "patient"}, [&](const absl::StatusOr<RedisReply>& reply) {
    patient_text = reply.ok() ? reply->text : reply.status().ToString();
    patient_done = true;
  });
  EXPECT_EQ(Do(*redis, {"ECHO", "late too"}, absl::Milliseconds(50)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(Eventually([&] { return expired == 100; }));
  EXPECT_LT(std::chrono::steady_clock::now() - started, kSoon);
  EXPECT_FALSE(patient_done);
  server.Resume();
  ASSERT_TRUE(Eventually([&] { return patient_done.load(); }));
  EXPECT_EQ(patient_text, "patient");
  for (int i = 0; i < 100; ++i) {
    const std::string text = absl::StrCat("fresh ", i);
    EXPECT_EQ(Do(*redis, {"ECHO", text})->text, text);
  }
  EXPECT_EQ(redis->ConnectionEpoch(), 1) << "the connection was not to be given up for this";
}

TEST(RedisFaultsTest, HealsByItselfAfterARestart) {
  TemporaryRedis server;
  const auto redis = MustConnect(server.url());
  for (int round = 1; round <= 3; ++round) {
    ASSERT_TRUE(Eventually([&] { return Do(*redis, {"PING"}).ok(); }));
    EXPECT_EQ(redis->ConnectionEpoch(), round);
    server.Kill();
    // At once, without waiting for the deadline.
    const auto started = std::chrono::steady_clock::now();
    const absl::Status down = Do(*redis, {"PING"}, absl::Seconds(30)).status();
    EXPECT_EQ(down.code(), absl::StatusCode::kUnavailable);
    EXPECT_TRUE(HasReason(down, reason::kRedisUnavailable));
    EXPECT_LT(std::chrono::steady_clock::now() - started, kSoon);
    ASSERT_TRUE(Eventually([&] { return !redis->IsConnected(); }));
    server.Start();
    EXPECT_TRUE(Eventually([&] { return Do(*redis, {"PING"}).ok(); }, kSoon));
    EXPECT_TRUE(redis->IsConnected());
  }
}

TEST(RedisFaultsTest, LosingTheConnectionCompletesAllInFlightOnce) {
  TemporaryRedis server;
  const auto redis = MustConnect(server.url());
  ASSERT_TRUE(Do(*redis, {"PING"}).ok());
  server.Pause();
  constexpr int kCommands = 5000;
  std::vector<std::atomic<int>> calls(kCommands);
  std::atomic<int> unavailable{0};
  for (int i = 0; i < kCommands; ++i) {
    DoAsync(*redis, {"INCR", "n"}, [&calls, &unavailable, i](const auto& reply) {
      ++calls[static_cast<size_t>(i)];
      if (HasReason(reply.status(), reason::kRedisUnavailable)) ++unavailable;
    });
  }
  server.Kill();
  EXPECT_TRUE(Eventually([&] { return unavailable == kCommands; }));
  server.Start();
  EXPECT_TRUE(Eventually([&] { return Do(*redis, {"PING"}).ok(); }));
  for (int i = 0; i < kCommands; ++i) ASSERT_EQ(calls[static_cast<size_t>(i)], 1);
}

TEST(RedisFaultsTest, TheBacklogHasABound) {
  TemporaryRedis server;
  RedisOptions options;
  options.url = server.url();
  options.backlog_limit = 100;
  const auto redis = MustConnect(options);
  ASSERT_TRUE(Do(*redis, {"PING"}).ok());
  server.Pause();
  std::atomic<int> refused{0};
  std::atomic<int> answered{0};
  for (int i = 0; i < 250; ++i) {
    DoAsync(*redis, {"PING"}, [&](const absl::StatusOr<RedisReply>& reply) {
      if (reply.ok()) {
        ++answered;
      } else if (HasReason(reply.status(), reason::kRedisUnavailable)) {
        ++refused;
      }
    });
  }
  EXPECT_TRUE(Eventually([&] { return refused == 150; })) << refused;
  EXPECT_EQ(answered, 0);
  server.Resume();
  EXPECT_TRUE(Eventually([&] { return answered == 100; })) << answered;
  EXPECT_TRUE(Do(*redis, {"PING"}).ok()) << "the backlog is free again";
}

TEST(RedisFaultsTest, TheBacklogHasABoundInBytes) {
  TemporaryRedis server;
  RedisOptions options;
  options.url = server.url();
  options.backlog_bytes_limit = 8 << 20;
  const auto redis = MustConnect(options);
  ASSERT_TRUE(Do(*redis, {"PING"}).ok());
  server.Pause();
  const std::string megabyte(1 << 20, 'x');
  std::atomic<int> refused{0};
  std::atomic<int> answered{0};
  for (int i = 0; i < 30; ++i) {
    DoAsync(*redis, {"SET", "k", megabyte},
            [&](const absl::StatusOr<RedisReply>& reply) { ++(reply.ok() ? answered : refused); });
  }
  EXPECT_TRUE(Eventually([&] { return refused >= 30 - 10; })) << refused;
  server.Resume();
  EXPECT_TRUE(Eventually([&] { return refused + answered == 30; }));
  EXPECT_GE(answered, 5);
}

TEST(RedisFaultsTest, WhatExpiresBeforeItIsSentDoesNotRun) {
  TemporaryRedis server;
  const auto redis = MustConnect(server.url());
  ASSERT_TRUE(Do(*redis, {"PING"}).ok());
  server.Pause();
  // More than the socket takes, so that what follows stays with us.
  std::atomic<int> answered{0};
  const std::string bulk(4 << 20, 'x');
  for (int i = 0; i < 3; ++i) {
    DoAsync(*redis, {"SET", "bulk", bulk}, [&](const auto& reply) { answered += reply.ok(); });
  }
  EXPECT_EQ(Do(*redis, {"INCR", "unsent"}, absl::Milliseconds(50)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Do(*redis, {"INCR", "unsent"}, absl::Milliseconds(50)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  DoAsync(*redis, {"SET", "sent", "1"}, [&](const auto& reply) { answered += reply.ok(); });
  server.Resume();
  EXPECT_TRUE(Eventually([&] { return answered == 4; })) << answered;
  EXPECT_EQ(Do(*redis, {"GET", "sent"})->text, "1");
  // The first may have been taken up together with the bulk; the second never.
  const auto unsent = Do(*redis, {"GET", "unsent"});
  EXPECT_TRUE(unsent->IsNil() || unsent->text == "1");
}

TEST(RedisFaultsTest, CommandsWaitForTheFirstConnectionOnly) {
  TemporaryRedis server;
  server.Stop();
  RedisOptions options;
  options.url = server.url();
  const auto redis = MustConnect(options);  // a Redis that is down is no error here
  const auto started = std::chrono::steady_clock::now();
  EXPECT_TRUE(HasReason(Do(*redis, {"PING"}).status(), reason::kRedisUnavailable));
  EXPECT_TRUE(HasReason(Do(*redis, {"PING"}).status(), reason::kRedisUnavailable));
  EXPECT_LT(std::chrono::steady_clock::now() - started, kSoon);
  EXPECT_FALSE(redis->IsConnected());
  EXPECT_EQ(redis->ConnectionEpoch(), 0);
  server.Start();
  EXPECT_TRUE(Eventually([&] { return Do(*redis, {"PING"}).ok(); }, kSoon));
}

TEST(RedisFaultsTest, AServerThatAcceptsAndIsSilentCountsAsDown) {
  TemporaryRedis server;
  server.Pause();  // the kernel still accepts for it
  RedisOptions options;
  options.url = server.url();
  options.connect_timeout = absl::Milliseconds(200);
  const auto redis = MustConnect(options);
  EXPECT_EQ(Do(*redis, {"PING"}, absl::Milliseconds(50)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(HasReason(Do(*redis, {"PING"}).status(), reason::kRedisUnavailable));
  server.Resume();
  EXPECT_TRUE(Eventually([&] { return Do(*redis, {"PING"}).ok(); }, kSoon));
}

TEST(RedisFaultsTest, GivesUpAServerThatHasStoppedAnswering) {
  TemporaryRedis server;
  RedisOptions options;
  options.url = server.url();
  options.stall_timeout = absl::Milliseconds(300);
  const auto redis = MustConnect(options);
  ASSERT_TRUE(Do(*redis, {"PING"}).ok());
  server.Pause();
  // No deadline at all, and yet it ends.
  const auto reply = Do(*redis, {"PING"}, absl::InfiniteDuration());
  EXPECT_TRUE(HasReason(reply.status(), reason::kRedisUnavailable)) << reply.status();
  server.Resume();
  EXPECT_TRUE(Eventually([&] { return Do(*redis, {"PING"}).ok(); }, kSoon));
}

TEST(RedisFaultsTest, AWrongPasswordIsNotShownToAnyone) {
  Mutex mutex;
  std::string log;
  SetLogSinkForTest([&](absl::string_view line) {
    MutexLock lock(mutex);
    log += std::string(line);
  });
  TemporaryRedis::Options server_options;
  server_options.tcp = true;
  server_options.password = "correct-horse";
  TemporaryRedis server(server_options);
  {
    const auto wrong = MustConnect(server.tcp_url("default:hunter2"));
    const absl::Status status = Do(*wrong, {"PING"}).status();
    EXPECT_TRUE(HasReason(status, reason::kRedisUnavailable)) << status;
    EXPECT_THAT(status.ToString(), HasSubstr("WRONGPASS"));
    EXPECT_THAT(status.ToString(), Not(HasSubstr("hunter2")));
    const auto none = MustConnect(server.tcp_url());
    EXPECT_THAT(Do(*none, {"PING"}).status().ToString(), HasSubstr("NOAUTH"));
    const auto right = MustConnect(server.tcp_url(":correct-horse"));
    EXPECT_TRUE(Do(*right, {"PING"}).ok());
  }
  SetLogSinkForTest({});
  MutexLock lock(mutex);
  EXPECT_THAT(log, HasSubstr("redis_down"));
  EXPECT_THAT(log, HasSubstr("redis_connected"));
  EXPECT_THAT(log, Not(HasSubstr("hunter2")));
  EXPECT_THAT(log, Not(HasSubstr("correct-horse")));
}

TEST(RedisFaultsTest, ManyThreadsThroughRepeatedKillsCompleteExactlyOnce) {
  TemporaryRedis server;
  const auto redis = MustConnect(server.url());
  std::atomic<bool> stop{false};
  std::atomic<int64_t> sent{0};
  std::atomic<int64_t> completed{0};
  std::atomic<int64_t> odd{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        for (int i = 0; i < 50; ++i) {
          ++sent;
          const std::string text = absl::StrCat(i);
          DoAsync(*redis, {"ECHO", text}, [&, text](const absl::StatusOr<RedisReply>& reply) {
            ++completed;
            if (reply.ok() ? reply->text != text
                           : !HasReason(reply.status(), reason::kRedisUnavailable)) {
              ++odd;
            }
          });
        }
        if (!Do(*redis, {"PING"}).ok()) std::this_thread::yield();
      }
    });
  }
  for (int round = 0; round < 5; ++round) {
    const int64_t before = redis->ConnectionEpoch();
    server.Kill();
    server.Start();
    EXPECT_TRUE(Eventually([&] { return redis->ConnectionEpoch() > before; }));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(Eventually([&] { return completed == sent; }));
  EXPECT_EQ(odd, 0);
}

}  // namespace
}  // namespace handrail::storage
