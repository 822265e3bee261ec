#include "services/matching/domain/pool_bounds.h"

#include <bit>

#include "absl/time/civil_time.h"
#include "common/testing/seeded_random.h"
#include "gtest/gtest.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/people_for_test.h"

namespace handrail::matching {
namespace {

using handrail::testing::SeededRandom;

constexpr Philosophy kProgram = Philosophy::kTwelveStepAa;

absl::Time Now() { return absl::FromCivil(absl::CivilDay(2026, 6, 3), absl::UTCTimeZone()); }

struct Pair {
  NewcomerRecord newcomer;
  SponsorRecord sponsor;
};

Pair RandomPair(SeededRandom& random) {
  const MemberTraits sponsor =
      random.Below(4) == 0 ? RandomSponsor(random) : BlendedSponsor(random);
  const MemberTraits newcomer =
      random.Below(4) == 0 ? RandomNewcomer(random) : BlendedNewcomer(random);
  const ProgramPolicies& policies = BuiltInPrograms();
  const absl::Time week = UtcWeekStart(Now());
  Pair pair = {MakeNewcomerRecord(newcomer, kProgram, RelationshipType::kSponsor, policies, week),
               MakeSponsorRecord(sponsor, kProgram, policies, week)};
  Availability seats = RandomSeats(sponsor.member, random);
  if (random.Below(2) == 0) seats.responsiveness = random.Unit();
  SetSeats(seats, pair.sponsor);
  return pair;
}

SponsorComparison Compare(const Scorer& scorer, const SponsorRecord& sponsor) {
  return SponsorComparison(scorer, sponsor, BuiltInPrograms().Of(kProgram).more_time_days,
                           Scorer::ScoreDay(Now()));
}

TEST(PoolBoundsTest, NobodyScoresMoreThanTheirCodeSays) {
  SeededRandom random(71);
  const Scorer scorer;
  for (int i = 0; i < 50'000; ++i) {
    const auto [newcomer, sponsor] = RandomPair(random);
    const FactorPoints points =
        scorer.WeightsFor(Importance::FromBits(static_cast<uint32_t>(random.Next64())));
    const double published = scorer.Score(newcomer, sponsor, Now(), scorer.weights().points);
    const SponsorComparison comparison = Compare(scorer, sponsor);
    const ScoreBounds of_tickets(sponsor, comparison, scorer.weights());
    ASSERT_GE(comparison.Bound(newcomer), published);
    ASSERT_GE(of_tickets.Of(CodeOf(newcomer)), published);
    ASSERT_GE(of_tickets.Best(), of_tickets.Of(CodeOf(newcomer)));
    const ScoreBounds of_sponsors(newcomer, points);
    ASSERT_GE(of_sponsors.Of(CodeOf(sponsor)), scorer.Score(newcomer, sponsor, Now(), points));
    ASSERT_GE(of_sponsors.Best(), of_sponsors.Of(CodeOf(sponsor)));
  }
}

// A bound of everything for everybody would be right and of no use.
TEST(PoolBoundsTest, IsTheScoreItselfWhereTheCodeTellsAll) {
  SeededRandom random(72);
  const Scorer scorer;
  int exact = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto [newcomer, sponsor] = RandomPair(random);
    for (PersonRecord* person : {&newcomer.person, &sponsor.person}) {
      person->flags &= static_cast<uint8_t>(~(PersonRecord::kHasHours | PersonRecord::kHasCell));
    }
    newcomer.person.flags &= static_cast<uint8_t>(~PersonRecord::kHasDate);
    for (SoftRecord* soft : {&newcomer.soft, &sponsor.soft}) soft->substances = 0;
    sponsor.soft.home_group = 0;
    // Between who shares little, the half that counts after a year is the better one.
    newcomer.soft.life_situations = 0;
    newcomer.soft.age_band = AgeBand::kUnspecified;
    if (std::popcount(newcomer.important_communities) > 2) newcomer.important_communities = 0;
    const ScoreBounds bounds(sponsor, Compare(scorer, sponsor), scorer.weights());
    const double score = scorer.Score(newcomer, sponsor, Now(), scorer.weights().points);
    ASSERT_NEAR(bounds.Of(CodeOf(newcomer)), score, 1e-4);
    exact += newcomer.important_communities != 0 && sponsor.soft.communities != 0 ? 1 : 0;
  }
  EXPECT_GT(exact, 100);
}

TEST(PoolBoundsTest, WhoLivesFarAwayCannotBeLocal) {
  SeededRandom random(73);
  const Scorer scorer;
  int apart = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto [newcomer, sponsor] = RandomPair(random);
    newcomer.person.flags |= PersonRecord::kHasCell;
    sponsor.person.flags |= PersonRecord::kHasCell;
    sponsor.soft.home_group = 0;
    const ScoreBounds bounds(sponsor, Compare(scorer, sponsor), scorer.weights());
    newcomer.person.cell = sponsor.person.cell;
    const double near = bounds.Of(CodeOf(newcomer));
    newcomer.person.cell = {static_cast<int16_t>(static_cast<int>(random.Below(1801)) - 900),
                            sponsor.person.cell.longitude_decidegrees};
    const double lost = near - bounds.Of(CodeOf(newcomer));
    if (lost > 1) {
      ++apart;
      ASSERT_GT(DistanceKm(newcomer.person, sponsor.person), 200);
    } else {
      ASSERT_EQ(lost, 0);
    }
  }
  EXPECT_GT(apart, 10'000);
}

}  // namespace
}  // namespace handrail::matching
