#ifndef HANDRAIL_COMMON_RPC_RATE_LIMITER_H_
#define HANDRAIL_COMMON_RPC_RATE_LIMITER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace handrail::rpc {

// Token buckets in memory: a caller may save up a minute of calls and then gets `calls_per_minute`.
// The number of buckets is fixed; when a place is needed, the one that was unused for longest of a
// few gives way, which errs on the caller's side. Thread-safe, well under a microsecond.
//
// Per process: with n replicas a caller gets up to n times as much. A limit that replicas share
// needs a bucket in Redis and is to be added behind this interface.
class RateLimiter {
 public:
  // `scale` multiplies every rate; 0 lifts all limits. `sets` × 4 buckets in all.
  explicit RateLimiter(double scale, size_t sets = 16'384);

  // Takes one token. Zero when there was one, else the time until there will be. Time that runs
  // backwards counts as standing still.
  absl::Duration Take(size_t method, absl::string_view caller, int calls_per_minute,
                      absl::Time now);

 private:
  struct Bucket {
    uint64_t key = 0;  // 0: free
    double tokens = 0;
    int64_t last_us = 0;
  };
  static constexpr size_t kWays = 4;
  static constexpr size_t kLocks = 64;
  using Set = std::array<Bucket, kWays>;

  const double scale_;
  std::array<Mutex, kLocks> locks_;  // set i is guarded by lock i % kLocks
  std::vector<Set> sets_;
};

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_RATE_LIMITER_H_
