#ifndef HANDRAIL_COMMON_STORAGE_MIGRATIONS_H_
#define HANDRAIL_COMMON_STORAGE_MIGRATIONS_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/storage/database.h"

namespace handrail::storage {

// A digest of the statements as written, before translation, so that both databases agree on it. It
// finds edits made by mistake, not forgeries.
std::string MigrationChecksum(const Migration& migration);

// Applies what handrail_migrations does not list, each migration in one call of `run`, which must
// run the unit in a transaction of its own that excludes other migrators.
absl::Status ApplyMigrations(absl::Span<const Migration> migrations, absl::Time now,
                             absl::FunctionRef<absl::Status(Database::Work)> run);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_MIGRATIONS_H_
