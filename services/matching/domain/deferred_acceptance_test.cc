#include "services/matching/domain/deferred_acceptance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "common/testing/seeded_random.h"

namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Market RandomMarket(Random& random, uint64_t most) {
  Market market;
  market.newcomer_count = random.Below(most + 1);
  market.seats.resize(random.Below(most + 1));
  for (int& seats : market.seats) seats = static_cast<int>(random.Below(8)) / 3;
  for (uint32_t newcomer = 0; newcomer < market.newcomer_count; ++newcomer) {
    for (uint32_t sponsor = 0; sponsor < market.seats.size(); ++sponsor) {
      if (random.Below(100) < 35) continue;
      // Few values, so that there are ties.
      market.preferences.push_back({newcomer, sponsor, static_cast<int64_t>(random.Below(5)),
                                    static_cast<int64_t>(random.Below(5))});
    }
  }
  return market;
}

bool FitsTheSeats(const Market& market, const std::vector<int32_t>& sponsor_of) {
  std::vector<int> free = market.seats;
  for (size_t newcomer = 0; newcomer < sponsor_of.size(); ++newcomer) {
    if (sponsor_of[newcomer] == kUnplaced) continue;
    if (free[static_cast<size_t>(sponsor_of[newcomer])]-- == 0) return false;
    bool acceptable = false;
    for (const Preference& p : market.preferences) {
      acceptable |=
          p.newcomer == newcomer && static_cast<int32_t>(p.sponsor) == sponsor_of[newcomer];
    }
    if (!acceptable) return false;
  }
  return true;
}

// Calls `look` with every way to place the newcomers from `newcomer` on.
template <typename Look>
void Everyone(const Market& market, uint32_t newcomer, std::vector<int>& free,
              std::vector<int32_t>& sponsor_of, Look look) {
  if (newcomer == market.newcomer_count) return look(sponsor_of);
  Everyone(market, newcomer + 1, free, sponsor_of, look);
  for (const Preference& p : market.preferences) {
    if (p.newcomer != newcomer || free[p.sponsor] == 0) continue;
    --free[p.sponsor];
    sponsor_of[newcomer] = static_cast<int32_t>(p.sponsor);
    Everyone(market, newcomer + 1, free, sponsor_of, look);
    sponsor_of[newcomer] = kUnplaced;
    ++free[p.sponsor];
  }
}

// How much the newcomer likes where they are; nobody is least.
std::pair<int64_t, int64_t> Liking(const Market& market, uint32_t newcomer, int32_t sponsor) {
  for (const Preference& p : market.preferences) {
    if (p.newcomer == newcomer && static_cast<int32_t>(p.sponsor) == sponsor) {
      return {p.newcomer_value, -static_cast<int64_t>(p.sponsor)};
    }
  }
  return {-1, 0};
}

TEST(DeferredAcceptanceTest, NobodyAndNothing) {
  EXPECT_THAT(DeferredAcceptance({}), IsEmpty());
  EXPECT_EQ(CountBlockingPairs({}, {}), 0);
  EXPECT_THAT(DeferredAcceptance({2, {0}, {{0, 0, 1, 1}, {1, 0, 1, 1}}}),
              ElementsAre(kUnplaced, kUnplaced));
}

TEST(DeferredAcceptanceTest, ASponsorKeepsWhoIsLikedBestAndTheOtherGoesOn) {
  const Market market = {2, {1, 1}, {{0, 0, 9, 1}, {0, 1, 5, 1}, {1, 0, 9, 2}}};
  EXPECT_THAT(DeferredAcceptance(market), ElementsAre(1, 0));
}

TEST(DeferredAcceptanceTest, BlockingPairsAreCounted) {
  const Market market = {2, {1, 1}, {{0, 0, 9, 2}, {0, 1, 5, 1}, {1, 0, 9, 1}, {1, 1, 5, 2}}};
  EXPECT_EQ(CountBlockingPairs(market, {0, 1}), 0);
  // Newcomer 0 and sponsor 0 would both rather have each other.
  EXPECT_EQ(CountBlockingPairs(market, {1, 0}), 1);
  // Sponsor 0 has a free seat that both want; both want sponsor 1 too, being without anybody.
  EXPECT_EQ(CountBlockingPairs(market, {kUnplaced, kUnplaced}), 4);
}

TEST(DeferredAcceptanceTest, ThousandsOfMarketsAreStable) {
  testing::SeededRandom random(1);
  for (int i = 0; i < 5000; ++i) {
    const Market market = RandomMarket(random, 12);
    const std::vector<int32_t> sponsor_of = DeferredAcceptance(market);
    ASSERT_TRUE(FitsTheSeats(market, sponsor_of)) << i;
    ASSERT_EQ(CountBlockingPairs(market, sponsor_of), 0) << i;
  }
}

TEST(DeferredAcceptanceTest, EveryNewcomerHasTheBestSponsorOfAnyStableOutcome) {
  testing::SeededRandom random(2);
  int with_choice = 0;
  for (int i = 0; i < 2000; ++i) {
    const Market market = RandomMarket(random, 5);
    const std::vector<int32_t> sponsor_of = DeferredAcceptance(market);
    std::vector<int> free = market.seats;
    std::vector<int32_t> other(market.newcomer_count, kUnplaced);
    int stable = 0;
    Everyone(market, 0, free, other, [&](const std::vector<int32_t>& way) {
      if (CountBlockingPairs(market, way) != 0) return;
      ++stable;
      for (uint32_t n = 0; n < market.newcomer_count; ++n) {
        ASSERT_GE(Liking(market, n, sponsor_of[n]), Liking(market, n, way[n])) << i;
      }
    });
    ASSERT_GE(stable, 1) << i;
    with_choice += stable > 1 ? 1 : 0;
  }
  EXPECT_GT(with_choice, 10);  // else the claim was empty
}

}  // namespace
}  // namespace handrail::matching
