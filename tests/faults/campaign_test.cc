#include "tests/faults/campaign.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>

#include "absl/strings/str_cat.h"
#include "tests/faults/help_part.h"

namespace handrail::tests {
namespace {

struct Deployment {
  Backend backend;
  RedisKind redis;
  int faults;
  int64_t operations;
};

class Campaigns : public ::testing::TestWithParam<Deployment> {};

TEST_P(Campaigns, NothingAcknowledgedIsLostOrDoubled) {
  CampaignOptions options;
  options.backend = GetParam().backend;
  options.redis = GetParam().redis;
  options.faults = GetParam().faults;
  options.operations = GetParam().operations;
  options.time_limit = absl::Minutes(5);
  const auto report = RunCampaign(options);
  ASSERT_TRUE(report.ok()) << report.status();
  std::cout << report->ToString() << std::endl;
  EXPECT_THAT(report->audit.findings, ::testing::IsEmpty());
  EXPECT_EQ(report->audit.lost, 0);
  EXPECT_EQ(report->audit.doubled, 0);
  EXPECT_GE(report->faults, options.faults);
  EXPECT_GE(report->audit.acknowledged, options.operations);
  if (options.operations < 5000) return;
  // Everything was part of the play, or it shows nothing.
  for (const char* kind :
       {"attestation", "call for help", "call for help answered", "call for help taken back",
        "check-in answered", "choice", "contact confirmed",
        "offer rescinded beside an accepted one", "pairing paused", "pairing resumed", "rematch",
        "sponsor back", "sponsor paused"}) {
    const auto count = report->acknowledged.find(kind);
    EXPECT_TRUE(count != report->acknowledged.end() && count->second > 0) << kind;
  }
  const auto databases_died = report->by_kind.find("kill -9 postgres");
  if (databases_died != report->by_kind.end()) {
    EXPECT_EQ(report->lines_while_down, databases_died->second);
  }
}

INSTANTIATE_TEST_SUITE_P(
    OnEach, Campaigns,
    ::testing::Values(Deployment{Backend::kSqlite, RedisKind::kSingle, 40, 5000},
                      Deployment{Backend::kPostgres, RedisKind::kSingle, 40, 5000},
                      Deployment{Backend::kSqlite, RedisKind::kSentinel, 15, 1500},
                      Deployment{Backend::kSqlite, RedisKind::kCluster, 15, 1500}),
    [](const auto& info) {
      return absl::StrCat(Name(info.param.backend), "_", Name(info.param.redis));
    });

// What every reply to a call for help is held against.
TEST(CrisisLinesTest, AReplyWithoutThemIsAFinding) {
  matching::v1::CrisisHelp sound;
  sound.set_country(kCallersCountry);
  sound.set_text("Handrail is not an emergency service.");
  sound.add_lines()->add_contacts()->set_value("988");
  const auto findings = [](const matching::v1::CrisisHelp& crisis) {
    History history;
    CheckLines(history, crisis);
    return history.Take().contradictions.size();
  };
  EXPECT_EQ(findings(sound), 0u);
  EXPECT_EQ(findings(matching::v1::CrisisHelp()), 1u);
  for (const auto& damage : {+[](matching::v1::CrisisHelp& crisis) { crisis.clear_lines(); },
                             +[](matching::v1::CrisisHelp& crisis) { crisis.add_lines(); },
                             +[](matching::v1::CrisisHelp& crisis) { crisis.clear_text(); },
                             +[](matching::v1::CrisisHelp& crisis) { crisis.clear_country(); },
                             +[](matching::v1::CrisisHelp& crisis) {
                               crisis.mutable_lines(0)->mutable_contacts(0)->set_value("113");
                             }}) {
    matching::v1::CrisisHelp broken = sound;
    damage(broken);
    EXPECT_EQ(findings(broken), 1u);
  }
}

}  // namespace
}  // namespace handrail::tests
