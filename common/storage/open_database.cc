#include "absl/strings/match.h"
#include "common/storage/database.h"
#include "common/storage/sqlite_database.h"

namespace handrail::storage {

absl::StatusOr<std::unique_ptr<Database>> OpenDatabase(const DatabaseOptions& options) {
  return OpenSqliteDatabase(options);
}

}  // namespace handrail::storage
