#include "tools/benchmark/postgres_sql.h"

#include <libpq-fe.h>

#include <memory>

#include "absl/strings/numbers.h"

namespace handrail::benchmark {
namespace {

struct CloseConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Connection = std::unique_ptr<PGconn, CloseConnection>;
using Result = std::unique_ptr<PGresult, ClearResult>;

}  // namespace

std::vector<std::string> PostgresSettings() {
  return {"synchronous_commit = on", "fsync = on", "max_connections = 100",
          "shared_buffers = '256MB'", "max_wal_size = '2GB'"};
}

int64_t QueryNumber(const std::string& url, const std::string& sql) {
  const Connection connection(PQconnectdb(url.c_str()));
  const Result result(PQexec(connection.get(), sql.c_str()));
  int64_t number = -1;
  if (PQresultStatus(result.get()) != PGRES_TUPLES_OK || PQntuples(result.get()) != 1 ||
      !absl::SimpleAtoi(PQgetvalue(result.get(), 0, 0), &number)) {
    return -1;
  }
  return number;
}

absl::Status RunStatements(const std::string& url, const std::string& sql) {
  const Connection connection(PQconnectdb(url.c_str()));
  const Result result(PQexec(connection.get(), sql.c_str()));
  if (PQresultStatus(result.get()) == PGRES_COMMAND_OK) return absl::OkStatus();
  return absl::InternalError(PQerrorMessage(connection.get()));
}

}  // namespace handrail::benchmark
