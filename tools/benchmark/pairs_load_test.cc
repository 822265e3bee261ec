#include "tools/benchmark/pairs_load.h"

#include <gtest/gtest.h>

#include <atomic>

#include "common/base/executor.h"

namespace handrail::benchmark {
namespace {

constexpr absl::Duration kWarmUp = absl::Milliseconds(5);
constexpr absl::Duration kMeasured = absl::Milliseconds(50);

TEST(PairsLoadTest, TheNextMessageWaitsForTheAcknowledgementAndTheArrival) {
  Executor answers(2, 1000);
  std::atomic<int> in_flight[4] = {};
  std::atomic<int> most{0};
  std::atomic<int64_t> sent{0};
  PairsLoad* load = nullptr;
  PairsLoad pairs(4, [&](int pair) {
    ++sent;
    if (++in_flight[pair] > most) most = in_flight[pair].load();
    const auto arrive = [&, pair] { load->OnReceived(pair); };
    const auto acknowledge = [&, pair] { load->OnAcknowledged(pair, absl::OkStatus()); };
    ASSERT_TRUE(answers.TryRun([&, pair, arrive, acknowledge] {
      // Either order; the message is over before the second of them is told.
      if (pair % 2 == 0) {
        arrive();
        --in_flight[pair];
        acknowledge();
      } else {
        acknowledge();
        --in_flight[pair];
        arrive();
      }
    }));
  });
  load = &pairs;
  const LoadResult result = pairs.RunFor(kWarmUp, kMeasured);
  EXPECT_GT(result.completed, 0);
  EXPECT_EQ(result.failed, 0);
  EXPECT_EQ(most, 1);
  EXPECT_GT(pairs.latencies().count(), 0);
  EXPECT_LE(pairs.latencies().count(), sent) << "each arrival counts once at most";
  EXPECT_LE(result.completed, sent);
}

TEST(PairsLoadTest, ARefusedMessageFailsAtOnceAndWhatComesLateIsNotCounted) {
  Executor answers(1, 1000);
  PairsLoad* load = nullptr;
  PairsLoad pairs(1, [&](int pair) {
    ASSERT_TRUE(answers.TryRun(
        [&, pair] { load->OnAcknowledged(pair, absl::ResourceExhaustedError("full")); }));
  });
  load = &pairs;
  pairs.OnReceived(0);  // nothing is in flight
  const LoadResult result = pairs.RunFor(absl::ZeroDuration(), kMeasured);
  EXPECT_EQ(result.completed, 0);
  EXPECT_GT(result.failed, 0);
  EXPECT_EQ(result.first_error.message(), "full");
  EXPECT_EQ(pairs.latencies().count(), 0);
}

}  // namespace
}  // namespace handrail::benchmark
