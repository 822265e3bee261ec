#include "common/storage/migrations.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace handrail::storage {
namespace {

constexpr absl::string_view kCreateTable =
    "CREATE TABLE IF NOT EXISTS handrail_migrations (name TEXT NOT NULL PRIMARY KEY, "
    "checksum TEXT NOT NULL, applied_at {int} NOT NULL) {strict}";

absl::Status ApplyOne(Transaction& tx, const Migration& migration, absl::Time now) {
  const std::string checksum = MigrationChecksum(migration);
  ASSIGN_OR_RETURN(
      const Rows known,
      tx.Query("SELECT checksum FROM handrail_migrations WHERE name = $1", {migration.name}));
  if (!known.empty()) {
    if (known.front().Text(0) == checksum) return absl::OkStatus();
    return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
        .Message(absl::StrCat("migration ", migration.name,
                              " was applied with another text; add a new one instead"));
  }
  for (const std::string& statement : migration.statements) {
    ASSIGN_OR_RETURN([[maybe_unused]] const int64_t count, tx.Execute(statement, {}));
  }
  ASSIGN_OR_RETURN([[maybe_unused]] const int64_t count,
                   tx.Execute("INSERT INTO handrail_migrations (name, checksum, applied_at) "
                              "VALUES ($1, $2, $3)",
                              {migration.name, checksum, now}));
  return absl::OkStatus();
}

}  // namespace

std::string MigrationChecksum(const Migration& migration) {
  // FNV-1a, 64 bits, over each statement and an end mark.
  uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&hash](unsigned char byte) { hash = (hash ^ byte) * 0x100000001b3; };
  size_t size = 0;
  for (const std::string& statement : migration.statements) {
    for (const char c : statement) add(static_cast<unsigned char>(c));
    add(0);
    size += statement.size();
  }
  return absl::StrCat(absl::Hex(hash, absl::kZeroPad16), "-", size);
}

absl::Status ApplyMigrations(absl::Span<const Migration> migrations, absl::Time now,
                             absl::FunctionRef<absl::Status(Database::Work)> run) {
  RETURN_IF_ERROR(run([](Transaction& tx) { return tx.Execute(kCreateTable, {}).status(); }));
  for (const Migration& migration : migrations) {
    RETURN_IF_ERROR(run([&](Transaction& tx) { return ApplyOne(tx, migration, now); }));
  }
  return absl::OkStatus();
}

}  // namespace handrail::storage
