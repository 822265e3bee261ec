#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_SQL_REPORT_STORE_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_SQL_REPORT_STORE_H_

#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/crypto/vault.h"
#include "common/storage/database.h"
#include "services/messaging/domain/reports.h"

namespace handrail::messaging {

// Reports on SQLite or PostgreSQL, whose schema SqlMessageStore has brought up to date. Evidence is
// sealed under a fresh key for each report, which the ring wraps. Thread-safe.
class SqlReportStore final : public ReportStore {
 public:
  // All must outlive the store. `random` must be fit for keys (SystemRandom).
  SqlReportStore(storage::Database& database, const crypto::KeyRing& ring, Random& random,
                 const ReportLimits& limits)
      : database_(database), ring_(ring), random_(random), limits_(limits) {}

  absl::StatusOr<std::vector<ReadingSpan>> FindReporter(
      absl::Time deadline, const Principal& who, const ConversationId& conversation) override;
  absl::StatusOr<FiledReport> File(const Call& call, absl::Time now, const ReportId& id,
                                   const std::string& evidence) override;
  absl::StatusOr<std::vector<QueuedReport>> Due(absl::Time deadline, absl::Time now,
                                                int limit) override;
  absl::Status Remove(absl::Time deadline, const ReportId& id) override;
  absl::Status Defer(absl::Time deadline, const ReportId& id, absl::Time due,
                     int attempts) override;
  absl::StatusOr<ReportQueueState> State(absl::Time deadline) override;

 private:
  absl::Status CheckRoom(storage::Transaction& tx, const Call& call, absl::Time now) const;

  storage::Database& database_;
  const crypto::KeyRing& ring_;
  Random& random_;
  const ReportLimits limits_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_SQL_REPORT_STORE_H_
