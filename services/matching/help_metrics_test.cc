#include "services/matching/help_metrics.h"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <string>

#include "common/base/status.h"
#include "services/matching/adapters/crisis_table.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/stores/help_sql.h"
#include "services/matching/stores/ledger_test_env.h"

namespace handrail::matching {
namespace {

TEST(HelpMetricsTest, CallsOutcomesAndTheAgeOfTheLinesAreShown) {
  LedgerTestEnv env(storage::TestBackend::kSqliteMemory);
  SqlHelpStore store(*env.database, env.vault, env.pools, env.random, BuiltInPrograms(),
                     HelpOptions());
  HelpDesk desk(
      store, *env.ledger, BuiltInPrograms(), env.clock, env.random, HelpDesk::Options(),
      [](absl::Time, const MemberId&) { return absl::UnavailableError("down"); },
      [](const Effects&) {});
  v1::CrisisTable crisis = BuiltInCrisisTable();
  const absl::CivilDay today = absl::ToCivilDay(env.clock.Now(), absl::UTCTimeZone());
  const absl::CivilDay long_ago = today - 200;
  auto* date = crisis.mutable_rows(0)->mutable_verified_on();
  date->set_year(static_cast<int32_t>(long_ago.year()));
  date->set_month(long_ago.month());
  date->set_day(long_ago.day());
  prometheus::Registry registry;
  HelpMetrics metrics(*env.database, env.clock, crisis, registry);
  const auto shown = [&registry](const std::string& series) {
    const std::string text = prometheus::TextSerializer().Serialize(registry.Collect());
    const size_t at = text.find("\n" + series + " ");
    EXPECT_NE(at, std::string::npos) << series << " in\n" << text;
    return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
  };

  ASSERT_TRUE(desk.Reach(env.As(env.AddNewcomer())).ok());
  env.clock.Advance(absl::Minutes(2));
  for (int i = 0; i < 2; ++i) metrics.Update(desk);
  EXPECT_EQ(shown("handrail_help_calls_open"), 1);
  EXPECT_EQ(shown("handrail_help_call_oldest_seconds"), 120);
  EXPECT_EQ(shown("handrail_reach_total{outcome=\"NOBODY\"}"), 1);
  EXPECT_EQ(shown("handrail_reach_total{outcome=\"UNAVAILABLE\"}"), 0);
  EXPECT_EQ(shown("handrail_crisis_rows"), crisis.rows_size());
  EXPECT_EQ(shown("handrail_crisis_rows_undated"), crisis.rows_size() - 1);
  EXPECT_EQ(shown("handrail_crisis_rows_stale"), 1);
  EXPECT_EQ(shown("handrail_crisis_oldest_row_days"), 200);
  EXPECT_EQ(shown("handrail_matching_database_up"), 1);
  env.Execute("ALTER TABLE help_calls RENAME TO help_calls_gone");
  metrics.Update(desk);
  EXPECT_EQ(shown("handrail_matching_database_up"), 0);
}

}  // namespace
}  // namespace handrail::matching
