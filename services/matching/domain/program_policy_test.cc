#include "services/matching/domain/program_policy.h"

#include <vector>

#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace handrail::matching {
namespace {

using ::testing::HasSubstr;
using P = Philosophy;
using R = RelationshipType;

std::vector<ProgramPolicy> Programs() {
  return {BuiltInProgramPolicies().begin(), BuiltInProgramPolicies().end()};
}

absl::Status Check(const std::vector<ProgramPolicy>& programs) {
  return ProgramPolicies::Create(programs, BuiltInRelationshipPolicies()).status();
}

TEST(ProgramPolicyTest, TheBuiltInRowsAreWhole) {
  EXPECT_TRUE(Check(Programs()).ok());
  for (int number = 1; number < kPhilosophyCount; ++number) {
    EXPECT_EQ(ProgramPolicies::BuiltIn().Of(static_cast<P>(number)).philosophy,
              static_cast<P>(number));
  }
}

TEST(ProgramPolicyTest, ProgramsWithoutSponsorsHavePeerCompanionsOnlyAndNeverTheWord) {
  for (const P program : {P::kSmart, P::kLifeRing, P::kWomenForSobriety}) {
    const ProgramPolicy& row = ProgramPolicies::BuiltIn().Of(program);
    EXPECT_EQ(row.relationship_types, RelationshipTypes{R::kPeerCompanion});
    EXPECT_FALSE(row.says_sponsor);
  }
  for (int number = 1; number < kPhilosophyCount; ++number) {
    const ProgramPolicy& row = ProgramPolicies::BuiltIn().Of(static_cast<P>(number));
    EXPECT_EQ(row.says_sponsor, row.relationship_types.Contains(R::kSponsor)) << number;
  }
}

TEST(ProgramPolicyTest, ThresholdsAreTheTables) {
  const ProgramPolicies& policies = ProgramPolicies::BuiltIn();
  EXPECT_EQ(policies.MinRecoveryDays(P::kTwelveStepAa, R::kSponsor), 365);
  EXPECT_EQ(policies.MinRecoveryDays(P::kTwelveStepAa, R::kTemporaryContact), 180);
  EXPECT_EQ(policies.MinRecoveryDays(P::kRecoveryDharma, R::kMentor), 0);
  EXPECT_EQ(policies.Of(P::kRecoveryDharma).more_time_days, 1);
  const ProgramPolicy& celebrate = policies.Of(P::kCelebrateRecovery);
  EXPECT_EQ(celebrate.min_recovery_days, 365);
  EXPECT_EQ(celebrate.min_steps_done, 12);
  EXPECT_TRUE(celebrate.needs_own_sponsor);
  EXPECT_EQ(celebrate.gender_rule, GenderRule::kSameGender);
  EXPECT_EQ(policies.ResponseDeadline(P::kTwelveStepAa, R::kSponsor), absl::Hours(24));
  EXPECT_EQ(policies.TrialLength(P::kTwelveStepAa, R::kSponsor), absl::Hours(24 * 30));
  EXPECT_EQ(policies.Of(R::kTemporaryContact).parallel_offers, 3);
  EXPECT_EQ(policies.Of(R::kSponsor).parallel_offers, 1);
}

TEST(ProgramPolicyTest, WhatIsNoProgramAllowsNothing) {
  const ProgramPolicies& policies = ProgramPolicies::BuiltIn();
  for (const int number : {0, 21, 255}) {
    for (int type = 0; type < kRelationshipTypeCount; ++type) {
      EXPECT_FALSE(policies.Allows(static_cast<P>(number), static_cast<R>(type)));
    }
  }
  EXPECT_FALSE(policies.Allows(P::kTwelveStepAa, static_cast<R>(200)));
  EXPECT_TRUE(policies.Allows(P::kTwelveStepAa, R::kSponsor));
  EXPECT_FALSE(policies.Allows(P::kTwelveStepAa, R::kPeerCompanion));
}

TEST(ProgramPolicyTest, EveryFaultOfTheRowsIsNamed) {
  std::vector<ProgramPolicy> programs = Programs();
  programs[0].trial_days = 0;
  programs[1].gender_rule = GenderRule::kAny;
  programs[2] = programs[3];
  const absl::Status status = Check(programs);
  EXPECT_TRUE(HasReason(status, reason::kConfigurationInvalid)) << status;
  EXPECT_THAT(status.message(), HasSubstr("program 1 trial_days is 0"));
  EXPECT_THAT(status.message(), HasSubstr("program 2 gender_rule"));
  EXPECT_THAT(status.message(), HasSubstr("program 4 is unknown or stands twice"));
  EXPECT_THAT(status.message(), HasSubstr("a program has no row"));
}

}  // namespace
}  // namespace handrail::matching
