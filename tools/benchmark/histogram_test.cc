#include "tools/benchmark/histogram.h"

#include <gtest/gtest.h>

namespace handrail::benchmark {
namespace {

TEST(HistogramTest, EmptyHasNoLatency) {
  Histogram histogram;
  EXPECT_EQ(histogram.Percentile(0.5), absl::ZeroDuration());
  EXPECT_EQ(histogram.count(), 0);
}

TEST(HistogramTest, PercentilesLieWithinTheWidthOfABucket) {
  Histogram histogram;
  for (int i = 1; i <= 100'000; ++i) histogram.Add(absl::Microseconds(i));
  for (const double share : {0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const double exact = share * 100'000;
    const double got = absl::ToDoubleMicroseconds(histogram.Percentile(share));
    EXPECT_GE(got, exact - 0.001) << share;
    EXPECT_LE(got, exact * 1.017) << share;
  }
}

TEST(HistogramTest, OneSlowValueShowsAtTheTop) {
  Histogram histogram;
  for (int i = 0; i < 999; ++i) histogram.Add(absl::Milliseconds(1));
  histogram.Add(absl::Seconds(2));
  EXPECT_LT(histogram.Percentile(0.999), absl::Milliseconds(1.1));
  EXPECT_GE(histogram.Percentile(0.9999), absl::Seconds(2));
}

TEST(HistogramTest, SmallHugeAndNegativeValuesHaveAPlace) {
  Histogram histogram;
  histogram.Add(absl::Nanoseconds(63));
  EXPECT_EQ(histogram.Percentile(1), absl::Nanoseconds(63));
  histogram.Add(absl::Hours(100));
  EXPECT_GE(histogram.Percentile(1), absl::Hours(1));
  histogram.Add(-absl::Seconds(1));
  EXPECT_EQ(histogram.Percentile(0.01), absl::ZeroDuration());
}

}  // namespace
}  // namespace handrail::benchmark
