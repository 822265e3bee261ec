#ifndef HANDRAIL_TOOLS_BENCHMARK_HISTOGRAM_H_
#define HANDRAIL_TOOLS_BENCHMARK_HISTOGRAM_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "absl/time/time.h"

namespace handrail::benchmark {

// Latencies in buckets that are at most 1.6 % wide, up to an hour. Thread-safe.
class Histogram {
 public:
  void Add(absl::Duration latency);
  int64_t count() const { return count_.load(); }
  // The upper edge of the bucket in which that share of the values ends, `share` in (0, 1]. Zero
  // when there are none.
  absl::Duration Percentile(double share) const;

 private:
  static constexpr int kSubBuckets = 64;  // for each power of two
  static constexpr int kPowers = 42;      // of nanoseconds
  static size_t BucketOf(int64_t nanoseconds);
  static int64_t UpperEdge(size_t bucket);

  std::array<std::atomic<int64_t>, kSubBuckets*(kPowers - 5)> buckets_{};
  std::atomic<int64_t> count_{0};
};

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_HISTOGRAM_H_
