#ifndef HANDRAIL_COMMON_STORAGE_POSTGRES_CONNECTION_H_
#define HANDRAIL_COMMON_STORAGE_POSTGRES_CONNECTION_H_

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/clock.h"
#include "common/storage/database.h"
#include "common/storage/value.h"

namespace handrail::storage {

// One session with a PostgreSQL server, always in pipeline mode, with its prepared statements.
// Every wait ends at a deadline; after one that did, or any loss, the connection is broken for
// good. Not thread-safe.
class PostgresConnection {
 public:
  struct Options {
    std::string conninfo;
    absl::Duration connect_timeout;  // for each host
    bool prepare_statements;
  };
  enum class Access { kWrite, kRead };

  // Connects, blocking for at most the connect timeout a host, and makes sure that the server keeps
  // what it acknowledges. UNAVAILABLE / DATABASE_UNAVAILABLE, INVALID_ARGUMENT /
  // CONFIGURATION_INVALID.
  static absl::StatusOr<std::unique_ptr<PostgresConnection>> Connect(const Options& options,
                                                                     const Clock& clock);

  // Starts a transaction together with its first statement, which saves a round trip.
  void BeginWithNextStatement(Access access) {
    begin_ = access;
    begin_pending_ = true;
  }
  absl::StatusOr<Rows> Query(absl::string_view sql, const Args& args, absl::Time deadline);
  absl::StatusOr<int64_t> Execute(absl::string_view sql, const Args& args, absl::Time deadline);
  // Queues a statement, which is sent with the next one that is waited for, or with COMMIT.
  absl::Status Later(absl::string_view sql, const Args& args) { return Queue(sql, args, false); }
  absl::StatusOr<std::vector<Rows>> QueryAll(absl::Span<const Question> questions,
                                             absl::Time deadline);
  // OK when every effect is on disk. UNAVAILABLE / OUTCOME_UNKNOWN when the connection was lost, or
  // `deadline` passed, after COMMIT was sent. Nothing to do when no statement ran.
  absl::Status Commit(absl::Time deadline);
  void Rollback(absl::Time deadline);

  // False when the connection must be thrown away.
  bool IsUsable() const { return !broken_ && PQstatus(connection_.get()) == CONNECTION_OK; }
  // IsUsable, after a look at the socket: a server that ended while we were idle has said so.
  bool CheckIdle();

 private:
  struct CloseConnection {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  struct ClearResult {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  using ResultPtr = std::unique_ptr<PGresult, ClearResult>;
  struct Statement {
    int64_t uses = 0;
    std::string translated;
    std::string name;  // empty until it is prepared
  };

  PostgresConnection(PGconn* connection, bool prepare_statements, const Clock& clock)
      : connection_(connection), prepare_statements_(prepare_statements), clock_(clock) {}

  absl::Status CheckServer(absl::Time deadline);
  absl::StatusOr<ResultPtr> Run(absl::string_view sql, const Args& args, absl::Time deadline);
  // Good until the next call.
  absl::StatusOr<Statement*> FindStatement(absl::string_view sql, const Args& args);
  // Queue commands for the next Exchange, after BEGIN where that is due. `wanted`: Exchange gives
  // the result.
  absl::Status Queue(absl::string_view sql, const Args& args, bool wanted);
  absl::Status QueuePlain(const char* sql, bool wanted);
  absl::Status QueueStatement(Statement& statement, const Args& args, bool wanted);
  // Sends what is queued and reads the results; those that are wanted, or the first error. After an
  // error the server has run nothing of what was queued behind it.
  absl::StatusOr<std::vector<ResultPtr>> Exchange(absl::Time deadline);
  // Reads the result of one queued command to its end mark; `failure` keeps the first error.
  absl::StatusOr<ResultPtr> ReadAnswer(absl::Time deadline, absl::Status& failure);
  absl::Status Flush(absl::Time deadline);
  absl::StatusOr<ResultPtr> NextResult(absl::Time deadline);
  absl::Status WaitForSocket(short events, absl::Time deadline);
  absl::Status Break(absl::string_view note);

  std::unique_ptr<PGconn, CloseConnection> connection_;
  const bool prepare_statements_;
  const Clock& clock_;
  bool broken_ = false;
  bool begin_pending_ = false;
  bool in_transaction_ = false;
  Access begin_ = Access::kWrite;
  // By SQL text and the types of the arguments, because a statement is prepared for certain types.
  absl::flat_hash_map<std::string, Statement> statements_;
  std::string key_;  // kept for its memory
  int64_t prepared_ = 0;
  std::vector<bool> queued_;            // commands without an answer yet, in order: is it wanted
  std::vector<std::string> preparing_;  // keys of the statements that are being prepared by them
  bool refused_ = false;                // the last error was the server's own word
  bool stopped_early_ = false;          // the last Exchange was refused before its last command
};

// The statements of one unit on one connection; remembers the first failure.
class PostgresTransaction final : public Transaction {
 public:
  PostgresTransaction(PostgresConnection& connection, absl::Time deadline)
      : connection_(connection), deadline_(deadline) {}
  const absl::Status& failure() const { return failure_; }

 private:
  absl::StatusOr<Rows> DoQuery(absl::string_view sql, const Args& args) override;
  absl::StatusOr<int64_t> DoExecute(absl::string_view sql, const Args& args) override;
  absl::Status DoLater(absl::string_view sql, const Args& args) override;
  absl::StatusOr<std::vector<Rows>> DoQueryAll(absl::Span<const Question> questions) override;

  PostgresConnection& connection_;
  const absl::Time deadline_;
  absl::Status failure_;
};

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_POSTGRES_CONNECTION_H_
