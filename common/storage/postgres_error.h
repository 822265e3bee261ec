#ifndef HANDRAIL_COMMON_STORAGE_POSTGRES_ERROR_H_
#define HANDRAIL_COMMON_STORAGE_POSTGRES_ERROR_H_

#include <libpq-fe.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace handrail::storage {

// What a SQLSTATE means to a caller (PostgreSQL manual, appendix A). `note` must quote no values.
absl::Status PostgresError(absl::string_view sqlstate, absl::string_view note);

// The error of a failed result; a lost connection when it carries no SQLSTATE.
absl::Status PostgresErrorOf(const PGresult* result);

// True for SQLSTATEs after which the session is gone or of no use: connection failures, shutdown, a
// server that became read-only, prepared statements that were lost.
bool EndsSession(absl::string_view sqlstate);

// UNAVAILABLE / DATABASE_UNAVAILABLE.
absl::Status ConnectionLostError(absl::string_view note);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_POSTGRES_ERROR_H_
