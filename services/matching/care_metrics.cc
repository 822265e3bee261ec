#include "services/matching/care_metrics.h"

#include <algorithm>
#include <string>

#include "common/base/macros.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

constexpr absl::Duration kReadTimeout = absl::Seconds(1);
constexpr char kBandsSql[] =
    "SELECT wait_band, COUNT(*) FROM tickets WHERE state IN (1, 2) GROUP BY wait_band";
// One step of an index each. 0 is what older code leaves, and says nothing of how long.
constexpr char kOverdueSql[] =
    "SELECT MIN(due) FROM (SELECT MIN(care_at) AS due FROM tickets WHERE state IN (1, 2) AND "
    "wait_band IN (0, 1, 2, 3) AND care_at > 0 AND care_at <= $1 AND expires_at > $1 UNION ALL "
    "SELECT MIN(care_at) FROM offers WHERE state = 1 AND care_at > 0 AND care_at <= $1 UNION ALL "
    "SELECT MIN(care_at) FROM pairings WHERE state <> 5 AND care_at > 0 AND care_at <= $1 "
    "UNION ALL SELECT MIN(care_at) FROM sponsors WHERE care_at > 0 AND care_at <= $1) AS parts";
constexpr std::array<const char*, 4> kAges = {"0h", "24h", "48h", "72h"};

}  // namespace

CareMetrics::CareMetrics(storage::Database& database, const Clock& clock,
                         prometheus::Registry& registry)
    : database_(database),
      clock_(clock),
      overdue_(prometheus::BuildGauge()
                   .Name("handrail_care_overdue_seconds")
                   .Help("How long the most overdue step of care has been due.")
                   .Register(registry)
                   .Add({})),
      by_age_{},
      notices_{} {
  auto& ages = prometheus::BuildGauge()
                   .Name("handrail_tickets_open_by_age")
                   .Help(
                       "Tickets that nobody has accepted yet, by the hours since they were asked "
                       "for.")
                   .Register(registry);
  for (size_t i = 0; i < kAges.size(); ++i) by_age_[i] = &ages.Add({{"age", kAges[i]}});
  auto& notices = prometheus::BuildCounter()
                      .Name("handrail_notices_total")
                      .Help("What people were told, by kind.")
                      .Register(registry);
  for (int kind = 1; kind < kNoticeKindCount; ++kind) {
    const NoticeInfo& info = InfoOf(static_cast<NoticeKind>(kind));
    notices_[static_cast<size_t>(kind)] = &notices.Add({{"kind", std::string(info.code)}});
  }
}

void CareMetrics::Count(const Effects& effects) {
  for (const NoticeChange& notice : effects.notices) {
    prometheus::Counter* const counter = notices_[static_cast<size_t>(notice.kind)];
    if (counter != nullptr && notice.is_new) counter->Increment();
  }
}

void CareMetrics::Update() {
  // A database that cannot be read is seen by the readiness check, not here.
  const absl::Time now = clock_.Now();
  database_
      .Read(now + kReadTimeout,
            [&](storage::Transaction& tx) -> absl::Status {
              ASSIGN_OR_RETURN(const storage::Rows due, tx.Query(kOverdueSql, {now}));
              overdue_.Set(due[0].IsNull(0) ? 0 : absl::ToDoubleSeconds(now - due[0].Time(0)));
              ASSIGN_OR_RETURN(const storage::Rows rows, tx.Query(kBandsSql, {}));
              std::array<int64_t, 4> counts{};
              for (const storage::Row& row : rows) {
                counts[static_cast<size_t>(std::clamp<int64_t>(row.Int(0), 0, 3))] += row.Int(1);
              }
              for (size_t i = 0; i < counts.size(); ++i) {
                by_age_[i]->Set(static_cast<double>(counts[i]));
              }
              return absl::OkStatus();
            })
      .IgnoreError();
}

}  // namespace handrail::matching
