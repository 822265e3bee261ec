#include "services/matching/matching_metrics.h"

#include <algorithm>
#include <string>

#include "common/base/macros.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

constexpr absl::Duration kReadTimeout = absl::Seconds(1);
constexpr char kWaitingSql[] =
    "SELECT COUNT(*), COALESCE(MIN(created_at), 0) FROM tickets WHERE state = 1";
constexpr char kOutboxSql[] = "SELECT COUNT(*), COALESCE(MIN(created_at), 0) FROM outbox";

prometheus::Gauge& MakeGauge(prometheus::Registry& registry, const char* name, const char* help,
                             const prometheus::Labels& labels = {}) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels);
}

// Sets `entries` and `age` from a row of number and earliest time.
absl::Status Show(storage::Transaction& tx, const char* sql, absl::Time now,
                  prometheus::Gauge& entries, prometheus::Gauge& age) {
  ASSIGN_OR_RETURN(const storage::Rows rows, tx.Query(sql, {}));
  const int64_t count = rows[0].Int(0);
  entries.Set(static_cast<double>(count));
  age.Set(count == 0 ? 0 : std::max(0.0, absl::ToDoubleSeconds(now - rows[0].Time(1))));
  return absl::OkStatus();
}

}  // namespace

MatchingMetrics::MatchingMetrics(storage::Database& database, const Clock& clock,
                                 prometheus::Registry& registry)
    : database_(database),
      clock_(clock),
      waiting_(MakeGauge(registry, "handrail_tickets_waiting", "Tickets that wait.")),
      oldest_wait_(MakeGauge(registry, "handrail_ticket_oldest_wait_seconds",
                             "How long the longest waiting ticket has waited.")),
      outbox_entries_(MakeGauge(registry, "handrail_outbox_entries",
                                "Changes that a receiver has not confirmed yet.",
                                {{"receiver", "messaging"}})),
      outbox_age_(MakeGauge(registry, "handrail_outbox_age_seconds", "Age of the oldest of them.",
                            {{"receiver", "messaging"}})),
      tickets_indexed_(MakeGauge(registry, "handrail_matching_tickets_indexed",
                                 "Tickets that wait in the index of this replica.")),
      sponsors_free_(MakeGauge(registry, "handrail_matching_sponsors_free",
                               "Sponsors with a free seat in the index of this replica.")),
      redis_up_(MakeGauge(registry, "handrail_matching_redis_up",
                          "1 while the queues can be reached, else 0.")) {}

void MatchingMetrics::Update(const MatcherStats& stats) {
  tickets_indexed_.Set(static_cast<double>(stats.waiting));
  sponsors_free_.Set(static_cast<double>(stats.sponsors));
  redis_up_.Set(stats.redis_up ? 1 : 0);
  const absl::Time now = clock_.Now();
  // A database that cannot be read is seen by the readiness check, not here.
  database_
      .Read(now + kReadTimeout,
            [&](storage::Transaction& tx) -> absl::Status {
              RETURN_IF_ERROR(Show(tx, kWaitingSql, now, waiting_, oldest_wait_));
              return Show(tx, kOutboxSql, now, outbox_entries_, outbox_age_);
            })
      .IgnoreError();
}

}  // namespace handrail::matching
