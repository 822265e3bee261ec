#include "services/matching/domain/offer_news.h"

#include <gtest/gtest.h>

#include "common/testing/seeded_random.h"

namespace handrail::matching {
namespace {

class OfferNewsTest : public ::testing::Test {
 protected:
  OfferVersion Open(int64_t version) const { return {id_, OfferState::kOpen, version}; }
  OfferVersion Closed(int64_t version) const { return {id_, OfferState::kDeclined, version}; }

  testing::SeededRandom random_{1};
  OfferId id_ = OfferId::Random(random_);
  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  OfferNews news_;
};

TEST_F(OfferNewsTest, OnlyTheFirstReadAndOneInFiveSecondsGoAllTheWayBack) {
  EXPECT_EQ(news_.LookBackTo(now_), now_ - OfferNews::kLookBack);
  news_.Looked(now_, {});
  now_ += absl::Seconds(1);
  EXPECT_EQ(news_.LookBackTo(now_), now_ - OfferNews::kShortLookBack);
  now_ += OfferNews::kLookBackInterval;
  EXPECT_EQ(news_.LookBackTo(now_), now_ - OfferNews::kLookBack);
}

TEST_F(OfferNewsTest, AClosingIsToldOnceAndOnlyToWhomTheOfferWasShown) {
  EXPECT_FALSE(news_.IsNews(Closed(2)));
  EXPECT_TRUE(news_.IsNews(Open(1)));
  news_.Told(id_, 1);
  EXPECT_FALSE(news_.IsNews(Open(1)));
  EXPECT_TRUE(news_.IsNews(Closed(2)));
  news_.Told(id_, 2);
  EXPECT_FALSE(news_.IsNews(Closed(2)));
}

TEST_F(OfferNewsTest, AClosingStampedBeforeTheWatchBeganIsStillFound) {
  // Shown open a moment after somebody else's phone closed it, before that was committed.
  const absl::Time stamped = now_ - absl::Milliseconds(50);
  EXPECT_LE(news_.LookBackTo(now_), stamped);
  news_.Told(id_, 1);
  news_.Looked(now_, {Open(1)});
  now_ += absl::Milliseconds(200);
  EXPECT_LE(news_.LookBackTo(now_), stamped);
  EXPECT_TRUE(news_.IsNews(Closed(2)));
}

TEST_F(OfferNewsTest, AShortLookForgetsNothingAndALongOneWhatIsLongClosed) {
  news_.Told(id_, 1);
  news_.Looked(now_, {Open(1)});
  now_ += absl::Seconds(4);
  news_.Looked(now_, {});  // closed 3 s ago and committed late: not in a short look
  EXPECT_TRUE(news_.IsNews(Closed(2)));
  now_ += absl::Seconds(1);
  news_.Looked(now_, {});
  EXPECT_FALSE(news_.IsNews(Closed(2)));
}

}  // namespace
}  // namespace handrail::matching
