#ifndef HANDRAIL_COMMON_STORAGE_POSTGRES_DATABASE_H_
#define HANDRAIL_COMMON_STORAGE_POSTGRES_DATABASE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "common/storage/database.h"

namespace handrail::storage {

// Opens `options.url`, postgres://… or a libpq keyword string, with as many hosts as it names
// (target_session_attrs=read-write finds the primary). Prefer OpenDatabase.
//
// A server that is down is no error: the database heals when it is back, and calls get UNAVAILABLE
// / DATABASE_UNAVAILABLE until then. A server that is up and older than 15, or with fsync,
// synchronous_commit or full_page_writes off, is refused: INVALID_ARGUMENT / CONFIGURATION_INVALID,
// here or, when it was down, from each call.
//
// Writes run as READ COMMITTED transactions, side by side; lock rows with {for_update} in id order.
// A COMMIT under way is never cancelled; it is waited for until the deadline, and at least
// `busy_timeout`, then the outcome is unknown.
absl::StatusOr<std::unique_ptr<Database>> OpenPostgresDatabase(const DatabaseOptions& options);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_POSTGRES_DATABASE_H_
