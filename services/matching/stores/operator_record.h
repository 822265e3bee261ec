#ifndef HANDRAIL_SERVICES_MATCHING_STORES_OPERATOR_RECORD_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_OPERATOR_RECORD_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/call.h"
#include "common/storage/database.h"
#include "services/matching/domain/operator_ledger.h"

namespace handrail::matching {

// The tables of what operators do: the record and the drained pools.
const storage::Migration& OperatorMigration();
// What is left of rows that were trimmed: the last one's sequence and seal.
const storage::Migration& OperatorTrimMigration();

// What a call did, as a row of the record.
OperatorAction ActionOf(const Call& call, absl::Time now, absl::string_view subject,
                        absl::string_view outcome, absl::string_view detail);

// The append-only record of what operators did. Each row carries a seal: a MAC over its fields and
// the seal of the row before, under a key that lies outside the database. Whoever can write the
// database can therefore not change, remove or move a row unseen. What they can do is restore an
// old copy whole; a seal that was written down elsewhere shows that. Old rows are trimmed from the
// beginning; a checkpoint, sealed too, says where the rest begins, so that rows can be missing
// there and nowhere else. Thread-safe.
class OperatorRecord {
 public:
  // 32 bytes for any bytes, under a secret key.
  using Mac = std::function<std::string(absl::string_view)>;

  explicit OperatorRecord(Mac mac) : mac_(std::move(mac)) {}

  // Adds a row in the transaction of what it tells of; its sequence is given here. The last lock of
  // a unit of work: rows of the record come one after the other.
  absl::Status Append(storage::Transaction& tx, const OperatorAction& action) const;

  // Newest first, with a sequence below `before`.
  static absl::StatusOr<Page<OperatorAction>> List(storage::Transaction& tx,
                                                   std::optional<MemberId> who, int limit,
                                                   int64_t before);

  // See OperatorLedger::TrimActions.
  absl::StatusOr<int64_t> Trim(storage::Transaction& tx, absl::Time before, int limit) const;

  // Every row as it is when this begins.
  absl::StatusOr<AuditReport> Verify(storage::Database& database, absl::Time deadline,
                                     const KnownSeal& known) const;

 private:
  // The row that the first kept one follows: sequence 0 while nothing was trimmed.
  struct Checkpoint {
    int64_t sequence = 0;
    std::string seal;
    bool sound = true;  // it was written by us
  };
  absl::StatusOr<Checkpoint> ReadCheckpoint(storage::Transaction& tx) const;
  std::string SealOf(const OperatorAction& action, absl::string_view previous) const;
  std::string SealOf(const Checkpoint& checkpoint) const;

  const Mac mac_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_OPERATOR_RECORD_H_
