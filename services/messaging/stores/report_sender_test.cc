// How reports get to where cases are kept, over the real store on every database.
#include "services/messaging/domain/report_sender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "services/messaging/stores/report_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A desk that does as it is told, and remembers the first that it heard of each report.
class FakeDesk final : public CaseDesk {
 public:
  absl::Status OpenCase(absl::Time, const QueuedReport& report) override {
    ++calls;
    if (report.evidence == refused) return refusal;
    if (!down.ok()) return down;
    cases.try_emplace(report.id, report.evidence);
    return loses_answers ? absl::UnavailableError("the answer is lost") : absl::OkStatus();
  }

  int calls = 0;
  absl::Status down;
  bool loses_answers = false;
  std::string refused = "nothing";
  absl::Status refusal = absl::InvalidArgumentError("refused");
  std::map<ReportId, std::string> cases;
};

class ReportSenderTest : public ReportTest {
 protected:
  void Run() { sender_.Run(); }

  FakeDesk desk_;
  ReportSender sender_{*reports_, desk_, clock_, random_, {}};
};

TEST_P(ReportSenderTest, WhatIsConfirmedIsKeptNoMore) {
  const auto filed = File("one", "first");
  ASSERT_TRUE(File("two", "second").ok());
  Run();
  EXPECT_THAT(desk_.cases, SizeIs(2));
  EXPECT_EQ(desk_.cases[filed->id], "first");
  EXPECT_EQ(CountIn("report_queue"), 0);
  EXPECT_EQ(sender_.loop().delivered(), 2);
  Run();
  EXPECT_EQ(desk_.calls, 2);
}

TEST_P(ReportSenderTest, ADeskThatIsDownIsTriedAgainWithPausesAndNothingIsLost) {
  desk_.down = absl::UnavailableError("down");
  ASSERT_TRUE(File("one", "first").ok());
  for (int i = 0; i < 100; ++i) Run();
  EXPECT_EQ(desk_.calls, 1);  // a pause is a pause
  for (int i = 0; i < 20; ++i) {
    clock_.Advance(absl::Seconds(11));
    Run();
  }
  EXPECT_EQ(desk_.calls, 21);
  EXPECT_EQ(CountIn("report_queue"), 1);
  desk_.down = absl::OkStatus();
  clock_.Advance(absl::Seconds(11));
  Run();
  EXPECT_THAT(desk_.cases, SizeIs(1));
  EXPECT_EQ(CountIn("report_queue"), 0);
}

TEST_P(ReportSenderTest, AnAnswerThatIsLostMakesTheSameCaseComeTwice) {
  desk_.loses_answers = true;
  ASSERT_TRUE(File("one", "first").ok());
  Run();
  EXPECT_EQ(CountIn("report_queue"), 1);
  desk_.loses_answers = false;
  clock_.Advance(absl::Seconds(11));
  Run();
  EXPECT_EQ(desk_.calls, 2);
  EXPECT_THAT(desk_.cases, SizeIs(1));
}

TEST_P(ReportSenderTest, OneThatIsRefusedStandsInNobodysWay) {
  desk_.refused = "first";
  ASSERT_TRUE(File("one", "first").ok());
  ASSERT_TRUE(File("two", "second").ok());
  Run();
  EXPECT_THAT(desk_.cases, SizeIs(1));
  EXPECT_EQ(CountIn("report_queue"), 1);
  EXPECT_EQ(sender_.loop().failures(), 1);
  Run();
  EXPECT_EQ(desk_.calls, 2);
  desk_.refused = "nothing";
  clock_.Advance(absl::Seconds(1));
  Run();
  EXPECT_THAT(desk_.cases, SizeIs(2));
}

TEST_P(ReportSenderTest, OneWithAnUnexpectedAnswerStandsInNobodysWayAndIsTriedEverLessOften) {
  desk_.refused = "first";
  desk_.refusal = absl::UnknownError("what is this");
  ASSERT_TRUE(File("one", "first").ok());
  ASSERT_TRUE(File("two", "second").ok());
  Run();
  EXPECT_THAT(desk_.cases, SizeIs(1));
  clock_.Advance(absl::Seconds(1));
  Run();
  clock_.Advance(absl::Seconds(1));
  Run();
  EXPECT_EQ(desk_.calls, 3);
  EXPECT_EQ(sender_.loop().Refusals().at(absl::StatusCode::kUnknown), 2);
  EXPECT_EQ(CountIn("report_queue"), 1);
}

TEST_P(ReportSenderTest, AReportThatCannotBeReadIsSetAside) {
  ASSERT_TRUE(File("one", "first").ok());
  Plant("UPDATE report_queue SET wrapped_key = $1", {storage::Blob{"x"}});
  ASSERT_TRUE(File("two", "second").ok());
  Run();
  EXPECT_THAT(desk_.cases, SizeIs(1));
  EXPECT_EQ(CountIn("report_queue"), 1);
}

INSTANTIATE_TEST_SUITE_P(Backends, ReportSenderTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
