#ifndef HANDRAIL_COMMON_STORAGE_SQLITE_DATABASE_H_
#define HANDRAIL_COMMON_STORAGE_SQLITE_DATABASE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "common/storage/database.h"

namespace handrail::storage {

// Opens `options.url`, sqlite:///absolute/path.db or sqlite::memory:. Prefer OpenDatabase.
//
// A file is created with mode 0600 and locked by `<path>.lock` for the life of the database:
// FAILED_PRECONDITION / CONFIGURATION_INVALID when another process has it open. WAL and
// synchronous=FULL are read back: INVALID_ARGUMENT / CONFIGURATION_INVALID when they do not hold.
// An fsync error ends the process after a log line, because the state of the disk is then unknown.
// Constraints must not be deferred: they would fail at the commit that other units share.
absl::StatusOr<std::unique_ptr<Database>> OpenSqliteDatabase(const DatabaseOptions& options);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_SQLITE_DATABASE_H_
