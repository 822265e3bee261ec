#include "common/base/log.h"

#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace handrail {
namespace {

using ::testing::MatchesRegex;
using ::testing::UnorderedElementsAre;

class LogTest : public ::testing::Test {
 protected:
  LogTest() {
    SetLogOptions("matching", Severity::kInfo);
    SetLogSinkForTest([this](absl::string_view line) { lines_.emplace_back(line); });
  }
  ~LogTest() override { SetLogSinkForTest({}); }

  // The only line, parsed; a discarded value when it is not valid JSON.
  nlohmann::json OnlyLine() const {
    EXPECT_EQ(lines_.size(), 1u);
    return lines_.empty() ? nlohmann::json() : nlohmann::json::parse(lines_[0], nullptr, false);
  }

  std::vector<std::string> lines_;  // guarded by the log's own lock
};

TEST_F(LogTest, OneLineIsOneJsonObject) {
  Log(Severity::kWarning, "offer_timed_out",
      {{LogField::kState, "OPEN"}, {LogField::kLatencyUs, int64_t{-12}}});
  const nlohmann::json line = OnlyLine();
  ASSERT_TRUE(line.is_object());
  EXPECT_EQ(line["severity"], "WARNING");
  EXPECT_EQ(line["service"], "matching");
  EXPECT_EQ(line["event"], "offer_timed_out");
  EXPECT_EQ(line["state"], "OPEN");
  EXPECT_EQ(line["latency_us"], -12);
  EXPECT_THAT(line["ts"].get<std::string>(),
              MatchesRegex("[0-9]+-[0-9][0-9]-[0-9][0-9]T[0-9:]+\\.[0-9]+Z"));
  EXPECT_EQ(line.size(), 6u);
  EXPECT_EQ(lines_[0].back(), '\n');
  EXPECT_EQ(lines_[0].find('\n'), lines_[0].size() - 1);
}

TEST_F(LogTest, EveryByteIsEscapedIntoValidJson) {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  Log(Severity::kError, every_byte, {{LogField::kDetail, every_byte}});
  const nlohmann::json line = OnlyLine();
  ASSERT_TRUE(line.is_object()) << lines_[0];
  for (const char c : lines_[0].substr(0, lines_[0].size() - 1)) {
    ASSERT_GE(c, 0x20) << "a raw control or non-ASCII byte";
  }
  // Each byte comes back as the code point of the same number.
  const std::string detail = line["detail"];
  EXPECT_EQ(detail.substr(0, 128), every_byte.substr(0, 128));
  EXPECT_EQ(line["event"], line["detail"]);
}

TEST_F(LogTest, NothingInAValueOpensANewField) {
  Log(Severity::kInfo, "event", {{LogField::kReason, "\",\"severity\":\"ERROR\\"}});
  EXPECT_EQ(OnlyLine()["severity"], "INFO");
  EXPECT_EQ(OnlyLine()["reason"], "\",\"severity\":\"ERROR\\");
}

TEST_F(LogTest, LinesBelowTheThresholdAreDropped) {
  Log(Severity::kDebug, "dropped");
  EXPECT_TRUE(lines_.empty());
  Log(Severity::kInfo, "kept");
  EXPECT_EQ(lines_.size(), 1u);
  SetLogOptions("matching", Severity::kError);
  Log(Severity::kWarning, "dropped");
  EXPECT_EQ(lines_.size(), 1u);
  SetLogOptions("matching", Severity::kDebug);
  Log(Severity::kDebug, "kept");
  EXPECT_EQ(lines_.size(), 2u);
}

TEST_F(LogTest, EveryFieldHasItsOwnName) {
  Log(Severity::kInfo, "fields",
      {{LogField::kMethod, "m"},
       {LogField::kCode, "c"},
       {LogField::kReason, "r"},
       {LogField::kLatencyUs, int64_t{1}},
       {LogField::kTraceId, "t"},
       {LogField::kComponent, "c"},
       {LogField::kState, "s"},
       {LogField::kFromState, "f"},
       {LogField::kCount, int64_t{1}},
       {LogField::kAttempt, int64_t{1}},
       {LogField::kDelayMs, int64_t{1}},
       {LogField::kVersion, int64_t{1}},
       {LogField::kAddress, "a"},
       {LogField::kPath, "p"},
       {LogField::kSignal, int64_t{1}},
       {LogField::kDetail, "d"}});
  std::vector<std::string> names;
  const nlohmann::json line = OnlyLine();
  for (const auto& [name, value] : line.items()) names.push_back(name);
  EXPECT_THAT(names, UnorderedElementsAre("ts", "severity", "service", "event", "method", "code",
                                          "reason", "latency_us", "trace_id", "component", "state",
                                          "from_state", "count", "attempt", "delay_ms", "version",
                                          "address", "path", "signal", "detail"));
}

TEST_F(LogTest, LinesOfManyThreadsStayWhole) {
  constexpr int kThreads = 4;
  constexpr int kLines = 50;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([] {
      for (int n = 0; n < kLines; ++n) Log(Severity::kInfo, "n", {{LogField::kCount, int64_t{n}}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(lines_.size(), size_t{kThreads * kLines});
  for (const std::string& line : lines_) {
    EXPECT_FALSE(nlohmann::json::parse(line, nullptr, false).is_discarded()) << line;
  }
}

}  // namespace
}  // namespace handrail
