#include "common/storage/database_metrics.h"

#include <gtest/gtest.h>

#include <memory>

namespace handrail::storage {
namespace {

// The sum of a metric over its labels.
double ValueOf(prometheus::Registry& registry, const std::string& name) {
  double sum = -1;
  for (const auto& family : registry.Collect()) {
    if (family.name != name) continue;
    sum = 0;
    for (const auto& metric : family.metric) sum += metric.counter.value + metric.gauge.value;
  }
  return sum;
}

TEST(DatabaseMetricsTest, ShowsWhatTheDatabaseCountedOnce) {
  DatabaseOptions options;
  options.url = "sqlite::memory:";
  auto database = OpenDatabase(options);
  ASSERT_TRUE(database.ok()) << database.status();
  prometheus::Registry registry;
  DatabaseMetrics metrics(**database, registry);
  metrics.Update();
  const double before = ValueOf(registry, "handrail_database_units_total");
  ASSERT_GE(before, 0);

  ASSERT_TRUE((*database)
                  ->Write(absl::InfiniteFuture(),
                          [](Transaction& transaction) {
                            return transaction.Execute("CREATE TABLE t (x {int})", {}).status();
                          })
                  .ok());
  metrics.Update();
  metrics.Update();
  const DatabaseStats stats = (*database)->Stats();
  EXPECT_EQ(ValueOf(registry, "handrail_database_units_total"), before + 1);
  EXPECT_EQ(ValueOf(registry, "handrail_database_commits_total"),
            static_cast<double>(stats.commits));
  EXPECT_EQ(ValueOf(registry, "handrail_database_batches_total"),
            static_cast<double>(stats.commits));
  EXPECT_EQ(ValueOf(registry, "handrail_database_largest_batch"),
            static_cast<double>(stats.largest_batch));
  EXPECT_EQ(ValueOf(registry, "handrail_database_retries_total"), 0);
}

}  // namespace
}  // namespace handrail::storage
