#include "services/matching/domain/score.h"

#include <string>

#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/matching/domain/people_for_test.h"

namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

double ValueOf(const TestPair& pair, FactorCode factor) {
  return Scorer().Values(pair.NewcomerOf(), pair.SponsorOf(),
                         TestNow())[static_cast<size_t>(factor)];
}

// A pair of whom nothing is known that is scored.
TestPair SilentPair() {
  TestPair pair;
  for (PersonTraits* person : {&pair.newcomer_person(), &pair.sponsor_person()}) {
    *person = PersonTraits{};
  }
  pair.program().recovery_date.reset();
  return pair;
}

TEST(ScoreTest, TheDefaultWeightsAreTheTables) {
  EXPECT_TRUE(ScoreWeights{}.Validate().ok());
  EXPECT_THAT(ScoreWeights{}.points, ElementsAre(24, 22, 14, 14, 10, 6, 5, 3, 2));
}

TEST(ScoreTest, WeightsThatDoNotSumTo100AreRefusedWithEveryFault) {
  ScoreWeights weights;
  weights.points[0] = -1;
  weights.full_overlap_minutes = 0;
  weights.overlap_share = 1.5;
  const absl::Status status = weights.Validate();
  EXPECT_TRUE(HasReason(status, reason::kConfigurationInvalid));
  EXPECT_THAT(status.message(), HasSubstr("PATHWAY_FIT is not 0..100"));
  EXPECT_THAT(status.message(), HasSubstr("the sum is 75"));
  EXPECT_THAT(status.message(), HasSubstr("overlap_share"));
  EXPECT_THAT(status.message(), HasSubstr("full_overlap_minutes is 0"));
  weights = {};
  weights.points[0] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(weights.Validate().ok());
}

TEST(ScoreTest, WhatIsNotSaidIsNeutral) {
  const TestPair pair = SilentPair();
  for (int i = 0; i < kFactorCount; ++i) {
    const auto factor = static_cast<FactorCode>(i);
    if (factor == FactorCode::kLoadBalance) continue;  // seats are always known
    EXPECT_DOUBLE_EQ(ValueOf(pair, factor), 0.5) << CodeOf(factor);
  }
}

TEST(ScoreTest, MoreOverlapNeverLowersTheScore) {
  TestPair pair;
  double before = -1;
  for (int16_t length = 15; length <= 180; length = static_cast<int16_t>(length + 15)) {
    for (WeeklyWindow& window : pair.sponsor_person().availability) window.length_minutes = length;
    const double score = Scorer().Score(pair.NewcomerOf(), pair.SponsorOf(), TestNow());
    EXPECT_GE(score, before) << length;
    before = score;
  }
  EXPECT_DOUBLE_EQ(ValueOf(pair, FactorCode::kAvailability), 0.6 + 0.4 * 0.5);
}

TEST(ScoreTest, QuickAnswersRaiseTheScore) {
  const TestPair pair;
  SponsorRecord sponsor = pair.SponsorOf();
  double before = -1;
  for (const float responsiveness : {0.0f, 0.25f, 0.5f, 1.0f}) {
    sponsor.responsiveness = responsiveness;
    const double score = Scorer().Score(pair.NewcomerOf(), sponsor, TestNow());
    EXPECT_GT(score, before);
    before = score;
  }
  sponsor.responsiveness = 5;  // out of its range: no more than the most
  EXPECT_EQ(Scorer().Score(pair.NewcomerOf(), sponsor, TestNow()), before);
}

// Race, faith, orientation and health are communities: nobody is scored on one of them who did not
// ask for it.
TEST(ScoreTest, NoCommunityThatWasNotMarkedChangesAnything) {
  TestPair pair;
  for (int marked = 0; marked < 14; ++marked) {
    pair.newcomer.newcomer->important_communities = {};
    if (marked > 0)
      pair.newcomer.newcomer->important_communities.Add(static_cast<Community>(marked));
    pair.sponsor_person().communities = {};
    const Explanation without = Scorer().Explain(pair.NewcomerOf(), pair.SponsorOf(), TestNow());
    for (int told = 1; told < 14; ++told) {
      if (told == marked) continue;
      pair.sponsor_person().communities.Add(static_cast<Community>(told));
      EXPECT_EQ(Scorer().Explain(pair.NewcomerOf(), pair.SponsorOf(), TestNow()), without)
          << marked << " " << told;
    }
  }
}

TEST(ScoreTest, AnImportanceIsPackedAndReadBack) {
  Importance importance;
  EXPECT_TRUE(importance.IsDefault());
  importance.Set(FactorCode::kSubstance, Emphasis::kOff);
  importance.Set(FactorCode::kPathwayFit, Emphasis::kLess);
  importance.Set(FactorCode::kLifeStage, Emphasis::kMore);
  EXPECT_EQ(importance.Of(FactorCode::kSubstance), Emphasis::kOff);
  EXPECT_EQ(importance.Of(FactorCode::kPathwayFit), Emphasis::kLess);
  EXPECT_EQ(importance.Of(FactorCode::kLifeStage), Emphasis::kMore);
  EXPECT_EQ(importance.Of(FactorCode::kLocality), Emphasis::kNormal);
  EXPECT_EQ(Importance::FromBits(importance.bits()), importance);
  EXPECT_EQ(Importance::FromBits(0xffffffffu).bits(), 0x3ffffu);
  importance.Set(FactorCode::kSubstance, Emphasis::kNormal);
  importance.Set(FactorCode::kPathwayFit, Emphasis::kNormal);
  importance.Set(FactorCode::kLifeStage, Emphasis::kNormal);
  EXPECT_TRUE(importance.IsDefault());
}

TEST(ScoreTest, ANewcomersWeightsSumTo100WhateverTheyAre) {
  const Scorer scorer;
  EXPECT_EQ(scorer.WeightsFor({}), ScoreWeights{}.points);
  for (uint32_t bits = 0; bits < (1u << 18); ++bits) {
    double sum = 0;
    for (const double value : scorer.WeightsFor(Importance::FromBits(bits))) {
      ASSERT_GE(value, 0);
      sum += value;
    }
    ASSERT_NEAR(sum, 100, 1e-9) << bits;
  }
  // With everything switched off there would be nothing to compare.
  EXPECT_EQ(scorer.WeightsFor(Importance::FromBits(0x3ffff)), ScoreWeights{}.points);
}

TEST(ScoreTest, LessIsHalfAndMoreIsTwice) {
  Importance importance;
  importance.Set(FactorCode::kPathwayFit, Emphasis::kMore);    // 24 -> 48
  importance.Set(FactorCode::kAvailability, Emphasis::kLess);  // 22 -> 11
  importance.Set(FactorCode::kSubstance, Emphasis::kOff);      // 2 -> 0
  const FactorPoints points = Scorer().WeightsFor(importance);
  const double sum = 100 + 24 - 11 - 2;
  EXPECT_DOUBLE_EQ(points[0], 48 * 100 / sum);
  EXPECT_DOUBLE_EQ(points[1], 11 * 100 / sum);
  EXPECT_DOUBLE_EQ(points[2], 14 * 100 / sum);
  EXPECT_EQ(points[8], 0);
}

TEST(ScoreTest, WhatANewcomerWeighsMoreDecidesMore) {
  TestPair pair;
  pair.newcomer_person().approach = pair.sponsor_person().approach = Approach::kStructured;
  NewcomerRecord newcomer = pair.NewcomerOf();
  const SponsorRecord sponsor = pair.SponsorOf();
  const double before = Scorer().Score(newcomer, sponsor, TestNow());
  newcomer.importance.Set(FactorCode::kLocality, Emphasis::kMore);  // it is 1 here
  const Explanation more = Scorer().Explain(newcomer, sponsor, TestNow());
  EXPECT_GT(more.score, before);
  EXPECT_EQ(more.score, Scorer().Score(newcomer, sponsor, TestNow()));
  EXPECT_EQ(more.score,
            Scorer().Score(newcomer, sponsor, TestNow(), Scorer().WeightsFor(newcomer.importance)));
  newcomer.importance.Set(FactorCode::kLocality, Emphasis::kOff);
  const Explanation off = Scorer().Explain(newcomer, sponsor, TestNow());
  EXPECT_LT(off.score, before);
  EXPECT_EQ(off.factors[static_cast<size_t>(FactorCode::kLocality)].max_points, 0);
  EXPECT_THAT(off.reasons, Not(::testing::Contains(MatchReason::kLocality)));
}

TEST(ScoreTest, CommunitiesCountOnlyWhenTheNewcomerMarkedThem) {
  TestPair pair;
  pair.newcomer_person().communities = {Community::kVeteran, Community::kFaith};
  pair.sponsor_person().communities = {Community::kVeteran, Community::kFaith};
  EXPECT_DOUBLE_EQ(ValueOf(pair, FactorCode::kSharedExperience), 0.5);
  pair.newcomer.newcomer->important_communities = {Community::kVeteran};
  EXPECT_DOUBLE_EQ(ValueOf(pair, FactorCode::kSharedExperience), 1.0);
  pair.newcomer.newcomer->important_communities = {Community::kVeteran, Community::kParent};
  EXPECT_DOUBLE_EQ(ValueOf(pair, FactorCode::kSharedExperience), 0.75);
  pair.sponsor_person().communities = {};
  EXPECT_DOUBLE_EQ(ValueOf(pair, FactorCode::kSharedExperience), 0.5);
}

TEST(ScoreTest, LifeStageCountsHalfAfterAYear) {
  TestPair pair;
  pair.newcomer_person().age_band = AgeBand::k25To34;
  pair.sponsor_person().age_band = AgeBand::k25To34;
  EXPECT_DOUBLE_EQ(ValueOf(pair, FactorCode::kLifeStage), 0.75);
  pair.newcomer.newcomer->recovery_date = absl::CivilDay(2025, 6, 3);
  EXPECT_DOUBLE_EQ(ValueOf(pair, FactorCode::kLifeStage), 0.625);
}

TEST(ScoreTest, ValuesThatDifferCostPoints) {
  TestPair pair;
  pair.newcomer_person().spiritual_stance = SpiritualStance::kSecular;
  pair.sponsor_person().spiritual_stance = SpiritualStance::kSecular;
  const double same = ValueOf(pair, FactorCode::kPathwayFit);
  pair.sponsor_person().spiritual_stance = SpiritualStance::kFaith;
  EXPECT_GT(same, 0.5);
  EXPECT_LT(ValueOf(pair, FactorCode::kPathwayFit), 0.5);
}

TEST(ScoreTest, LoadLocalityAndSubstance) {
  TestPair pair;
  EXPECT_DOUBLE_EQ(ValueOf(pair, FactorCode::kLoadBalance), 2.0 / 3);
  EXPECT_DOUBLE_EQ(ValueOf(pair, FactorCode::kLocality), 1);
  pair.sponsor_person().place.cell = CoarseCell{300, -740};
  EXPECT_DOUBLE_EQ(ValueOf(pair, FactorCode::kLocality), 0);
  pair.newcomer_person().home_group = pair.sponsor_person().home_group = "tuesday";
  EXPECT_DOUBLE_EQ(ValueOf(pair, FactorCode::kLocality), 1);
  pair.newcomer_person().substances = {Substance::kAlcohol, Substance::kUndisclosed};
  pair.sponsor_person().substances = {Substance::kUndisclosed};
  EXPECT_DOUBLE_EQ(ValueOf(pair, FactorCode::kSubstance), 0.5);
  pair.sponsor_person().substances = {Substance::kAlcohol, Substance::kFood};
  EXPECT_DOUBLE_EQ(ValueOf(pair, FactorCode::kSubstance), 1);
}

TEST(ScoreTest, TheExplanationAddsUpAndIsTheSameEveryTime) {
  TestPair pair;
  pair.newcomer_person().approach = pair.sponsor_person().approach = Approach::kStructured;
  pair.newcomer_person().goal = pair.sponsor_person().goal = RecoveryGoal::kAbstinence;
  pair.newcomer_person().languages = {Language::FromTag("es"), Language::FromTag("en")};
  const Explanation explanation = Scorer().Explain(pair.NewcomerOf(), pair.SponsorOf(), TestNow());
  double points = 0, max = 0;
  for (const Explanation::Factor& factor : explanation.factors) {
    points += factor.points;
    max += factor.max_points;
  }
  EXPECT_NEAR(explanation.score, points, 1e-9);
  EXPECT_NEAR(max, 100, 1e-9);
  EXPECT_THAT(explanation.reasons, ElementsAre(MatchReason::kAvailability, MatchReason::kPathway,
                                               MatchReason::kLocality));
  EXPECT_THAT(explanation.shared_languages, ElementsAre(Language::FromTag("en")));
  EXPECT_EQ(explanation, Scorer().Explain(pair.NewcomerOf(), pair.SponsorOf(), TestNow()));
}

TEST(ScoreTest, NothingIsSaidInFavourWhenNothingSpeaksForIt) {
  TestPair pair = SilentPair();
  pair.seats.pairing_count = 2;
  EXPECT_TRUE(Scorer().Explain(pair.NewcomerOf(), pair.SponsorOf(), TestNow()).reasons.empty());
}

TEST(ScoreTest, EveryReasonHasACodeAndAKindText) {
  for (int i = 1; i < kMatchReasonCount; ++i) {
    const auto reason = static_cast<MatchReason>(i);
    EXPECT_EQ(MatchReasonFromCode(CodeOf(reason)), reason);
    const std::string text(TextOf(reason));
    EXPECT_THAT(text, HasSubstr("."));
    for (const char* word : {"addict", "clean", "relapse", "reject", "abuse"}) {
      EXPECT_THAT(text, Not(HasSubstr(word)));
    }
  }
  EXPECT_EQ(MatchReasonFromCode("NO_SUCH"), MatchReason::kNone);
  EXPECT_EQ(MatchReasonFromCode(""), MatchReason::kNone);
}

}  // namespace
}  // namespace handrail::matching
