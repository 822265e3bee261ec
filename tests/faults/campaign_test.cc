#include "tests/faults/campaign.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>

namespace handrail::tests {
namespace {

class Campaigns : public ::testing::TestWithParam<Backend> {};

TEST_P(Campaigns, NothingAcknowledgedIsLostOrDoubled) {
  CampaignOptions options;
  options.backend = GetParam();
  options.faults = 40;
  options.operations = 5000;
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

INSTANTIATE_TEST_SUITE_P(OnEach, Campaigns, ::testing::Values(Backend::kSqlite, Backend::kPostgres),
                         [](const auto& info) { return std::string(Name(info.param)); });

}  // namespace
}  // namespace handrail::tests
