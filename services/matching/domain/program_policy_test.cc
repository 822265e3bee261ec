#include "services/matching/domain/program_policy.h"

#include <vector>

#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/matching/adapters/program_table.h"

namespace handrail::matching {
namespace {

using ::testing::HasSubstr;
using P = Philosophy;
using R = RelationshipType;

std::vector<ProgramPolicy> Programs() {
  std::vector<ProgramPolicy> rows;
  for (int n = 1; n < kPhilosophyCount; ++n)
    rows.push_back(BuiltInPrograms().Of(static_cast<P>(n)));
  return rows;
}

absl::Status Check(const std::vector<ProgramPolicy>& programs) {
  std::vector<RelationshipPolicy> rows;
  for (int n = 1; n < kRelationshipTypeCount; ++n) {
    rows.push_back(BuiltInPrograms().Of(static_cast<R>(n)));
  }
  return ProgramPolicies::Create(programs, rows).status();
}

TEST(ProgramPolicyTest, WhatIsNoProgramAllowsNothing) {
  const ProgramPolicies& policies = BuiltInPrograms();
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
  programs[7].relationship_types = {R::kSponsor};
  programs[8].relationship_types = {};
  const absl::Status status = Check(programs);
  EXPECT_TRUE(HasReason(status, reason::kConfigurationInvalid)) << status;
  EXPECT_THAT(status.message(), HasSubstr("program 1 trial_days is 0"));
  EXPECT_THAT(status.message(), HasSubstr("program 2 gender_rule"));
  EXPECT_THAT(status.message(), HasSubstr("program 8 is of peers, who are not sponsors"));
  EXPECT_THAT(status.message(), HasSubstr("program 9 has no relationship"));
  EXPECT_THAT(status.message(), HasSubstr("program 4 is unknown or stands twice"));
  EXPECT_THAT(status.message(), HasSubstr("a program has no row"));
}

}  // namespace
}  // namespace handrail::matching
