#ifndef HANDRAIL_COMMON_STORAGE_REDIS_TEST_UTIL_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/storage/redis.h"

namespace handrail::storage {

inline absl::Time In(absl::Duration duration) { return SystemClock().Now() + duration; }

inline std::unique_ptr<Redis> MustConnect(const RedisOptions& options) {
  auto redis = ConnectRedis(options);
  if (!redis.ok()) std::abort();
  return *std::move(redis);
}

inline std::unique_ptr<Redis> MustConnect(const std::string& url) {
  RedisOptions options;
  options.url = url;
  return MustConnect(options);
}

inline absl::StatusOr<RedisReply> Do(Redis& redis, std::initializer_list<absl::string_view> args,
                                     absl::Duration timeout = absl::Seconds(20)) {
  const std::vector<absl::string_view> words(args);
  return redis.Command(In(timeout), words);
}

inline void DoAsync(Redis& redis, std::initializer_list<absl::string_view> args, Redis::Done done,
                    absl::Duration timeout = absl::Seconds(20)) {
  const std::vector<absl::string_view> words(args);
  redis.CommandAsync(In(timeout), words, std::move(done));
}

// Well before commands are given up (20 s), and long enough for a machine that is busy with others.
inline constexpr std::chrono::seconds kSoon{12};

// True as soon as `condition` holds, false when it did not in `patience`.
inline bool Eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds patience = std::chrono::seconds(20)) {
  const auto give_up_at = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up_at) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_TEST_UTIL_H_
