#include "services/matching/domain/queue_outlook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/people_for_test.h"

namespace handrail::matching {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kAa = Philosophy::kTwelveStepAa;
constexpr auto kSponsor = RelationshipType::kSponsor;

class QueueOutlookTest : public ::testing::Test {
 protected:
  ListedSponsor Listed(const MemberTraits& sponsor, int capacity = 1) {
    ListedSponsor listed;
    listed.record = MakeSponsorRecord(sponsor, kAa, BuiltInPrograms(), UtcWeekStart(TestNow()));
    Availability seats;
    seats.sponsor = sponsor.member;
    seats.capacity = capacity;
    seats.accepting = true;
    SetSeats(seats, listed.record);
    listed.pools = PoolsForSponsor(*sponsor.sponsor);
    return listed;
  }
  std::vector<ListedSponsor> Many(int count, const std::function<void(MemberTraits&)>& change,
                                  int capacity = 1) {
    std::vector<ListedSponsor> sponsors;
    for (int i = 0; i < count; ++i) {
      MemberTraits sponsor = GoodSponsor();
      sponsor.member = MemberId::Random(random);
      change(sponsor);
      sponsors.push_back(Listed(sponsor, capacity));
    }
    return sponsors;
  }
  Outlook Look(const std::vector<ListedSponsor>& sponsors, const PairFactsOf& facts = {}) {
    return LookAhead(rules, BuiltInPrograms(), newcomer, kAa, kSponsor, sponsors, facts, TestNow());
  }

  SystemRandom random;
  RuleSet rules;
  MemberTraits newcomer = GoodNewcomer();
};

TEST(CountBandTest, NobodyIsToldApartBelowFive) {
  EXPECT_EQ(BandOf(0), CountBand::kUnder5);
  EXPECT_EQ(BandOf(4), CountBand::kUnder5);
  EXPECT_EQ(BandOf(5), CountBand::k5To9);
  EXPECT_EQ(BandOf(9), CountBand::k5To9);
  EXPECT_EQ(BandOf(10), CountBand::k10To49);
  EXPECT_EQ(BandOf(49), CountBand::k10To49);
  EXPECT_EQ(BandOf(50), CountBand::k50OrMore);
}

TEST(EstimateWaitTest, FourAreTooFewToSay) {
  const ExpectedWait wait = EstimateWait(std::vector<absl::Duration>(4, absl::Hours(5)));
  EXPECT_EQ(wait.basis, 0);
  EXPECT_EQ(wait.min_hours, 0);
  EXPECT_EQ(wait.max_hours, 0);
}

TEST(EstimateWaitTest, TheMiddleHalfIsRoundedOutwards) {
  std::vector<absl::Duration> waits;
  for (int i = 1; i <= 40; ++i) waits.push_back(absl::Hours(i));
  const ExpectedWait wait = EstimateWait(waits);
  EXPECT_EQ(wait.basis, 25);
  EXPECT_EQ(wait.min_hours, 6);   // the 11th: 11 hours
  EXPECT_EQ(wait.max_hours, 48);  // the 30th: 30 hours
  const ExpectedWait quick = EstimateWait(std::vector<absl::Duration>(5, absl::Minutes(2)));
  EXPECT_EQ(quick.min_hours, 0);
  EXPECT_EQ(quick.max_hours, 1);
  EXPECT_EQ(quick.basis, 5);
  // Clocks of two replicas may differ a little.
  EXPECT_EQ(EstimateWait(std::vector<absl::Duration>(5, -absl::Minutes(2))).max_hours, 1);
}

TEST_F(QueueOutlookTest, SuitableSponsorsAreCountedFreeOrNot) {
  auto sponsors = Many(7, [](MemberTraits&) {});
  const auto full = Many(
      5, [](MemberTraits&) {}, 0);
  sponsors.insert(sponsors.end(), full.begin(), full.end());
  const Outlook outlook = Look(sponsors);
  EXPECT_EQ(outlook.suitable, CountBand::k10To49);
  EXPECT_EQ(outlook.free, CountBand::k5To9);
  // Whom the newcomer will never meet is not counted, and not to be guessed.
  PairFactsOf facts;
  for (size_t i = 0; i < 8; ++i) facts[sponsors[i].record.member].blocked = true;
  EXPECT_EQ(Look(sponsors, facts).suitable, CountBand::kUnder5);
}

TEST_F(QueueOutlookTest, OnlyWhatThePersonHasIsToBeRelaxed) {
  newcomer.newcomer->person.gender_preference = {GenderRule::kAny, {}};
  newcomer.newcomer->person.availability.clear();
  newcomer.newcomer->requires_in_person = false;
  EXPECT_THAT(Look({}).relaxations, IsEmpty());
  newcomer.newcomer->person.gender_preference = {GenderRule::kSameGender, {}};
  EXPECT_THAT(Look({}).relaxations,
              ElementsAre(RelaxationEffect{Relaxation::kAnyGender, CountBand::kUnder5}));
}

TEST_F(QueueOutlookTest, EachRelaxationCountsWhomItAloneWouldAdd) {
  PersonTraits& me = newcomer.newcomer->person;
  me.gender = Gender::kWoman;
  me.gender_preference = {GenderRule::kSameGender, {}};
  me.availability = {{1, 9 * 60, 480}};
  auto sponsors = Many(6, [](MemberTraits& sponsor) {
    sponsor.sponsor->person.gender = Gender::kMan;
    sponsor.sponsor->person.gender_preference = {GenderRule::kAny, {}};
    sponsor.sponsor->person.availability = {{1, 9 * 60, 480}};
  });
  // Neither alone is enough for these.
  const auto neither = Many(60, [](MemberTraits& sponsor) {
    sponsor.sponsor->person.gender = Gender::kMan;
    sponsor.sponsor->person.gender_preference = {GenderRule::kAny, {}};
    sponsor.sponsor->person.availability = {{6, 0, 60}};
  });
  sponsors.insert(sponsors.end(), neither.begin(), neither.end());
  const Outlook outlook = Look(sponsors);
  EXPECT_EQ(outlook.suitable, CountBand::kUnder5);
  EXPECT_THAT(outlook.relaxations,
              Contains(RelaxationEffect{Relaxation::kAnyGender, CountBand::k5To9}));
  EXPECT_THAT(outlook.relaxations,
              Contains(RelaxationEffect{Relaxation::kAnyHours, CountBand::kUnder5}));
}

TEST_F(QueueOutlookTest, DistanceAndMeetingInPersonAreCompared) {
  NewcomerTraits& me = *newcomer.newcomer;
  me.requires_in_person = true;
  me.max_distance_km = 40;
  me.person.gender_preference = {GenderRule::kAny, {}};
  me.person.availability.clear();
  me.person.modalities = {Modality::kInPersonPublic, Modality::kAppText};
  me.person.place = {"US", "US-CA", CoarseCell{370, -1220}};
  const auto at = [&](int16_t latitude, int count) {
    return Many(count, [&](MemberTraits& sponsor) {
      sponsor.sponsor->person.modalities = {Modality::kInPersonPublic, Modality::kAppText};
      sponsor.sponsor->person.place = {"US", "US-CA", CoarseCell{latitude, -1220}};
      sponsor.sponsor->person.gender_preference = {GenderRule::kAny, {}};
    });
  };
  auto sponsors = at(376, 5);  // some 67 km away
  const auto far = at(330, 50);
  sponsors.insert(sponsors.end(), far.begin(), far.end());
  const Outlook outlook = Look(sponsors);
  EXPECT_EQ(outlook.suitable, CountBand::kUnder5);
  EXPECT_THAT(outlook.relaxations,
              ElementsAre(RelaxationEffect{Relaxation::kNotOnlyInPerson, CountBand::k50OrMore},
                          RelaxationEffect{Relaxation::kDoubleDistance, CountBand::k5To9}));
}

TEST(RelaxTest, NeedsAreNeverRelaxed) {
  NewcomerTraits newcomer = *GoodNewcomer().newcomer;
  newcomer.requires_medication_support = true;
  newcomer.requires_in_person = true;
  newcomer.access_needs = {AccessNeed::kAsl};
  for (int i = 1; i < kRelaxationCount; ++i) {
    const auto relaxed = Relax(newcomer, static_cast<Relaxation>(i), 40);
    if (!relaxed.has_value()) continue;
    EXPECT_EQ(relaxed->access_needs, newcomer.access_needs);
    EXPECT_EQ(relaxed->person.languages, newcomer.person.languages);
    EXPECT_TRUE(relaxed->requires_medication_support);
  }
  EXPECT_FALSE(Relax(newcomer, Relaxation::kUnspecified, 40).has_value());
}

}  // namespace
}  // namespace handrail::matching
