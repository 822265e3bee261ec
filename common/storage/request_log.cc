#include "common/storage/request_log.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::storage {
namespace {

constexpr absl::Duration kKeep = absl::Hours(7 * 24);

// Whose request ids these are. A person has one scope over all devices, so that a write begun on
// one phone and repeated from another is still one write. So has an operator, apart from what the
// same person does as a member: two operators may well count their requests alike.
Blob CallerKey(const Principal& who) {
  switch (who.kind) {
    case Principal::Kind::kMember:
    case Principal::Kind::kStaff: return Blob{std::string(who.member.Bytes())};
    case Principal::Kind::kOperator: return Blob{absl::StrCat("operator:", who.member.Bytes())};
    case Principal::Kind::kService: return Blob{absl::StrCat("service:", who.service)};
    case Principal::Kind::kAnonymous: break;
  }
  return Blob{"anonymous"};
}

}  // namespace

const Migration& RequestLogMigration() {
  static const Migration* const migration = new Migration{
      "request_log_0001",
      {
          "CREATE TABLE request_log (caller {blob} NOT NULL, method TEXT NOT NULL, "
          "request_id TEXT NOT NULL, request_hash {blob} NOT NULL, answer {blob} NOT NULL, "
          "created_at {int} NOT NULL, PRIMARY KEY (caller, method, request_id)) {strict}",
          "CREATE INDEX request_log_by_age ON request_log (created_at)",
      }};
  return *migration;
}

absl::StatusOr<std::optional<std::string>> FindAnswer(Transaction& tx, const Call& call) {
  if (call.request_id.empty()) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kRequestIdRequired)
        .Message("every write needs a request_id")
        .Field("request_id", "must be set");
  }
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT request_hash, answer FROM request_log "
                            "WHERE caller = $1 AND method = $2 AND request_id = $3",
                            {CallerKey(call.who), call.method, call.request_id}));
  if (rows.empty()) return std::optional<std::string>();
  if (rows.front().Bytes(0) != call.request_hash) {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kRequestIdReused)
        .Message("this request_id was used with another request");
  }
  return std::optional<std::string>(std::string(rows.front().Bytes(1)));
}

absl::Status RecordAnswer(Transaction& tx, const Call& call, absl::Time now,
                          absl::string_view answer) {
  ASSIGN_OR_RETURN(const int64_t count,
                   tx.Execute("INSERT INTO request_log "
                              "(caller, method, request_id, request_hash, answer, created_at) "
                              "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
                              {CallerKey(call.who), call.method, call.request_id,
                               Blob{call.request_hash}, Blob{std::string(answer)}, now}));
  if (count == 1) return absl::OkStatus();
  return Error(absl::StatusCode::kAborted, reason::kDatabaseConflict)
      .Message("the same request is being answered by another call");
}

absl::StatusOr<int64_t> TrimRequestLog(Transaction& tx, absl::Time now, int64_t limit) {
  return tx.Execute(
      "DELETE FROM request_log WHERE (caller, method, request_id) IN "
      "(SELECT caller, method, request_id FROM request_log WHERE created_at < $1 "
      "ORDER BY created_at LIMIT $2)",
      {now - kKeep, limit});
}

}  // namespace handrail::storage
