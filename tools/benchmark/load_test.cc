#include "tools/benchmark/load.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "common/base/executor.h"

namespace handrail::benchmark {
namespace {

TEST(ClosedLoopTest, RunsExactlyAsManyOperationsAsAsked) {
  Executor answers(2, 1000);
  std::atomic<int64_t> started{0};
  ClosedLoop loop(8, [&](int, int64_t, ClosedLoop::Done done) {
    ++started;
    ASSERT_TRUE(answers.TryRun([done] { done(absl::OkStatus()); }));
  });
  const LoadResult result = loop.RunCount(1000);
  EXPECT_EQ(started, 1000);
  EXPECT_EQ(result.completed, 1000);
  EXPECT_EQ(result.failed, 0);
  EXPECT_GT(result.PerSecond(), 0);
}

TEST(ClosedLoopTest, NeverHasMoreInFlightThanLanes) {
  Executor answers(4, 1000);
  std::atomic<int> in_flight{0};
  std::atomic<int> most{0};
  ClosedLoop loop(3, [&](int, int64_t, ClosedLoop::Done done) {
    const int now = ++in_flight;
    int seen = most;
    while (now > seen && !most.compare_exchange_weak(seen, now)) {
    }
    ASSERT_TRUE(answers.TryRun([&in_flight, done] {
      --in_flight;
      done(absl::OkStatus());
    }));
  });
  EXPECT_EQ(loop.RunCount(500).completed, 500);
  EXPECT_LE(most, 3);
  EXPECT_EQ(in_flight, 0);
}

TEST(ClosedLoopTest, CountsFailuresApartAndGivesUpWhenNothingWorks) {
  Executor answers(1, 1000);
  ClosedLoop loop(4, [&](int, int64_t, ClosedLoop::Done done) {
    ASSERT_TRUE(answers.TryRun([done] { done(absl::InternalError("no")); }));
  });
  const LoadResult result = loop.RunCount(1'000'000);
  EXPECT_EQ(result.completed, 0);
  EXPECT_GT(result.failed, 1000);
  EXPECT_LT(result.failed, 1100);
  EXPECT_EQ(result.first_error.message(), "no");
}

TEST(OpenLoopTest, StallsAreCountedFromTheIntendedStart) {
  Histogram latencies;
  // The third start stalls for ten intervals: what was due meanwhile waited, and must say so.
  const int64_t started =
      RunOpenLoop(1000, absl::Milliseconds(30), [&](int64_t number, int64_t intended) {
        if (number == 2) SleepUntil(SteadyNanoseconds() + 10'000'000);
        latencies.Add(absl::Nanoseconds(SteadyNanoseconds() - intended));
      });
  EXPECT_EQ(started, 30);
  EXPECT_EQ(latencies.count(), 30);
  // Starts 2 to 7 were due at least 5 ms before the stall ended.
  EXPECT_GE(latencies.Percentile(0.85), absl::Milliseconds(4));
}

}  // namespace
}  // namespace handrail::benchmark
