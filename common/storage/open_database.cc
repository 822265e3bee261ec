#include "absl/strings/match.h"
#include "common/base/status.h"
#include "common/storage/database.h"
#include "common/storage/postgres_database.h"
#include "common/storage/sqlite_database.h"

namespace handrail::storage {

absl::StatusOr<std::unique_ptr<Database>> OpenDatabase(const DatabaseOptions& options) {
  const auto fault = [](absl::string_view what) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid).Message(what);
  };
  if (options.connections < 1 || options.read_connections < 1 || options.batch_units_limit < 1 ||
      options.queue_limit < 1 || options.retry_limit < 0) {
    return fault("the limits of a database must be positive");
  }
  if (absl::StartsWith(options.url, "sqlite:")) return OpenSqliteDatabase(options);
  if (absl::StartsWith(options.url, "postgres://") ||
      absl::StartsWith(options.url, "postgresql://") || absl::StrContains(options.url, '=')) {
    return OpenPostgresDatabase(options);
  }
  return fault("a database URL starts with sqlite: or postgres://");
}

}  // namespace handrail::storage
