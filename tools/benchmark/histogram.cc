#include "tools/benchmark/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace handrail::benchmark {

// Values below 64 have a bucket each; above, the six bits after the leading one name the bucket.
size_t Histogram::BucketOf(int64_t nanoseconds) {
  const auto value =
      static_cast<uint64_t>(std::clamp<int64_t>(nanoseconds, 0, (int64_t{1} << kPowers) - 1));
  if (value < kSubBuckets) return value;
  const int shift = static_cast<int>(std::bit_width(value)) - 7;
  return static_cast<size_t>(shift + 1) * kSubBuckets +
         static_cast<size_t>((value >> shift) - kSubBuckets);
}

int64_t Histogram::UpperEdge(size_t bucket) {
  if (bucket < kSubBuckets) return static_cast<int64_t>(bucket);
  const size_t shift = bucket / kSubBuckets - 1;
  return static_cast<int64_t>(((bucket % kSubBuckets + kSubBuckets + 1) << shift) - 1);
}

void Histogram::Add(absl::Duration latency) {
  buckets_[BucketOf(absl::ToInt64Nanoseconds(latency))].fetch_add(1, std::memory_order_relaxed);
  count_.fetch_add(1, std::memory_order_relaxed);
}

absl::Duration Histogram::Percentile(double share) const {
  const auto wanted = static_cast<int64_t>(std::ceil(share * static_cast<double>(count())));
  int64_t seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i].load(std::memory_order_relaxed);
    if (seen >= wanted && seen > 0) return absl::Nanoseconds(UpperEdge(i));
  }
  return absl::ZeroDuration();
}

}  // namespace handrail::benchmark
