#ifndef HANDRAIL_SERVICES_MATCHING_STORES_BATCH_STORE_SQL_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_BATCH_STORE_SQL_H_

#include <optional>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/storage/database.h"
#include "services/matching/domain/batch_store.h"
#include "services/matching/stores/operator_record.h"

namespace handrail::matching {

// The tables of runs and of what they are about to offer. Ids only, and none once a run is done.
const storage::Migration& BatchMigration();

// BatchStore in the ledger's database. Thread-safe; what is handed in must outlive it.
class SqlBatchStore final : public BatchStore {
 public:
  SqlBatchStore(storage::Database& database, Random& random, OperatorRecord record)
      : database_(database), random_(random), record_(std::move(record)) {}

  absl::StatusOr<std::optional<BatchRun>> FindRun(const Call& call) override;
  absl::StatusOr<BatchRun> BeginRun(const Call& call, absl::Time now, absl::string_view subject,
                                    absl::Span<const BatchOffer> pairs) override;
  absl::StatusOr<std::vector<OfferId>> FindMade(absl::Time deadline,
                                                absl::Span<const OfferId> ids) override;
  absl::StatusOr<BatchRun> FinishRun(const Call& call, absl::Time now, absl::string_view subject,
                                     const BatchRunId& id, int64_t offer_count) override;
  absl::StatusOr<int64_t> TrimRuns(absl::Time deadline, absl::Time now, int limit) override;

 private:
  storage::Database& database_;
  Random& random_;
  const OperatorRecord record_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_BATCH_STORE_SQL_H_
