#include "tests/faults/campaign.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>

#include "absl/strings/str_cat.h"

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

}  // namespace
}  // namespace handrail::tests
