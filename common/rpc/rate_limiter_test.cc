#include "common/rpc/rate_limiter.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/rpc/admission.h"

namespace handrail::rpc {
namespace {

using common::v1::CallClass;

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

TEST(RateLimiterTest, GivesAMinutesCallsAndThenTheRate) {
  RateLimiter limiter(1.0);
  for (int i = 0; i < 60; ++i) EXPECT_EQ(limiter.Take(0, "a", 60, kStart), absl::ZeroDuration());
  const absl::Duration wait = limiter.Take(0, "a", 60, kStart);
  EXPECT_GT(wait, absl::Milliseconds(900));
  EXPECT_LE(wait, absl::Milliseconds(1001));
  EXPECT_EQ(limiter.Take(0, "b", 60, kStart), absl::ZeroDuration());  // another caller
  EXPECT_EQ(limiter.Take(1, "a", 60, kStart), absl::ZeroDuration());  // another method
  EXPECT_EQ(limiter.Take(0, "a", 60, kStart + wait), absl::ZeroDuration());
  EXPECT_GT(limiter.Take(0, "a", 60, kStart + wait), absl::ZeroDuration());
}

TEST(RateLimiterTest, TimeThatRunsBackwardsGivesAndTakesNothing) {
  RateLimiter limiter(1.0);
  EXPECT_EQ(limiter.Take(0, "a", 1, kStart), absl::ZeroDuration());
  EXPECT_GT(limiter.Take(0, "a", 1, kStart - absl::Hours(1)), absl::ZeroDuration());
  EXPECT_GT(limiter.Take(0, "a", 1, kStart), absl::ZeroDuration());  // no hour was gained
  EXPECT_EQ(limiter.Take(0, "a", 1, kStart + absl::Minutes(2)), absl::ZeroDuration());
}

TEST(RateLimiterTest, ScaleZeroLiftsAllLimits) {
  RateLimiter limiter(0.0);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(limiter.Take(0, "a", 1, kStart), absl::ZeroDuration());
}

TEST(RateLimiterTest, ManyCallersDoNotGrowIt) {
  RateLimiter limiter(1.0, /*sets=*/4);
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_EQ(limiter.Take(0, absl::StrCat("caller", i), 1, kStart + absl::Microseconds(i)),
              absl::ZeroDuration());
  }
}

TEST(AdmissionTest, ClassesAreRefusedInOrder) {
  Admission admission(100, 100, absl::Milliseconds(50));
  int entered = 0;
  const auto fill = [&](CallClass call_class) {
    while (admission.TryEnter(call_class)) ++entered;
    return entered;
  };
  EXPECT_EQ(fill(CallClass::CALL_CLASS_BROWSING), 58);
  EXPECT_EQ(fill(CallClass::CALL_CLASS_MATCHING), 76);
  EXPECT_EQ(fill(CallClass::CALL_CLASS_MESSAGING), 90);
  EXPECT_EQ(fill(CallClass::CALL_CLASS_SAFETY), 100);
  admission.Leave();
  EXPECT_FALSE(admission.TryEnter(CallClass::CALL_CLASS_MESSAGING));
  EXPECT_TRUE(admission.TryEnter(CallClass::CALL_CLASS_SAFETY));
}

TEST(AdmissionTest, TheLimitFollowsTheWaitDownToItsFloorAndUpAgain) {
  Admission admission(10, 100, absl::Milliseconds(50));
  int64_t now_ns = 1'000'000'000;
  admission.ObserveWait(60'000'000, now_ns);
  EXPECT_EQ(admission.Limit(), 90);
  admission.ObserveWait(60'000'000, now_ns + 1);  // once in 100 ms
  EXPECT_EQ(admission.Limit(), 90);
  for (int i = 0; i < 100; ++i) admission.ObserveWait(60'000'000, now_ns += 100'000'000);
  EXPECT_EQ(admission.Limit(), 10);
  for (int i = 0; i < 100; ++i) admission.ObserveWait(1, now_ns += 100'000'000);
  EXPECT_EQ(admission.Limit(), 10) << "it grows only when it is what holds calls back";
  for (int i = 0; i < 95; ++i) admission.TryEnter(CallClass::CALL_CLASS_SAFETY);
  for (int i = 0; i < 100; ++i) admission.ObserveWait(1, now_ns += 100'000'000);
  EXPECT_EQ(admission.Limit(), 100);
}

TEST(StreamCounterTest, BoundsAllAndEachCaller) {
  StreamCounter counter(3, 2);
  auto first = counter.Enter("a");
  auto second = counter.Enter("a");
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_FALSE(counter.Enter("a").ok());
  auto third = counter.Enter("b");
  ASSERT_TRUE(third.ok());
  EXPECT_FALSE(counter.Enter("c").ok());
  EXPECT_EQ(counter.Open(), 3);
  *first = nullptr;
  EXPECT_EQ(counter.Open(), 2);
  EXPECT_TRUE(counter.Enter("a").ok());
}

}  // namespace
}  // namespace handrail::rpc
