#ifndef HANDRAIL_COMMON_STORAGE_DIALECT_H_
#define HANDRAIL_COMMON_STORAGE_DIALECT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace handrail::storage {

enum class Dialect { kSqlite, kPostgres };

struct TranslatedSql {
  std::string text;
  size_t parameters = 0;  // the highest $n
};

// The text that `dialect` understands, from SQL as Transaction describes it. Words in braces are
// replaced from the dialect table, and $1 becomes ?1 for SQLite. String literals, quoted names and
// comments are left alone. INTERNAL for a word that the table does not have: our own bug.
absl::StatusOr<TranslatedSql> TranslateSql(Dialect dialect, absl::string_view sql);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_DIALECT_H_
