#include "services/profiles/domain/profile.h"

#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/profiles/testing/world.h"

namespace handrail::profiles {
namespace {

using testing::Person;
using testing::World;

template <typename T>
std::string Reason(const absl::StatusOr<T>& result) {
  return result.ok() ? "" : ReasonOf(result.status());
}

std::vector<std::string> FaultyFields(const absl::Status& status) {
  std::vector<std::string> fields;
  for (const auto& [path, description] : DetailsOf(status).field_violations) {
    fields.push_back(path);
  }
  return fields;
}

Side Traits(const std::string& bytes) {
  Side side;
  side.traits = bytes;
  return side;
}

ProfileUpdate Named(const std::string& pseudonym) {
  ProfileUpdate update;
  update.pseudonym = pseudonym;
  return update;
}

class ProfileTest : public ::testing::Test {
 protected:
  World world_;
  Person person_ = world_.Register();
};

TEST_F(ProfileTest, AMemberWhoWroteNothingHasAnEmptyProfile) {
  const auto profile = world_.profiles->Get(world_.CallBy(person_));
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(profile->member, person_.member);
  EXPECT_EQ(profile->pseudonym, "");
  EXPECT_FALSE(profile->newcomer.has_value());
  EXPECT_FALSE(profile->sponsor.has_value());
  EXPECT_FALSE(profile->update_time.has_value());
}

TEST_F(ProfileTest, AnUpdateChangesOnlyWhatItNames) {
  ProfileUpdate update = Named("Sparrow");
  update.newcomer = Traits("newcomer bytes");
  update.sponsor = Traits("");  // a side without a word is still a side
  update.audiences = {{{"newcomer.person.age_band", Audience::kNobody}}};
  const auto first = world_.profiles->Update(world_.CallBy(person_, "1"), update);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = world_.profiles->Update(world_.CallBy(person_, "2"), Named("Wren"));
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->pseudonym, "Wren");
  EXPECT_EQ(second->newcomer, "newcomer bytes");
  EXPECT_EQ(second->sponsor, "");
  EXPECT_EQ(second->audiences, first->audiences);
  EXPECT_NE(EtagOf(*second), EtagOf(*first));
  EXPECT_EQ(*world_.profiles->Get(world_.CallBy(person_)), *second);
}

TEST_F(ProfileTest, AnEmptyValueClears) {
  ProfileUpdate update = Named("Sparrow");
  update.newcomer = Traits("newcomer bytes");
  ASSERT_TRUE(world_.profiles->Update(world_.CallBy(person_, "1"), update).ok());
  ProfileUpdate clear = Named("");
  clear.newcomer = std::optional<Side>();
  const auto cleared = world_.profiles->Update(world_.CallBy(person_, "2"), clear);
  ASSERT_TRUE(cleared.ok());
  EXPECT_EQ(cleared->pseudonym, "");
  EXPECT_FALSE(cleared->newcomer.has_value());
}

TEST_F(ProfileTest, AnUpdateThatNamesNothingChangesNothing) {
  const auto before = world_.directory->GetMember(World::Anonymous(), person_.member);
  const auto profile = world_.profiles->Update(world_.CallBy(person_, "1"), {});
  ASSERT_TRUE(profile.ok());
  EXPECT_EQ(profile->revision, 0);
  const auto after = world_.directory->GetMember(World::Anonymous(), person_.member);
  EXPECT_EQ(after->snapshot.version, before->snapshot.version);
}

TEST_F(ProfileTest, AnOldEtagIsRefused) {
  const auto first = world_.profiles->Update(world_.CallBy(person_, "1"), Named("Sparrow"));
  ProfileUpdate on_first = Named("Wren");
  on_first.etag = EtagOf(*first);
  ASSERT_TRUE(world_.profiles->Update(world_.CallBy(person_, "2"), on_first).ok());
  const auto stale = world_.profiles->Update(world_.CallBy(person_, "3"), on_first);
  EXPECT_EQ(stale.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Reason(stale), reason::kEtagMismatch);
  // A refusal is not an answer: the same request id may be used for what then works.
  on_first.etag.clear();
  EXPECT_TRUE(world_.profiles->Update(world_.CallBy(person_, "3"), on_first).ok());
}

TEST_F(ProfileTest, ARequestIdIsAnsweredOnce) {
  const auto first = world_.profiles->Update(world_.CallBy(person_, "1", "a"), Named("Sparrow"));
  ASSERT_TRUE(world_.profiles->Update(world_.CallBy(person_, "2"), Named("Wren")).ok());
  const auto repeated = world_.profiles->Update(world_.CallBy(person_, "1", "a"), Named("Sparrow"));
  EXPECT_EQ(*repeated, *first);
  EXPECT_EQ(world_.profiles->Get(world_.CallBy(person_))->pseudonym, "Wren");
  EXPECT_EQ(Reason(world_.profiles->Update(world_.CallBy(person_, "1", "b"), Named("Robin"))),
            reason::kRequestIdReused);
  // Request ids of one person mean nothing to another.
  const Person other = world_.Register();
  EXPECT_EQ(world_.profiles->Update(world_.CallBy(other, "1", "b"), Named("Robin"))->pseudonym,
            "Robin");
}

TEST_F(ProfileTest, AttestingNeedsASponsorSide) {
  EXPECT_EQ(Reason(world_.profiles->AttestAvailability(world_.CallBy(person_, "1"))),
            reason::kSponsorProfileRequired);
  ProfileUpdate update;
  update.sponsor = Traits("sponsor bytes");
  ASSERT_TRUE(world_.profiles->Update(world_.CallBy(person_, "2"), update).ok());
  world_.clock.Advance(absl::Hours(3));
  const auto attested = world_.profiles->AttestAvailability(world_.CallBy(person_, "3"));
  ASSERT_TRUE(attested.ok());
  EXPECT_EQ(attested->attest_time, world_.clock.Now());
  // It outlives a change of the side and ends with the side.
  ASSERT_TRUE(world_.profiles->Update(world_.CallBy(person_, "4"), update).ok());
  EXPECT_EQ(world_.profiles->Get(world_.CallBy(person_))->attest_time, attested->attest_time);
  update.sponsor = std::optional<Side>();
  ASSERT_TRUE(world_.profiles->Update(world_.CallBy(person_, "5"), update).ok());
  EXPECT_FALSE(world_.profiles->Get(world_.CallBy(person_))->attest_time.has_value());
}

TEST_F(ProfileTest, APseudonymHasAtMostFortyCharacters) {
  std::string forty;
  for (int i = 0; i < 40; ++i) forty += "é";
  EXPECT_TRUE(world_.profiles->Update(world_.CallBy(person_, "1"), Named(forty)).ok());
  const auto longer = world_.profiles->Update(world_.CallBy(person_, "2"), Named(forty + "é"));
  EXPECT_EQ(longer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(FaultyFields(longer.status()), ::testing::ElementsAre("profile.pseudonym"));
}

TEST(ValidateUpdateTest, RecoveryDatesMayNotLieAheadWhereThePersonLives) {
  // 1 March 2026, 12:00 UTC: still 1 March in Los Angeles, 2 March in Kiritimati (UTC+14).
  const absl::Time now = absl::FromUnixSeconds(1772366400);
  const auto check = [&](const std::string& zone, CivilDate date) {
    ProfileUpdate update;
    Side side;
    side.time_zone = zone;
    side.recovery_dates = {{"profile.newcomer.recovery_date", date}};
    update.newcomer = side;
    return ValidateUpdate(update, now).ok();
  };
  EXPECT_TRUE(check("America/Los_Angeles", {2026, 3, 1}));
  EXPECT_FALSE(check("America/Los_Angeles", {2026, 3, 2}));
  EXPECT_TRUE(check("Pacific/Kiritimati", {2026, 3, 2}));
  EXPECT_TRUE(check("", {2026, 3, 2}));
  EXPECT_FALSE(check("", {2026, 3, 3}));
  EXPECT_FALSE(check("", {2025, 2, 29}));
  EXPECT_TRUE(check("", {2024, 2, 29}));
  EXPECT_FALSE(check("", {2024, 2, 0}));
  EXPECT_FALSE(check("", {2024, 0, 1}));
  EXPECT_FALSE(check("", {0, 2, 1}));
}

TEST(ValidateUpdateTest, AvailabilityMayTouchAndWrapButNotOverlap) {
  const auto check = [](std::vector<WeeklyStretch> stretches) {
    ProfileUpdate update;
    Side side;
    side.availability = std::move(stretches);
    update.sponsor = side;
    return ValidateUpdate(update, absl::FromUnixSeconds(1772366400)).ok();
  };
  EXPECT_TRUE(check({}));
  EXPECT_TRUE(check({{0, 60}, {60, 60}}));
  EXPECT_FALSE(check({{0, 61}, {60, 60}}));
  EXPECT_FALSE(check({{60, 60}, {60, 60}}));
  EXPECT_FALSE(check({{60, 10}, {0, 600}}));
  EXPECT_TRUE(check({{10'079, 61}, {60, 60}}));   // Sunday 23:59 to Monday 01:00
  EXPECT_FALSE(check({{10'079, 62}, {60, 60}}));  // to Monday 01:01
}

TEST(ValidateUpdateTest, EveryFaultIsToldAtOnce) {
  ProfileUpdate update;
  update.pseudonym = std::string(41, 'x');
  Side side;
  side.availability = {{0, 60}, {30, 60}};
  side.programs = {1, 2, 1};
  side.recovery_dates = {{"profile.sponsor.programs[0].recovery_date", {3000, 1, 1}}};
  update.sponsor = side;
  EXPECT_THAT(FaultyFields(ValidateUpdate(update, absl::FromUnixSeconds(1772366400))),
              ::testing::UnorderedElementsAre(
                  "profile.pseudonym", "profile.sponsor.person.availability",
                  "profile.sponsor.programs[0].recovery_date", "profile.sponsor.programs"));
}

}  // namespace
}  // namespace handrail::profiles
