#include "services/matching/adapters/program_table.h"

#include <fstream>

#include "absl/strings/str_replace.h"
#include "common/base/status.h"
#include "common/testing/temporary_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/matching/adapters/programs_text.h"

namespace handrail::matching {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using P = Philosophy;
using R = RelationshipType;

// The built-in text with one change.
absl::Status Changed(absl::string_view from, absl::string_view to) {
  const std::string text = absl::StrReplaceAll(kProgramsText, {{from, to}});
  EXPECT_NE(text, kProgramsText) << from;
  return ParseProgramTable(text, "table").status();
}

TEST(ProgramTableTest, TheBuiltInTableIsWhole) {
  const ProgramTable& table = BuiltInProgramTable();
  ASSERT_EQ(table.rows.programs_size(), kPhilosophyCount - 1);
  ASSERT_EQ(table.rows.relationships_size(), kRelationshipTypeCount - 1);
  for (int n = 1; n < kPhilosophyCount; ++n) {
    EXPECT_EQ(table.rows.programs(n - 1).philosophy(), n);
    EXPECT_EQ(table.policies.Of(static_cast<P>(n)).philosophy, static_cast<P>(n));
  }
}

TEST(ProgramTableTest, ProgramsWithoutSponsorsHavePeerCompanionsOnly) {
  for (const P program : {P::kSmart, P::kLifeRing, P::kWomenForSobriety}) {
    EXPECT_EQ(BuiltInPrograms().Of(program).relationship_types,
              RelationshipTypes{R::kPeerCompanion});
  }
}

TEST(ProgramTableTest, ThresholdsAreTheTables) {
  const ProgramPolicies& policies = BuiltInPrograms();
  EXPECT_EQ(policies.MinRecoveryDays(P::kTwelveStepAa, R::kSponsor), 365);
  EXPECT_EQ(policies.MinRecoveryDays(P::kTwelveStepAa, R::kTemporaryContact), 180);
  EXPECT_EQ(policies.MinRecoveryDays(P::kRecoveryDharma, R::kMentor), 0);
  EXPECT_EQ(policies.Of(P::kRecoveryDharma).more_time_days, 1);
  const ProgramPolicy& celebrate = policies.Of(P::kCelebrateRecovery);
  EXPECT_EQ(celebrate.min_recovery_days, 365);
  EXPECT_EQ(celebrate.min_steps_done, 12);
  EXPECT_TRUE(celebrate.needs_own_sponsor);
  EXPECT_TRUE(celebrate.needs_active_attendance);
  EXPECT_EQ(celebrate.gender_rule, GenderRule::kSameGender);
  EXPECT_TRUE(policies.Of(P::kSmart).needs_trainings.Contains(Training::kFacilitator));
  EXPECT_EQ(policies.ResponseDeadline(P::kTwelveStepAa, R::kSponsor), absl::Hours(24));
  EXPECT_EQ(policies.TrialLength(P::kTwelveStepAa, R::kSponsor), absl::Hours(24 * 30));
  EXPECT_EQ(policies.TrialLength(P::kTwelveStepAa, R::kTemporarySponsor), absl::Hours(24 * 14));
  EXPECT_EQ(policies.Of(R::kTemporaryContact).parallel_offers, 3);
  EXPECT_EQ(policies.Of(R::kSponsor).parallel_offers, 1);
}

TEST(ProgramTableTest, ATextThatCannotBeReadIsNamedByItsLine) {
  const absl::Status status = ParseProgramTable("programs {\n  trail_days: 3\n}", "ours").status();
  EXPECT_TRUE(HasReason(status, reason::kConfigurationInvalid)) << status;
  EXPECT_THAT(status.message(), AllOf(HasSubstr("ours: line 2"), HasSubstr("trail_days")));
}

TEST(ProgramTableTest, EveryKindOfFaultIsRefused) {
  EXPECT_THAT(Changed("name: \"peer companion\"", "name: \"peer sponsor\"").message(),
              HasSubstr("program 8 calls somebody a sponsor who is none"));
  EXPECT_THAT(Changed("name: \"mentor\"", "name: \"\"").message(),
              HasSubstr("program 10 has a name that is not 1 to 40 bytes"));
  EXPECT_THAT(
      Changed("RELATIONSHIP_TYPE_PRACTICE_PARTNER name", "RELATIONSHIP_TYPE_MENTOR name").message(),
      HasSubstr("program 10 has a relationship twice"));
  EXPECT_THAT(Changed("TRAINING_FACILITATOR", "77").message(),
              HasSubstr("program 8 needs an unknown training"));
  EXPECT_THAT(Changed("  source: \"cr-centerpointnh.org cr-sponsors\"\n", "").message(),
              HasSubstr("program 12 names no source"));
  EXPECT_THAT(Changed("family: PROGRAM_FAMILY_BUDDHIST", "family: 9").message(),
              HasSubstr("program 10 has no known family"));
  EXPECT_THAT(Changed("milestone_set: MILESTONE_SET_KEY_TAGS", "").message(),
              HasSubstr("program 2 has no known milestone_set"));
  EXPECT_THAT(Changed("parallel_offers: 3", "parallel_offers: 4").message(),
              HasSubstr("parallel_offers is 4, not 1..3"));
  EXPECT_THAT(Changed("PHILOSOPHY_SOS", "PHILOSOPHY_SMART").message(),
              HasSubstr("program 8 is unknown or stands twice"));
  EXPECT_THAT(Changed("PHILOSOPHY_SOS", "99").message(), HasSubstr("a program has no row"));
}

TEST(ProgramTableTest, AnOperatorsFileReplacesTheTable) {
  testing::TemporaryDirectory folder;
  const std::string path = folder.File("programs.textproto");
  std::ofstream(path) << absl::StrReplaceAll(kProgramsText, {{"trial_days: 30", "trial_days: 45"}});
  const auto table = LoadProgramTable(path);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->policies.TrialLength(P::kTwelveStepNa, R::kSponsor), absl::Hours(24 * 45));
  EXPECT_TRUE(
      HasReason(LoadProgramTable(folder.File("none")).status(), reason::kConfigurationInvalid));
  std::ofstream(path) << std::string((1 << 20) + 1, '#');
  EXPECT_THAT(LoadProgramTable(path).status().message(), HasSubstr("longer than 1 MiB"));
}

}  // namespace
}  // namespace handrail::matching
