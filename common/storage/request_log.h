#ifndef HANDRAIL_COMMON_STORAGE_REQUEST_LOG_H_
#define HANDRAIL_COMMON_STORAGE_REQUEST_LOG_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/call.h"
#include "common/storage/database.h"

namespace handrail::storage {

// Makes a write idempotent (design rule 4). Used inside the transaction of the write itself:
//
//   ASSIGN_OR_RETURN(auto replay, FindAnswer(tx, call));
//   if (replay.has_value()) { ticket = Decode(*replay); return absl::OkStatus(); }
//   … the write …
//   RETURN_IF_ERROR(RecordAnswer(tx, call, now, Encode(ticket)));
//
// Rows are scoped to caller, method and request id, and kept for 7 days.
const Migration& RequestLogMigration();

// The answer that was given to this request id before, or nothing.
// INVALID_ARGUMENT / REQUEST_ID_REQUIRED when the call has none; FAILED_PRECONDITION /
// REQUEST_ID_REUSED when the id was used with another request.
absl::StatusOr<std::optional<std::string>> FindAnswer(Transaction& tx, const Call& call);

// `answer` holds no personal data in the clear. A concurrent first use of the same id makes this
// fail with ABORTED / DATABASE_CONFLICT, so that the unit is run again and finds the answer.
absl::Status RecordAnswer(Transaction& tx, const Call& call, absl::Time now,
                          absl::string_view answer);

// Deletes at most `limit` rows older than 7 days; the number deleted.
absl::StatusOr<int64_t> TrimRequestLog(Transaction& tx, absl::Time now, int64_t limit);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REQUEST_LOG_H_
