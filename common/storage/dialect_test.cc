#include "common/storage/dialect.h"

#include "gtest/gtest.h"

namespace handrail::storage {
namespace {

TEST(DialectTest, ReplacesEveryWord) {
  struct Case {
    const char* sql;
    const char* sqlite;
    const char* postgres;
  };
  for (const Case& test : {
           Case{"a {int}", "a INTEGER", "a BIGINT"},
           Case{"a {blob}", "a BLOB", "a BYTEA"},
           Case{"t () {strict}", "t () STRICT", "t () "},
           Case{"s {for_update}", "s ", "s FOR UPDATE"},
           Case{"s {skip_locked}", "s ", "s FOR UPDATE SKIP LOCKED"},
           Case{"a = $1 AND b = $12", "a = ?1 AND b = ?12", "a = $1 AND b = $12"},
           Case{"'$1 {int}' \"{x}\" 'it''s $2'", "'$1 {int}' \"{x}\" 'it''s $2'",
                "'$1 {int}' \"{x}\" 'it''s $2'"},
           Case{"a -- {x} $1\n$2", "a -- {x} $1\n?2", "a -- {x} $1\n$2"},
           Case{"'open {int}", "'open {int}", "'open {int}"},
           Case{"", "", ""},
       }) {
    EXPECT_EQ(TranslateSql(Dialect::kSqlite, test.sql)->text, test.sqlite);
    EXPECT_EQ(TranslateSql(Dialect::kPostgres, test.sql)->text, test.postgres);
  }
}

TEST(DialectTest, CountsParametersByTheHighest) {
  EXPECT_EQ(TranslateSql(Dialect::kPostgres, "a = $2 OR b = $2")->parameters, 2u);
  EXPECT_EQ(TranslateSql(Dialect::kPostgres, "a = $ OR b = '$3'")->parameters, 0u);
}

TEST(DialectTest, RefusesUnknownWords) {
  for (const char* sql : {"{text}", "{", "{int", "{ int}", "{}"}) {
    EXPECT_TRUE(absl::IsInternal(TranslateSql(Dialect::kSqlite, sql).status())) << sql;
  }
}

}  // namespace
}  // namespace handrail::storage
