#include "services/matching/help_metrics.h"

#include <algorithm>

#include "common/base/macros.h"
#include "common/base/status.h"
#include "services/matching/adapters/crisis_table.h"

namespace handrail::matching {
namespace {

constexpr absl::Duration kReadTimeout = absl::Seconds(1);
constexpr std::array<const char*, 7> kOutcomes = {
    nullptr, "ASKING", "NOBODY", "UNAVAILABLE", "LIMITED", "CONSENT_REQUIRED", "SUSPENDED"};

prometheus::Gauge& MakeGauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

HelpMetrics::HelpMetrics(storage::Database& database, const Clock& clock,
                         const v1::CrisisTable& crisis, prometheus::Registry& registry)
    : database_(database),
      clock_(clock),
      crisis_(crisis),
      open_(MakeGauge(registry, "handrail_help_calls_open", "Calls for help that are open.")),
      oldest_(MakeGauge(registry, "handrail_help_call_oldest_seconds",
                        "How long the longest open call for help has been open.")),
      rows_(MakeGauge(registry, "handrail_crisis_rows", "Crisis lines that people are shown.")),
      undated_(MakeGauge(registry, "handrail_crisis_rows_undated",
                         "Crisis lines of which nobody said when they were checked.")),
      stale_(MakeGauge(registry, "handrail_crisis_rows_stale",
                       "Crisis lines that were checked more than 180 days ago.")),
      oldest_row_(MakeGauge(registry, "handrail_crisis_oldest_row_days",
                            "Days since the earliest check of a crisis line.")),
      database_up_(MakeGauge(registry, "handrail_matching_database_up",
                             "1 while the ledger can be read, else 0.")) {
  auto& family = prometheus::BuildCounter()
                     .Name("handrail_reach_total")
                     .Help("Calls for help by what came of them.")
                     .Register(registry);
  for (size_t i = 1; i < kOutcomes.size(); ++i) {
    outcomes_[i] = &family.Add({{"outcome", kOutcomes[i]}});
  }
}

void HelpMetrics::Update(const HelpDesk& desk) {
  const absl::Time now = clock_.Now();
  for (size_t i = 1; i < outcomes_.size(); ++i) {
    const auto total = static_cast<double>(desk.CountOf(static_cast<ReachOutcome>(i)));
    outcomes_[i]->Increment(std::max(0.0, total - outcomes_[i]->Value()));
  }
  const CrisisTableAge age = AgeOf(crisis_, absl::ToCivilDay(now, absl::UTCTimeZone()));
  rows_.Set(age.rows);
  undated_.Set(age.undated);
  stale_.Set(age.stale);
  oldest_row_.Set(age.oldest_days);
  const absl::Status read =
      database_.Read(now + kReadTimeout, [&](storage::Transaction& tx) -> absl::Status {
        ASSIGN_OR_RETURN(const storage::Rows rows,
                         tx.Query("SELECT COUNT(*), COALESCE(MIN(created_at), 0) "
                                  "FROM help_calls WHERE state = 1",
                                  {}));
        const int64_t count = rows[0].Int(0);
        open_.Set(static_cast<double>(count));
        oldest_.Set(count == 0 ? 0 : std::max(0.0, absl::ToDoubleSeconds(now - rows[0].Time(1))));
        return absl::OkStatus();
      });
  database_up_.Set(read.ok() ? 1 : 0);
}

}  // namespace handrail::matching
