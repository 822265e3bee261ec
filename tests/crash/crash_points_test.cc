#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>

#include "tests/crash/main_flow.h"

namespace handrail::tests {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

void Print(const char* name, const CampaignResult& campaign) {
  std::cout << name << ": " << campaign.runs << " runs, " << campaign.faults << " faults, "
            << campaign.broken_runs << " runs with findings\n";
  for (const std::string& finding : campaign.findings) std::cout << "  " << finding << "\n";
}

TEST(CrashPoints, TheMainFlowSurvivesAFaultAtEveryCall) {
  const CampaignResult campaign = PlayEveryFault(Bug::kNone);
  Print("as it is", campaign);
  EXPECT_THAT(campaign.findings, IsEmpty());
  // Fewer would mean that the flow did not come far enough to be hit.
  EXPECT_GE(campaign.faults, 200);
}

// The bugs that the checker exists to find. Each is played through the same campaign.
struct SeededBug {
  Bug bug;
  const char* name;
  const char* found;
};

class SeededBugs : public ::testing::TestWithParam<SeededBug> {};

TEST_P(SeededBugs, IsCaught) {
  const CampaignResult campaign = PlayEveryFault(GetParam().bug);
  Print(GetParam().name, campaign);
  EXPECT_GT(campaign.broken_runs, 0);
  EXPECT_THAT(campaign.findings, Contains(HasSubstr(GetParam().found)));
}

INSTANTIATE_TEST_SUITE_P(
    Each, SeededBugs,
    ::testing::Values(SeededBug{Bug::kPopFirst, "PopFirst", "M4: a ticket waits in no queue"},
                      SeededBug{Bug::kNoUniqueConstraint, "NoUniqueConstraint",
                                "M1: a newcomer has two open tickets"},
                      SeededBug{Bug::kAcknowledgeBeforeCommit, "AcknowledgeBeforeCommit", "lost: "},
                      SeededBug{Bug::kOutboxOutside, "OutboxOutside",
                                "messaging is not going to be told"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace handrail::tests
