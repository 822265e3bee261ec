#include "common/storage/invariant_monitor.h"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <memory>

#include "common/base/status.h"
#include "common/testing/simulated_clock.h"

namespace handrail::storage {
namespace {

class InvariantMonitorTest : public ::testing::Test {
 protected:
  InvariantMonitorTest() {
    DatabaseOptions options;
    options.url = "sqlite::memory:";
    options.clock = &clock_;
    auto database = OpenDatabase(options);
    EXPECT_TRUE(database.ok()) << database.status();
    database_ = *std::move(database);
    Write("CREATE TABLE t (x {int})");
    std::vector<InvariantQuery> queries = {
        {"C1", "a negative number", "SELECT COUNT(*) FROM t WHERE x < 0", nullptr},
        {"C1", "a hundred", "SELECT COUNT(*) FROM t WHERE x = 100", nullptr},
        {"C2", "a time to come", "SELECT COUNT(*) FROM t WHERE x > $1",
         [](absl::Time now) { return Args{now}; }},
        {"C3", "a query that fails", "SELECT COUNT(*) FROM no_such_table", nullptr},
    };
    rounds_ = queries.size();
    monitor_ = std::make_unique<InvariantMonitor>(*database_, clock_, registry_, std::move(queries),
                                                  InvariantMonitor::Options());
  }

  void Write(const std::string& sql) {
    EXPECT_TRUE(database_
                    ->Write(absl::InfiniteFuture(),
                            [&](Transaction& tx) { return tx.Execute(sql, {}).status(); })
                    .ok());
  }
  void RunAll() {
    for (size_t i = 0; i < rounds_; ++i) monitor_->RunOnce();
  }
  double Shown(const std::string& series) {
    const std::string text = prometheus::TextSerializer().Serialize(registry_.Collect());
    const size_t at = text.find("\n" + series + " ");
    EXPECT_NE(at, std::string::npos) << series << " in\n" << text;
    return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
  }

  testing::SimulatedClock clock_;
  prometheus::Registry registry_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<InvariantMonitor> monitor_;
  size_t rounds_ = 0;
};

TEST_F(InvariantMonitorTest, ShowsWhatHoldsWhatIsBrokenAndWhatCouldNotBeLookedAt) {
  EXPECT_EQ(Shown("handrail_invariant_violations{invariant=\"C1\"}"), 0) << "before the first look";
  RunAll();
  EXPECT_EQ(Shown("handrail_invariant_violations{invariant=\"C1\"}"), 0);
  EXPECT_EQ(Shown("handrail_invariant_checks_total{outcome=\"held\"}"), 3);
  EXPECT_EQ(Shown("handrail_invariant_checks_total{outcome=\"failed\"}"), 1);
  Write("INSERT INTO t VALUES (-1), (-2), (100), (9000000000000000)");
  RunAll();
  EXPECT_EQ(Shown("handrail_invariant_violations{invariant=\"C1\"}"), 3) << "both of its queries";
  EXPECT_EQ(Shown("handrail_invariant_violations{invariant=\"C2\"}"), 1);
  EXPECT_EQ(Shown("handrail_invariant_checks_total{outcome=\"broken\"}"), 3);
  Write("DELETE FROM t");
  RunAll();
  EXPECT_EQ(Shown("handrail_invariant_violations{invariant=\"C1\"}"), 0);
  EXPECT_EQ(Shown("handrail_invariant_violations{invariant=\"C2\"}"), 0);
}

TEST_F(InvariantMonitorTest, ARoundLooksAtOneInTurn) {
  Write("INSERT INTO t VALUES (-1), (100)");
  monitor_->RunOnce();
  EXPECT_EQ(Shown("handrail_invariant_violations{invariant=\"C1\"}"), 1);
  monitor_->RunOnce();
  EXPECT_EQ(Shown("handrail_invariant_violations{invariant=\"C1\"}"), 2);
}

}  // namespace
}  // namespace handrail::storage
