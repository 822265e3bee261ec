#include "services/matching/domain/responsiveness.h"

#include <gtest/gtest.h>

namespace handrail::matching {
namespace {

constexpr double kNotKnown = -1;

TEST(Responsiveness, ASoonAnswerRaisesAndALateOneLowersWhatWasNotKnown) {
  EXPECT_DOUBLE_EQ(AfterAnswer(kNotKnown, absl::ZeroDuration()), 0.625);
  EXPECT_DOUBLE_EQ(AfterAnswer(kNotKnown, absl::Hours(8)), 0.5);
  EXPECT_LT(AfterAnswer(kNotKnown, absl::Hours(20)), 0.5);
  EXPECT_DOUBLE_EQ(AfterSilence(kNotKnown), 0.375);
}

TEST(Responsiveness, TheSoonerTheBetterAndSilenceIsWorst) {
  for (const double before : {0.0, 0.3, 1.0}) {
    double last = AfterSilence(before);
    for (int hours = 24 * 7; hours >= 0; --hours) {
      const double now = AfterAnswer(before, absl::Hours(hours));
      EXPECT_GT(now, last) << hours << " from " << before;
      last = now;
    }
  }
}

TEST(Responsiveness, StaysInItsRangeAndForgets) {
  double value = 1;
  for (int i = 0; i < 1000; ++i) {
    value = AfterSilence(value);
    ASSERT_GE(value, 0);
  }
  EXPECT_LT(value, 0.001);
  for (int i = 0; i < 20; ++i) value = AfterAnswer(value, absl::Minutes(1));
  EXPECT_GT(value, 0.95) << "who answers again soon stands well soon";
  EXPECT_LE(value, 1);
}

// A clock that went back, or a stored number from elsewhere, bends nothing.
TEST(Responsiveness, HostileInputIsHeldInRange) {
  EXPECT_DOUBLE_EQ(AfterAnswer(0.5, -absl::Hours(5)), AfterAnswer(0.5, absl::ZeroDuration()));
  EXPECT_LE(AfterAnswer(7, absl::ZeroDuration()), 1);
  EXPECT_GE(AfterAnswer(0.5, absl::InfiniteDuration()), 0);
}

}  // namespace
}  // namespace handrail::matching
