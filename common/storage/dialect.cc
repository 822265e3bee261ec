#include "common/storage/dialect.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::storage {
namespace {

struct DialectWord {
  absl::string_view word;
  absl::string_view sqlite;
  absl::string_view postgres;
};

// Every difference between the two databases that our SQL may name.
constexpr DialectWord kWords[] = {
    {"int", "INTEGER", "BIGINT"},
    {"blob", "BLOB", "BYTEA"},
    {"strict", "STRICT", ""},
    {"for_update", "", "FOR UPDATE"},
    {"skip_locked", "", "FOR UPDATE SKIP LOCKED"},
};

const DialectWord* FindWord(absl::string_view word) {
  for (const DialectWord& entry : kWords) {
    if (entry.word == word) return &entry;
  }
  return nullptr;
}

// The end of the literal, quoted name or comment that starts at `begin`; `begin` when none does.
size_t SkipOpaque(absl::string_view sql, size_t begin) {
  const char c = sql[begin];
  if (c == '\'' || c == '"') {
    const size_t end = sql.find(c, begin + 1);  // a doubled quote is two literals side by side
    return end == absl::string_view::npos ? sql.size() : end + 1;
  }
  if (c == '-' && begin + 1 < sql.size() && sql[begin + 1] == '-') {
    const size_t end = sql.find('\n', begin);
    return end == absl::string_view::npos ? sql.size() : end;
  }
  return begin;
}

// The number whose digits start at `begin`; 0 when none do.
size_t NumberAt(absl::string_view sql, size_t begin) {
  size_t number = 0;
  for (size_t i = begin; i < sql.size() && number < 10'000; ++i) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(sql[i]))) break;
    number = number * 10 + static_cast<size_t>(sql[i] - '0');
  }
  return number;
}

}  // namespace

absl::StatusOr<TranslatedSql> TranslateSql(Dialect dialect, absl::string_view sql) {
  TranslatedSql translated;
  std::string& out = translated.text;
  out.reserve(sql.size() + 16);
  size_t i = 0;
  while (i < sql.size()) {
    if (const size_t end = SkipOpaque(sql, i); end != i) {
      absl::StrAppend(&out, sql.substr(i, end - i));
      i = end;
      continue;
    }
    const char c = sql[i];
    if (c == '{') {
      const size_t end = std::min(sql.find('}', i), sql.size());
      const absl::string_view name = sql.substr(i + 1, end - i - 1);
      const DialectWord* word = end == sql.size() ? nullptr : FindWord(name);
      if (word == nullptr) {
        return Error(absl::StatusCode::kInternal, reason::kInternal)
            .Message(absl::StrCat("SQL uses an unknown dialect word: {", name, "}"));
      }
      absl::StrAppend(&out, dialect == Dialect::kSqlite ? word->sqlite : word->postgres);
      i = end + 1;
      continue;
    }
    const size_t number = c == '$' ? NumberAt(sql, i + 1) : 0;
    translated.parameters = std::max(translated.parameters, number);
    out += number > 0 && dialect == Dialect::kSqlite ? '?' : c;
    ++i;
  }
  return translated;
}

}  // namespace handrail::storage
