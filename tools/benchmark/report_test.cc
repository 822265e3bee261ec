#include "tools/benchmark/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace handrail::benchmark {
namespace {

using ::testing::HasSubstr;

TEST(MedianTest, OddEvenAndNone) {
  EXPECT_EQ(Median({3, 1, 2}), 2);
  EXPECT_EQ(Median({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(Median({}), 0);
}

Report ThreeRounds() {
  Report report;
  for (const auto& [ceiling, value] : {std::pair(100.0, 50.0), {200.0, 50.0}, {1000.0, 900.0}}) {
    report.BeginRound();
    report.Add({"unary_echo", "-", ceiling, "calls/s", ""});
    report.Add({"request_match", "sqlite", value, "calls/s", "unary_echo"});
  }
  return report;
}

TEST(ReportTest, RatiosAreTakenWithinARoundAndThenTheirMedian) {
  const std::vector<Row> rows = ThreeRounds().Rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].value, 200);
  EXPECT_EQ(rows[0].to, "");
  EXPECT_EQ(rows[1].value, 50);
  EXPECT_EQ(rows[1].ratio, 0.5);
  EXPECT_EQ(rows[1].to, "unary_echo");
  EXPECT_EQ(rows[1].repeats, 3);
}

TEST(ReportTest, ARatioNeedsItsCounterpartInTheSameRound) {
  Report report;
  report.BeginRound();
  report.Add({"unary_echo", "-", 100, "calls/s", ""});
  report.BeginRound();
  report.Add({"request_match", "sqlite", 10, "calls/s", "unary_echo"});
  EXPECT_EQ(report.Rows()[1].to, "");
}

TEST(ReportTest, ComparesWithTheSameBackendFirst) {
  Report report;
  report.BeginRound();
  report.Add({"base", "-", 100, "x", ""});
  report.Add({"base", "postgres", 10, "x", ""});
  report.Add({"other", "postgres", 5, "x", "base"});
  EXPECT_EQ(report.Rows()[2].ratio, 0.5);
}

TEST(ReportTest, JsonHasTheSevenFieldsOfEveryRow) {
  const auto rows = nlohmann::json::parse(ThreeRounds().Json());
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1]["name"], "request_match");
  EXPECT_EQ(rows[1]["backend"], "sqlite");
  EXPECT_EQ(rows[1]["value"], 50.0);
  EXPECT_EQ(rows[1]["unit"], "calls/s");
  EXPECT_EQ(rows[1]["ratio"], 0.5);
  EXPECT_EQ(rows[1]["to"], "unary_echo");
  EXPECT_EQ(rows[1]["repeats"], 3);
  EXPECT_TRUE(rows[0]["ratio"].is_null());
}

TEST(ReportTest, TableAndMarkdownShowFactsRowsAndNotesOnce) {
  Report report = ThreeRounds();
  report.Fact("machine", "two cores");
  report.Note("noisy");
  report.Note("noisy");
  EXPECT_THAT(report.Table(), HasSubstr("machine: two cores"));
  EXPECT_THAT(report.Table(), HasSubstr("request_match"));
  EXPECT_THAT(report.Markdown(),
              HasSubstr("| `request_match` | sqlite | 50 | calls/s | 0.5 | `unary_echo` | 3 |"));
  EXPECT_EQ(report.Markdown().find("noisy"), report.Markdown().rfind("noisy"));
}

TEST(PutFiguresTest, ReplacesWhatStandsBetweenTheMarks) {
  const std::string document =
      "Text.\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nMore.\n";
  const std::string once = PutFigures(document, "new\n");
  EXPECT_EQ(once, "Text.\n<!-- figures: begin -->\nnew\n<!-- figures: end -->\nMore.\n");
  EXPECT_EQ(PutFigures(once, "new\n"), once);
}

TEST(PutFiguresTest, ADocumentWithoutMarksBecomesTheFigures) {
  EXPECT_EQ(PutFigures("", "new\n"), "new\n");
  EXPECT_EQ(PutFigures("<!-- figures: end -->\n<!-- figures: begin -->\n", "new\n"), "new\n");
}

}  // namespace
}  // namespace handrail::benchmark
