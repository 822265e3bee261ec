#include "common/storage/postgres_error.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::storage {
namespace {

using absl::StatusCode;

struct SqlState {
  absl::string_view prefix;  // five characters, or two for a whole class
  StatusCode code;
  absl::string_view reason;
  bool ends_session;
};

// The first row that fits counts, so single states stand before their class.
constexpr SqlState kStates[] = {
    {"23505", StatusCode::kAlreadyExists, reason::kConstraintViolated, false},
    {"23P01", StatusCode::kAlreadyExists, reason::kConstraintViolated, false},
    {"23", StatusCode::kFailedPrecondition, reason::kConstraintViolated, false},
    {"40001", StatusCode::kAborted, reason::kDatabaseConflict, false},
    {"40P01", StatusCode::kAborted, reason::kDatabaseConflict, false},
    {"40003", StatusCode::kUnavailable, reason::kOutcomeUnknown, true},
    {"40", StatusCode::kAborted, reason::kDatabaseConflict, false},
    {"55P03", StatusCode::kAborted, reason::kDatabaseConflict, false},
    // A prepared statement that is gone or no longer fits: on a new session it is made again.
    {"26000", StatusCode::kAborted, reason::kDatabaseConflict, true},
    {"0A000", StatusCode::kAborted, reason::kDatabaseConflict, true},
    {"53100", StatusCode::kResourceExhausted, reason::kDatabaseFull, false},
    {"53200", StatusCode::kResourceExhausted, reason::kOverloaded, false},
    {"53", StatusCode::kUnavailable, reason::kDatabaseUnavailable, true},
    {"57014", StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded, false},
    {"57", StatusCode::kUnavailable, reason::kDatabaseUnavailable, true},
    {"08", StatusCode::kUnavailable, reason::kDatabaseUnavailable, true},
    {"25006", StatusCode::kUnavailable, reason::kDatabaseUnavailable, true},
    {"28", StatusCode::kUnavailable, reason::kDatabaseUnavailable, true},
    {"58", StatusCode::kUnavailable, reason::kDatabaseUnavailable, true},
    {"XX001", StatusCode::kDataLoss, reason::kDataCorrupt, true},
    {"XX002", StatusCode::kDataLoss, reason::kDataCorrupt, true},
};

const SqlState* FindState(absl::string_view sqlstate) {
  for (const SqlState& state : kStates) {
    if (absl::StartsWith(sqlstate, state.prefix)) return &state;
  }
  return nullptr;
}

}  // namespace

absl::Status PostgresError(absl::string_view sqlstate, absl::string_view note) {
  const SqlState* state = FindState(sqlstate);
  const StatusCode code = state == nullptr ? StatusCode::kInternal : state->code;
  Error error(code, state == nullptr ? reason::kInternal : state->reason);
  error.Message(absl::StrCat("postgres ", sqlstate, note.empty() ? "" : ": ", note));
  if (code == StatusCode::kResourceExhausted) error.RetryAfter(absl::Seconds(10));
  if (code == StatusCode::kUnavailable) error.RetryAfter(absl::Seconds(1));
  return error;
}

absl::Status PostgresErrorOf(const PGresult* result) {
  const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (sqlstate == nullptr) return ConnectionLostError("the connection was lost");
  // The primary message of a data error may quote a value; that of our own mistakes in SQL (class
  // 42) quotes SQL. A constraint is named by its own field.
  const char* constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
  const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  if (constraint != nullptr) return PostgresError(sqlstate, constraint);
  const bool quotes_no_data = absl::StartsWith(sqlstate, "42") && message != nullptr;
  return PostgresError(sqlstate, quotes_no_data ? message : "");
}

bool EndsSession(absl::string_view sqlstate) {
  const SqlState* state = FindState(sqlstate);
  return state != nullptr && state->ends_session;
}

absl::Status ConnectionLostError(absl::string_view note) {
  return UnavailableError(reason::kDatabaseUnavailable, note);
}

}  // namespace handrail::storage
