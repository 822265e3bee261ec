#include "services/matching/care_metrics.h"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include "services/matching/stores/ledger_test_env.h"

namespace handrail::matching {
namespace {

std::string Text(prometheus::Registry& registry) {
  return prometheus::TextSerializer().Serialize(registry.Collect());
}

TEST(CareMetricsTest, TicketsAreCountedByTheHoursThatPeopleWait) {
  LedgerTestEnv env(storage::TestBackend::kSqliteMemory);
  prometheus::Registry registry;
  CareMetrics metrics(*env.database, env.clock, registry);
  const auto sweep = [&] {
    const auto swept = env.care->CareForTickets(absl::InfiniteFuture(), env.clock.Now(), 100);
    ASSERT_TRUE(swept.ok());
    metrics.Count(swept->effects);
    metrics.Update();
  };
  ASSERT_TRUE(env.Open(env.As(env.AddNewcomer())).ok());
  env.clock.Advance(absl::Hours(30));
  ASSERT_TRUE(env.Open(env.As(env.AddNewcomer())).ok());
  sweep();
  EXPECT_NE(Text(registry).find("handrail_tickets_open_by_age{age=\"0h\"} 1"), std::string::npos);
  EXPECT_NE(Text(registry).find("handrail_tickets_open_by_age{age=\"24h\"} 1"), std::string::npos);
  EXPECT_NE(Text(registry).find("handrail_notices_total{kind=\"STILL_LOOKING\"} 1"),
            std::string::npos);
  EXPECT_NE(Text(registry).find("handrail_care_overdue_seconds 0"), std::string::npos);
  env.clock.Advance(absl::Hours(45));
  metrics.Update();
  // The elder was told at 30 hours, and should have heard at 48: that is 27 hours ago. Of 75.
  EXPECT_NE(Text(registry).find("handrail_care_overdue_seconds 97200"), std::string::npos)
      << Text(registry);
  sweep();
  // Who has just come is due now, and was never due since 1970.
  env.AddSponsor(1);
  env.Execute("UPDATE tickets SET care_at = 0");
  metrics.Update();
  EXPECT_NE(Text(registry).find("handrail_care_overdue_seconds 0"), std::string::npos);
  EXPECT_NE(Text(registry).find("handrail_tickets_open_by_age{age=\"0h\"} 0"), std::string::npos);
  EXPECT_NE(Text(registry).find("handrail_tickets_open_by_age{age=\"24h\"} 1"), std::string::npos);
  EXPECT_NE(Text(registry).find("handrail_tickets_open_by_age{age=\"72h\"} 1"), std::string::npos);
}

TEST(CareMetricsTest, NothingInThemSaysWhoOrWhere) {
  LedgerTestEnv env(storage::TestBackend::kSqliteMemory);
  prometheus::Registry registry;
  CareMetrics metrics(*env.database, env.clock, registry);
  for (const prometheus::MetricFamily& family : registry.Collect()) {
    for (const prometheus::ClientMetric& metric : family.metric) {
      for (const prometheus::ClientMetric::Label& label : metric.label) {
        EXPECT_TRUE(label.name == "age" || label.name == "kind") << label.name;
      }
    }
  }
}

}  // namespace
}  // namespace handrail::matching
