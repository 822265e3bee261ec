#include "services/matching/domain/pair_table.h"

#include <gtest/gtest.h>

#include "common/testing/seeded_random.h"

namespace handrail::matching {
namespace {

class OfferedPairsTest : public ::testing::Test {
 protected:
  absl::Time RestOf(const MemberId& sponsor) {
    return table_.Between(newcomer_, sponsor).cooldown_until;
  }

  testing::SeededRandom random_{1};
  const MemberId newcomer_ = MemberId::Random(random_);
  const MemberId a_ = MemberId::Random(random_);
  const MemberId b_ = MemberId::Random(random_);
  const TicketId ticket_ = TicketId::Random(random_);
  const TicketId other_ = TicketId::Random(random_);
  const absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  PairTable table_;
};

TEST_F(OfferedPairsTest, WhomATicketIsBeforeRestsUntilOneOfItsOffersIsOver) {
  table_.PutOffered(newcomer_, ticket_, a_, now_ + absl::Hours(1));
  table_.PutOffered(newcomer_, ticket_, b_, now_ + absl::Hours(2));
  EXPECT_EQ(RestOf(a_), now_ + absl::Hours(1));
  EXPECT_EQ(RestOf(b_), now_ + absl::Hours(2));
  EXPECT_TRUE(table_.HasAny(newcomer_) && table_.HasAny(a_) && table_.HasAny(b_));
  table_.ForgetOffered(newcomer_, other_);
  EXPECT_EQ(RestOf(a_), now_ + absl::Hours(1)) << "another ticket of the same newcomer";
  table_.ForgetOffered(newcomer_, ticket_);
  EXPECT_EQ(RestOf(a_), absl::InfinitePast());
  EXPECT_EQ(RestOf(b_), absl::InfinitePast());
  EXPECT_FALSE(table_.HasAny(newcomer_) || table_.HasAny(a_) || table_.HasAny(b_));
}

TEST_F(OfferedPairsTest, ACooldownThatIsLongerStays) {
  table_.CoolDown(newcomer_, a_, now_ + absl::Hours(3));
  table_.PutOffered(newcomer_, ticket_, a_, now_ + absl::Hours(1));
  table_.ForgetOffered(newcomer_, ticket_);
  EXPECT_EQ(RestOf(a_), now_ + absl::Hours(3));
}

TEST_F(OfferedPairsTest, WhatHasPassedIsForgotten) {
  table_.PutOffered(newcomer_, ticket_, a_, now_ + absl::Hours(1));
  table_.PutOffered(newcomer_, other_, b_, now_ + absl::Hours(2));
  table_.Prune(now_ + absl::Hours(1));
  EXPECT_FALSE(table_.HasAny(a_));
  EXPECT_TRUE(table_.HasAny(newcomer_) && table_.HasAny(b_));
  table_.Prune(now_ + absl::Hours(2));
  EXPECT_FALSE(table_.HasAny(newcomer_) || table_.HasAny(b_));
}

}  // namespace
}  // namespace handrail::matching
