#include <algorithm>
#include <string>

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

}  // namespace

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
