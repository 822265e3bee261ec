#include "services/matching/domain/candidates.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "common/testing/seeded_random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/people_for_test.h"
#include "services/matching/domain/score.h"

namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr size_t kK = 5;
constexpr EnumSet<CandidateField> kEverything = {
    CandidateField::kAgeBand,    CandidateField::kRecoveryTime, CandidateField::kLanguages,
    CandidateField::kModalities, CandidateField::kCommunities,  CandidateField::kSubstances};

// People in scope with their explanations.
class Population {
 public:
  explicit Population(MemberTraits newcomer) : newcomer_(std::move(newcomer)) {}

  void Add(MemberTraits sponsor) { sponsors_.push_back(std::move(sponsor)); }
  // `count` of the same.
  void Add(const MemberTraits& sponsor, int count) {
    for (int i = 0; i < count; ++i) Add(sponsor);
  }
  std::vector<CandidateView> Views(size_t k = kK) {
    people_.clear();
    const absl::Time week = UtcWeekStart(TestNow());
    const NewcomerRecord asks = MakeNewcomerRecord(
        newcomer_, Philosophy::kTwelveStepAa, RelationshipType::kSponsor, BuiltInPrograms(), week);
    for (const MemberTraits& sponsor : sponsors_) {
      const SponsorRecord gives =
          MakeSponsorRecord(sponsor, Philosophy::kTwelveStepAa, BuiltInPrograms(), week);
      people_.push_back({&sponsor, Scorer().Explain(asks, gives, TestNow())});
    }
    const CandidateViews views(*newcomer_.newcomer, Philosophy::kTwelveStepAa, people_, k,
                               TestNow());
    std::vector<CandidateView> all;
    for (size_t i = 0; i < people_.size(); ++i) all.push_back(views.Of(i));
    return all;
  }

  // How many people all of `view` is true of, worked out from the people themselves and not from
  // the code under test.
  size_t CountSharing(const CandidateView& view) const;

 private:
  bool IsTrueOf(const CandidateView& view, const PersonInScope& person) const;

  MemberTraits newcomer_;
  std::vector<MemberTraits> sponsors_;
  std::vector<PersonInScope> people_;
};

bool SameLanguages(const std::vector<Language>& shown, std::vector<Language> theirs,
                   const std::vector<Language>* only) {
  if (only != nullptr) {
    std::erase_if(theirs, [only](Language language) {
      return std::find(only->begin(), only->end(), language) == only->end();
    });
  }
  const auto contains = [](const std::vector<Language>& all, Language one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  };
  for (const Language one : shown) {
    if (!contains(theirs, one)) return false;
  }
  for (const Language one : theirs) {
    if (!contains(shown, one)) return false;
  }
  return true;
}

bool InBand(RecoveryBand band, int64_t days) {
  switch (band) {
    case RecoveryBand::kUnderTwoYears: return days < 730;
    case RecoveryBand::kTwoToFiveYears: return days >= 730 && days < 1825;
    case RecoveryBand::kFiveToTenYears: return days >= 1825 && days < 3650;
    case RecoveryBand::kTenYearsOrMore: return days >= 3650;
    case RecoveryBand::kUnderFiveYears: return days < 1825;
    case RecoveryBand::kFiveYearsOrMore: return days >= 1825;
    default: return true;
  }
}

bool Population::IsTrueOf(const CandidateView& view, const PersonInScope& person) const {
  const SponsorTraits& sponsor = *person.sponsor->sponsor;
  const auto shows = [&](CandidateField field) { return sponsor.candidate_fields.Contains(field); };
  for (const MatchReason reason : view.reasons) {
    const auto& theirs = person.explanation.reasons;
    if (std::find(theirs.begin(), theirs.end(), reason) == theirs.end()) return false;
    if (reason == MatchReason::kSharedExperience && !shows(CandidateField::kCommunities))
      return false;
    if (reason == MatchReason::kSubstance && !shows(CandidateField::kSubstances)) return false;
  }
  if (!view.languages.empty() &&
      (!shows(CandidateField::kLanguages) ||
       (!SameLanguages(view.languages, sponsor.person.languages, nullptr) &&
        !SameLanguages(view.languages, sponsor.person.languages,
                       &newcomer_.newcomer->person.languages)))) {
    return false;
  }
  const EnumSet<Modality> modalities = sponsor.person.modalities;
  if (!view.modalities.empty() &&
      (!shows(CandidateField::kModalities) ||
       (view.modalities != modalities &&
        view.modalities != (modalities & newcomer_.newcomer->person.modalities)))) {
    return false;
  }
  if (view.age_band != AgeBand::kUnspecified &&
      (!shows(CandidateField::kAgeBand) || view.age_band != sponsor.person.age_band)) {
    return false;
  }
  if (view.recovery_time != RecoveryBand::kUnspecified) {
    const SponsorProgram* program = sponsor.Find(Philosophy::kTwelveStepAa);
    if (!shows(CandidateField::kRecoveryTime) || program == nullptr || !program->recovery_date ||
        !InBand(view.recovery_time,
                absl::ToCivilDay(TestNow(), absl::UTCTimeZone()) - *program->recovery_date)) {
      return false;
    }
  }
  if (!view.communities.empty() &&
      (!shows(CandidateField::kCommunities) ||
       view.communities !=
           (sponsor.person.communities & newcomer_.newcomer->important_communities))) {
    return false;
  }
  for (size_t i = 0; i < view.factors.size(); ++i) {
    if (!view.factors[i].has_value()) continue;
    const auto& factor = person.explanation.factors[i];
    const double rounded = std::round(factor.points / factor.max_points * 4) / 4;
    if (std::abs(view.factors[i]->points - rounded * factor.max_points) > 1e-6) return false;
  }
  return true;
}

size_t Population::CountSharing(const CandidateView& view) const {
  size_t count = 0;
  for (const PersonInScope& person : people_) count += IsTrueOf(view, person) ? 1 : 0;
  return count;
}

MemberTraits Open(MemberTraits sponsor) {
  sponsor.sponsor->candidate_fields = kEverything;
  return sponsor;
}

bool TellsNothing(const CandidateView& view) {
  CandidateView nothing;
  return view == nothing;
}

TEST(CandidatesTest, FivePeopleAlikeAreDescribedInFull) {
  MemberTraits newcomer = GoodNewcomer();
  newcomer.newcomer->important_communities = {Community::kVeteran, Community::kParent};
  Population people(newcomer);
  MemberTraits sponsor = Open(GoodSponsor());
  sponsor.sponsor->person.age_band = AgeBand::k45To54;
  sponsor.sponsor->person.communities = {Community::kVeteran, Community::kFaith};
  people.Add(sponsor, 5);
  const CandidateView view = people.Views().front();
  EXPECT_EQ(view.age_band, AgeBand::k45To54);
  EXPECT_EQ(view.languages, sponsor.sponsor->person.languages);
  EXPECT_EQ(view.modalities, sponsor.sponsor->person.modalities);
  EXPECT_NE(view.recovery_time, RecoveryBand::kUnspecified);
  // What the newcomer did not mark is not told, whatever the sponsor allows.
  EXPECT_EQ(view.communities, EnumSet<Community>{Community::kVeteran});
  EXPECT_EQ(view.reasons.size(), 3u);
  for (const auto& factor : view.factors) EXPECT_TRUE(factor.has_value());
  EXPECT_GT(view.score, 0);
  EXPECT_EQ(view.score % 10, 0);
  EXPECT_EQ(view.shared_by, 5u);
}

TEST(CandidatesTest, FourPeopleAreNotDescribedAtAll) {
  Population people(GoodNewcomer());
  people.Add(Open(GoodSponsor()), 4);
  for (const CandidateView& view : people.Views()) EXPECT_TRUE(TellsNothing(view));
}

TEST(CandidatesTest, WhatOnePersonHasAloneIsLeftOut) {
  Population people(GoodNewcomer());
  MemberTraits sponsor = Open(GoodSponsor());
  sponsor.sponsor->person.age_band = AgeBand::k35To44;
  people.Add(sponsor, 5);
  sponsor.sponsor->person.age_band = AgeBand::k65Plus;
  people.Add(sponsor);
  const std::vector<CandidateView> views = people.Views();
  EXPECT_EQ(views[0].age_band, AgeBand::k35To44);
  EXPECT_EQ(views[5].age_band, AgeBand::kUnspecified);
  EXPECT_EQ(views[5].languages, views[0].languages);
}

TEST(CandidatesTest, AWiderBandIsToldWhereTheNarrowOneIsTooRare) {
  Population people(GoodNewcomer());
  MemberTraits sponsor = Open(GoodSponsor());
  sponsor.sponsor->programs.front().recovery_date = absl::CivilDay(2019, 6, 1);  // 7 years
  people.Add(sponsor, 4);
  sponsor.sponsor->programs.front().recovery_date = absl::CivilDay(2000, 6, 1);
  people.Add(sponsor);
  const std::vector<CandidateView> views = people.Views();
  EXPECT_EQ(views[0].recovery_time, RecoveryBand::kFiveYearsOrMore);
  EXPECT_EQ(views[4].recovery_time, RecoveryBand::kFiveYearsOrMore);
}

// Nine are told a band; that the tenth is told a wider one would say that theirs is the other half.
TEST(CandidatesTest, AWiderBandIsNotToldOfTheFewWhoAreToldNoFinerOne) {
  Population people(GoodNewcomer());
  MemberTraits sponsor = Open(GoodSponsor());
  sponsor.sponsor->programs.front().recovery_date = absl::CivilDay(2019, 6, 1);  // 7 years
  people.Add(sponsor, 9);
  sponsor.sponsor->programs.front().recovery_date = absl::CivilDay(2000, 6, 1);
  people.Add(sponsor);
  const std::vector<CandidateView> views = people.Views();
  EXPECT_EQ(views[0].recovery_time, RecoveryBand::kFiveToTenYears);
  EXPECT_EQ(views[9].recovery_time, RecoveryBand::kUnspecified);
}

TEST(CandidatesTest, ALanguageThatTheNewcomerDoesNotSpeakIsLeftOutFirst) {
  Population people(GoodNewcomer());
  MemberTraits sponsor = Open(GoodSponsor());
  sponsor.sponsor->person.languages = {Language::FromTag("en")};
  people.Add(sponsor, 5);
  sponsor.sponsor->person.languages = {Language::FromTag("is"), Language::FromTag("en")};
  people.Add(sponsor);
  EXPECT_THAT(people.Views()[5].languages, ElementsAre(Language::FromTag("en")));
}

TEST(CandidatesTest, WhatASponsorDoesNotShowIsNeitherToldNorCounted) {
  MemberTraits newcomer = GoodNewcomer();
  newcomer.newcomer->important_communities = {Community::kVeteran};
  Population people(newcomer);
  MemberTraits sponsor = Open(GoodSponsor());
  sponsor.sponsor->person.age_band = AgeBand::k45To54;
  sponsor.sponsor->person.communities = {Community::kVeteran};
  people.Add(sponsor, 4);
  sponsor.sponsor->candidate_fields = {};
  people.Add(sponsor, 3);
  const std::vector<CandidateView> views = people.Views();
  for (const CandidateView& view : views) {
    // Four show it, and three more have it but do not.
    EXPECT_EQ(view.age_band, AgeBand::kUnspecified);
    EXPECT_THAT(view.languages, IsEmpty());
    EXPECT_TRUE(view.communities.empty());
    EXPECT_FALSE(view.factors[static_cast<size_t>(FactorCode::kSharedExperience)].has_value());
    EXPECT_THAT(view.reasons, ::testing::Not(::testing::Contains(MatchReason::kSharedExperience)));
    // What is coarse enough to be told of anybody is.
    EXPECT_TRUE(view.factors[static_cast<size_t>(FactorCode::kAvailability)].has_value());
  }
}

// The property that all of this is for.
TEST(CandidatesTest, InRandomPopulationsWhateverIsShownIsTrueOfAtLeastFive) {
  testing::SeededRandom random(20260603);
  size_t told = 0;
  for (int round = 0; round < 300; ++round) {
    MemberTraits newcomer = RandomNewcomer(random);
    newcomer.newcomer->person.languages = {Language::FromTag("en"), Language::FromTag("es")};
    Population people(newcomer);
    const int count = static_cast<int>(random.Next64() % 60);
    MemberTraits last;
    for (int i = 0; i < count; ++i) {
      MemberTraits sponsor = RandomSponsor(random);
      // Half of them are like the one before but for one thing.
      if (i > 0 && random.Next64() % 2 == 0) {
        last.sponsor->person.age_band = sponsor.sponsor->person.age_band;
        sponsor = last;
      }
      sponsor.sponsor->candidate_fields =
          EnumSet<CandidateField>::FromBits(static_cast<uint32_t>(random.Next64()) & 0x7e);
      if (random.Next64() % 2 == 0) sponsor.sponsor->candidate_fields = kEverything;
      last = sponsor;
      people.Add(std::move(sponsor));
    }
    for (const CandidateView& view : people.Views()) {
      if (TellsNothing(view)) continue;
      ++told;
      ASSERT_GE(people.CountSharing(view), kK) << "round " << round;
      ASSERT_GE(view.shared_by, kK);
      ASSERT_GE(people.CountSharing(view), view.shared_by);
    }
  }
  EXPECT_GT(told, 1000u);
}

TEST(CandidatesTest, TheSamePeopleAreDescribedInTheSameWay) {
  testing::SeededRandom random(7);
  Population people(RandomNewcomer(random));
  for (int i = 0; i < 40; ++i) people.Add(Open(RandomSponsor(random)));
  EXPECT_EQ(people.Views(), people.Views());
}

}  // namespace
}  // namespace handrail::matching
