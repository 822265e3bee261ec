#include "tools/simulator/simulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tools/handrail/client/endpoints.h"
#include "tools/simulator/command.h"
#include "tools/simulator/report.h"

namespace handrail::simulator {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kSample[] = "tools/handrail/demo/sample_meetings.json";

SimulatorOptions Tiny() {
  SimulatorOptions options;
  options.newcomers = 80;
  options.days = 15;
  options.repeats = 1;
  return options;
}

absl::StatusOr<Report> RunQuietly(const SimulatorOptions& options) {
  return RunSimulator(options, [](const std::string&) {});
}

// The whole of it, small: every supply and policy, and what a reader of the JSON relies on.
TEST(SimulatorTest, EverySupplyAndPolicyIsReported) {
  SimulatorOptions options = Tiny();
  options.curve = true;
  const auto report = RunQuietly(options);
  ASSERT_TRUE(report.ok()) << report.status();
  const nlohmann::json rows = nlohmann::json::parse(ToJson(*report));
  ASSERT_TRUE(rows.is_array());
  EXPECT_EQ(rows.size(), 3 * 9 + report->curve.size());
  EXPECT_GE(report->curve.size(), 12u);
  std::set<std::pair<std::string, std::string>> seen;
  for (const nlohmann::json& row : rows) {
    seen.emplace(row.at("supply"), row.at("policy"));
    for (const char* name : {"matched", "score_vs_bound", "score_vs_optimum", "gini"}) {
      ASSERT_TRUE(row.at(name).is_number()) << name;
      EXPECT_GE(row.at(name), 0) << name;
      EXPECT_LE(row.at(name), 1) << name;  // bounds are bounds
    }
    for (const char* name : {"p99_wait", "p99_wait_vs_fcfs"}) {
      ASSERT_TRUE(row.at(name).is_number()) << name;
      EXPECT_GT(row.at(name), 0) << name;
    }
    EXPECT_TRUE(row.at("starved").is_number_integer());
    EXPECT_TRUE(row.at("blocking_pairs").is_number_integer());
    if (row.at("policy") == "fcfs") {
      EXPECT_EQ(row.at("p99_wait_vs_fcfs"), 1);
    }
  }
  EXPECT_EQ(seen.size(), rows.size());
  EXPECT_TRUE(seen.contains({"scarce", "handrail"}));
  for (const Measures& row : report->rows) EXPECT_EQ(row.broken_rules, 0) << row.policy;
  const std::string html = ToHtml(*report);
  EXPECT_THAT(html, HasSubstr("<svg"));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("http")));
  EXPECT_THAT(ToTable(*report), HasSubstr("longest_idle"));
}

TEST(SimulatorTest, TheSameSeedGivesTheSameReportAndAnotherSeedAnother) {
  SimulatorOptions options = Tiny();
  options.supplies = {"scarce"};
  const std::string once = ToJson(*RunQuietly(options));
  EXPECT_EQ(ToJson(*RunQuietly(options)), once);
  options.seed = 2;
  EXPECT_NE(ToJson(*RunQuietly(options)), once);
}

TEST(SimulatorTest, PeopleCanComeFromMeetings) {
  SimulatorOptions options = Tiny();
  options.meetings = kSample;
  options.supplies = {"ample"};
  options.policies = {"handrail"};
  const auto report = RunQuietly(options);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->rows.size(), 1u);
  EXPECT_GT(report->rows[0].matched, 0.3);
  // A folder of feeds, whatever they are called; what else lies in it is left alone.
  const std::string folder = ::testing::TempDir() + "/simulated_feeds";
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(kSample, folder + "/feed.json",
                             std::filesystem::copy_options::overwrite_existing);
  std::ofstream(folder + "/notes.txt") << "not a feed";
  options.meetings = folder;
  const auto same = RunQuietly(options);
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(ToJson(*same), ToJson(*report));
  options.meetings = "/no/such/file";
  EXPECT_FALSE(RunQuietly(options).ok());
}

TEST(SimulatorTest, EveryFaultIsNamed) {
  SimulatorOptions options = Tiny();
  options.supplies = {"plenty"};
  options.policies = {"luck"};
  options.newcomers = 0;
  options.repeats = 0;
  options.choice.aging = -1;
  options.window = absl::Hours(1000);
  const absl::Status status = RunQuietly(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  for (const char* word : {"plenty", "luck", "newcomers", "repeats", "aging", "window"}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(word));
  }
}

// As a person would type it.
absl::Status Type(const std::string& line, std::string* printed) {
  CLI::App app;
  Command command;
  command.sample = kSample;
  AddFlags(app, command);
  app.parse(line);
  return Run(
      command, [printed](const std::string& text) { *printed += text; }, [](const std::string&) {});
}

TEST(SimulatorCommandTest, WritesTheFilesThatAreAskedFor) {
  const std::string json = ::testing::TempDir() + "/simulate.json";
  const std::string html = ::testing::TempDir() + "/simulate.html";
  std::string printed;
  const absl::Status status = Type(
      "--quick --newcomers 60 --days 10 --repeats 1 --supply scarce --policy handrail "
      "--population sample --window 90m --json " +
          json + " --html " + html,
      &printed);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(printed, HasSubstr("60 newcomers in 10 days"));
  EXPECT_THAT(printed, HasSubstr("handrail"));
  EXPECT_EQ(nlohmann::json::parse(*tools::ReadFile(json)).size(), 1u);
  EXPECT_THAT(*tools::ReadFile(html), HasSubstr("</html>"));
}

TEST(SimulatorCommandTest, AWindowThatIsNoDurationIsRefused) {
  std::string printed;
  EXPECT_EQ(Type("--window soon", &printed).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Type("--window 1000h --quick", &printed).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace handrail::simulator
