#include "common/rpc/rate_limiter.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"

namespace handrail::rpc {

RateLimiter::RateLimiter(double scale, size_t sets)
    : scale_(scale), sets_(scale > 0 ? std::max<size_t>(sets, 1) : 0) {}

absl::Duration RateLimiter::Take(size_t method, absl::string_view caller, int calls_per_minute,
                                 absl::Time now) {
  if (scale_ <= 0) return absl::ZeroDuration();
  const double capacity = std::max(1.0, calls_per_minute * scale_);
  const double per_microsecond = capacity / 60e6;
  // Seeded per process, so that nobody can choose callers that push a certain other one out.
  const uint64_t hash = absl::Hash<std::pair<size_t, absl::string_view>>()({method, caller});
  const uint64_t key = hash == 0 ? 1 : hash;
  const size_t index = hash % sets_.size();
  const int64_t now_us = absl::ToUnixMicros(now);

  MutexLock lock(locks_[index % kLocks]);
  Set& set = sets_[index];
  Bucket* bucket = &set[0];
  for (Bucket& candidate : set) {
    if (candidate.key == key) {
      bucket = &candidate;
      break;
    }
    if (candidate.key == 0 || candidate.last_us < bucket->last_us) bucket = &candidate;
  }
  if (bucket->key != key) *bucket = Bucket{key, capacity, now_us};
  const int64_t elapsed_us = std::max<int64_t>(0, now_us - bucket->last_us);
  bucket->tokens =
      std::min(capacity, bucket->tokens + static_cast<double>(elapsed_us) * per_microsecond);
  bucket->last_us = std::max(bucket->last_us, now_us);
  if (bucket->tokens >= 1) {
    bucket->tokens -= 1;
    return absl::ZeroDuration();
  }
  return absl::Microseconds((1 - bucket->tokens) / per_microsecond + 1);
}

}  // namespace handrail::rpc
