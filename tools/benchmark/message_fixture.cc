#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/storage/database.h"
#include "services/messaging/stores/schema.h"
#include "tools/benchmark/runs.h"

namespace handrail::benchmark {
namespace {

constexpr int kRowsInOneWrite = 25'000;
constexpr int kConversations = 50'000;
// Spreads the conversations over all keys, as random ids do.
constexpr int64_t kKeyStep = 184'467'440'737'095;

// One statement for many rows. Rows come in turn from all conversations, so that they land all over
// the indexes, as they do in life.
std::string FillStatement(bool postgres) {
  const char* const random_id =
      postgres ? "decode(md5(CAST(i AS TEXT) || random()), 'hex')" : "randomblob(16)";
  return absl::StrCat(
      "WITH RECURSIVE n(i) AS (SELECT CAST($1 AS {int}) UNION ALL SELECT i + 1 FROM n WHERE i + 1 <"
      " CAST($2 AS {int})) INSERT INTO messages (conversation_key, sequence, sender_key,"
      " sender_device, message_id, created_at, payload) SELECT 1 + (i % ",
      kConversations, ") * ", kKeyStep, ", 1 + i / ", kConversations, ", 1 + i % ", kConversations,
      ", CAST($3 AS {blob}), ", random_id, ", CAST($4 AS {int}), CAST($5 AS {blob}) FROM n");
}

// 16 bytes that are the same for the same number.
std::string IdOf(bool postgres, absl::string_view number) {
  return postgres ? absl::StrCat("convert_to(lpad(CAST(", number, " AS TEXT), 16, '0'), 'UTF8')")
                  : absl::StrCat("CAST(printf('%016d', ", number, ") AS {blob})");
}

// Who was in those conversations, with a device each that has everything. $1 is how many messages
// each has, $2 the time.
std::vector<std::string> PeopleStatements(bool postgres) {
  const std::string numbers =
      absl::StrCat("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ",
                   kConversations,
                   "), p(i, m) AS (SELECT i, 2 * i FROM n UNION ALL SELECT i, 2 * i + 1 FROM n)");
  const std::string key = absl::StrCat("1 + CAST(i AS {int}) * ", kKeyStep);
  const std::string conversation = IdOf(postgres, "i");
  const std::string member = IdOf(postgres, "m");
  return {
      absl::StrCat(numbers,
                   " INSERT INTO conversations (conversation_key, conversation_id, pairing_id,"
                   " state, blocked, created_at, head_sequence, first_sequence, retention_at,"
                   " marked_sequence, marked_at, trimmed_at, trimmed_newest_at) SELECT ",
                   key, ", ", conversation, ", ", conversation,
                   ", 1, 0, CAST($2 AS {int}), CAST($1 AS {int}), 1, CAST($2 AS {int}), 0, 0, 0, 0"
                   " FROM n"),
      absl::StrCat(numbers,
                   " INSERT INTO conversation_members (conversation_key, member_key, member_id,"
                   " created_at) SELECT ",
                   key, ", m, ", member, ", CAST($2 AS {int}) + 0 * CAST($1 AS {int}) FROM p"),
      absl::StrCat(numbers,
                   " INSERT INTO devices (device_id, member_id, revoked, generation, last_seen_at)"
                   " SELECT ",
                   member, ", ", member,
                   ", 0, 0, CAST($2 AS {int}) + 0 * CAST($1 AS {int})"
                   " FROM p"),
      absl::StrCat(numbers,
                   " INSERT INTO conversation_devices (conversation_key, device_id, member_id,"
                   " start_sequence, acked_sequence, skipped_sequence, can_send) SELECT ",
                   key, ", ", member, ", ", member,
                   ", 1, CAST($1 AS {int}) + 0 * CAST($2 AS {int}), 0, 1 FROM p"),
      "ANALYZE"};
}

}  // namespace

absl::Status FillPeople(const std::string& database_url, int rows) {
  const SystemClock clock;
  storage::DatabaseOptions options;
  options.url = database_url;
  ASSIGN_OR_RETURN(const auto database, storage::OpenDatabase(options));
  const absl::Time now = clock.Now();
  for (const std::string& statement :
       PeopleStatements(absl::StartsWith(database_url, "postgres"))) {
    storage::Args args;
    if (statement != "ANALYZE") args = {int64_t{rows} / kConversations, now};
    RETURN_IF_ERROR(database->Write(now + absl::Seconds(120), [&](storage::Transaction& tx) {
      return tx.Execute(statement, args).status();
    }));
  }
  return absl::OkStatus();
}

absl::Status FillMessages(const std::string& database_url, int rows, int bytes) {
  const SystemClock clock;
  storage::DatabaseOptions options;
  options.url = database_url;
  ASSIGN_OR_RETURN(const auto database, storage::OpenDatabase(options));
  const std::string statement = FillStatement(absl::StartsWith(database_url, "postgres"));
  const storage::Blob device{std::string(16, 'd')};
  const storage::Blob payload{std::string(static_cast<size_t>(bytes), 'x')};
  RETURN_IF_ERROR(database->Migrate(messaging::Migrations()));
  for (int first = 0; first < rows; first += kRowsInOneWrite) {
    const int64_t end = std::min(first + kRowsInOneWrite, rows);
    const absl::Time now = clock.Now();
    RETURN_IF_ERROR(database->Write(now + absl::Seconds(60), [&](storage::Transaction& tx) {
      return tx.Execute(statement, {int64_t{first}, end, device, now, payload}).status();
    }));
  }
  return database->Write(clock.Now() + absl::Seconds(120), [](storage::Transaction& tx) {
    return tx.Execute("ANALYZE", {}).status();
  });
}

}  // namespace handrail::benchmark
