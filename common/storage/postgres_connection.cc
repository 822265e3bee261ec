#include "common/storage/postgres_connection.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/dialect.h"
#include "common/storage/postgres_error.h"
#include "common/storage/postgres_wire.h"

namespace handrail::storage {
namespace {

constexpr size_t kStatementsLimit = 512;
constexpr int64_t kOldestServer = 150000;

constexpr const char* kBeginWrite = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
constexpr const char* kBeginRead = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

absl::Status Unsafe(absl::string_view what) {
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message(absl::StrCat("the database would not keep what it acknowledges: ", what));
}

absl::Status OutcomeUnknownError() {
  return UnavailableError(reason::kOutcomeUnknown,
                          "the connection was lost while committing; repeat the request");
}

bool IsFailure(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PostgresConnection>> PostgresConnection::Connect(
    const Options& options, const Clock& clock) {
  // libpq rounds to seconds, and takes less than two as two.
  const std::string timeout_s =
      absl::StrCat(std::max<int64_t>(2, absl::ToInt64Seconds(options.connect_timeout)));
  // What the URL says itself wins over these, because it is expanded after them.
  const char* const keywords[] = {"connect_timeout",
                                  "application_name",
                                  "keepalives_idle",
                                  "tcp_user_timeout",
                                  "client_encoding",
                                  "dbname",
                                  nullptr};
  const char* const values[] = {timeout_s.c_str(),        "handrail", "10", "15000", "UTF8",
                                options.conninfo.c_str(), nullptr};
  PGconn* raw = PQconnectdbParams(keywords, values, 1);
  std::unique_ptr<PostgresConnection> connection(
      new PostgresConnection(raw, options.prepare_statements, clock));
  if (raw == nullptr || PQstatus(raw) != CONNECTION_OK) {
    return ConnectionLostError(raw == nullptr ? "out of memory" : PQerrorMessage(raw));
  }
  PQsetNoticeReceiver(
      raw, [](void*, const PGresult*) {}, nullptr);  // else they go to stderr
  if (PQsetnonblocking(raw, 1) != 0 || PQenterPipelineMode(raw) != 1) {
    return ConnectionLostError("cannot enter pipeline mode");
  }
  RETURN_IF_ERROR(connection->CheckServer(clock.Now() + options.connect_timeout));
  return connection;
}

absl::Status PostgresConnection::CheckServer(absl::Time deadline) {
  // A backend whose client gave up must not go on holding row locks. A pooler shares sessions, so
  // nothing may be set there.
  if (prepare_statements_) {
    RETURN_IF_ERROR(
        Query("SELECT set_config('client_connection_check_interval', '1000', false)", {}, deadline)
            .status());
  }
  ASSIGN_OR_RETURN(
      const Rows rows,
      Query("SELECT current_setting('server_version_num'), current_setting('fsync'), "
            "current_setting('synchronous_commit'), current_setting('full_page_writes')",
            {}, deadline));
  const Row& row = rows.front();
  int64_t version = 0;
  if (!absl::SimpleAtoi(row.Text(0), &version) || version < kOldestServer) {
    return Unsafe("PostgreSQL must be 15 or later");
  }
  if (row.Text(1) != "on") return Unsafe("fsync must be on");
  if (row.Text(2) == "off") return Unsafe("synchronous_commit must not be off");
  if (row.Text(3) != "on") return Unsafe("full_page_writes must be on");
  return absl::OkStatus();
}

absl::StatusOr<Rows> PostgresConnection::Query(absl::string_view sql, const Args& args,
                                               absl::Time deadline) {
  ASSIGN_OR_RETURN(const ResultPtr result, Run(sql, args, deadline));
  return DecodeRows(result.get());
}

absl::StatusOr<int64_t> PostgresConnection::Execute(absl::string_view sql, const Args& args,
                                                    absl::Time deadline) {
  ASSIGN_OR_RETURN(const ResultPtr result, Run(sql, args, deadline));
  if (absl::StartsWith(PQcmdStatus(result.get()), "SELECT")) return 0;
  int64_t count = 0;
  if (!absl::SimpleAtoi(PQcmdTuples(result.get()), &count)) return 0;  // a statement without rows
  return count;
}

absl::StatusOr<std::vector<Rows>> PostgresConnection::QueryAll(absl::Span<const Question> questions,
                                                               absl::Time deadline) {
  for (const Question& question : questions) {
    RETURN_IF_ERROR(Queue(question.sql, question.args, true));
  }
  ASSIGN_OR_RETURN(const std::vector<ResultPtr> results, Exchange(deadline));
  std::vector<Rows> answers;
  answers.reserve(results.size());
  for (const ResultPtr& result : results) {
    ASSIGN_OR_RETURN(answers.emplace_back(), DecodeRows(result.get()));
  }
  return answers;
}

absl::StatusOr<PostgresConnection::ResultPtr> PostgresConnection::Run(absl::string_view sql,
                                                                      const Args& args,
                                                                      absl::Time deadline) {
  RETURN_IF_ERROR(Queue(sql, args, true));
  ASSIGN_OR_RETURN(std::vector<ResultPtr> results, Exchange(deadline));
  return std::move(results.back());
}

absl::Status PostgresConnection::Queue(absl::string_view sql, const Args& args, bool wanted) {
  if (!IsUsable()) return ConnectionLostError("the connection was lost");
  // Before anything is sent, so that a mistake in the SQL leaves the connection as it was.
  ASSIGN_OR_RETURN(Statement * statement, FindStatement(sql, args));
  if (begin_pending_) {
    begin_pending_ = false;
    in_transaction_ = true;
    RETURN_IF_ERROR(QueuePlain(begin_ == Access::kWrite ? kBeginWrite : kBeginRead, false));
  }
  return QueueStatement(*statement, args, wanted);
}

absl::Status PostgresConnection::QueuePlain(const char* sql, bool wanted) {
  if (PQsendQueryParams(connection_.get(), sql, 0, nullptr, nullptr, nullptr, nullptr, 1) != 1) {
    return Break(PQerrorMessage(connection_.get()));
  }
  queued_.push_back(wanted);
  return absl::OkStatus();
}

absl::StatusOr<PostgresConnection::Statement*> PostgresConnection::FindStatement(
    absl::string_view sql, const Args& args) {
  key_.assign(sql.data(), sql.size());
  key_ += '\0';
  AppendTypeSignature(args, key_);
  auto found = statements_.find(key_);
  if (found == statements_.end()) {
    ASSIGN_OR_RETURN(TranslatedSql translated, TranslateSql(Dialect::kPostgres, sql));
    // The server would take too many, and call too few a broken protocol.
    if (translated.parameters != args.size()) {
      return Error(absl::StatusCode::kInternal, reason::kInternal)
          .Message("SQL text and arguments differ in number");
    }
    // Reached only by SQL that is built at run time: what is prepared stays so.
    if (statements_.size() >= kStatementsLimit) {
      absl::erase_if(statements_, [](const auto& entry) { return entry.second.name.empty(); });
    }
    found = statements_.emplace(key_, Statement{0, std::move(translated.text), ""}).first;
  }
  return &found->second;
}

absl::Status PostgresConnection::QueueStatement(Statement& statement, const Args& args,
                                                bool wanted) {
  const PostgresParameters parameters(args);
  PGconn* connection = connection_.get();
  // Prepared on its second use: migrations and one-off statements leave nothing behind.
  if (prepare_statements_ && statement.name.empty() && statement.uses > 0 &&
      prepared_ < static_cast<int64_t>(kStatementsLimit)) {
    statement.name = absl::StrCat("h", ++prepared_);
    preparing_.push_back(key_);
    if (PQsendPrepare(connection, statement.name.c_str(), statement.translated.c_str(),
                      parameters.count(), parameters.types()) != 1) {
      return Break(PQerrorMessage(connection));
    }
    queued_.push_back(false);
  }
  ++statement.uses;
  const int sent =
      statement.name.empty()
          ? PQsendQueryParams(connection, statement.translated.c_str(), parameters.count(),
                              parameters.types(), parameters.values(), parameters.lengths(),
                              parameters.formats(), 1)
          : PQsendQueryPrepared(connection, statement.name.c_str(), parameters.count(),
                                parameters.values(), parameters.lengths(), parameters.formats(), 1);
  if (sent != 1) return Break(PQerrorMessage(connection));
  queued_.push_back(wanted);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PostgresConnection::ResultPtr>> PostgresConnection::Exchange(
    absl::Time deadline) {
  const std::vector<bool> queued = std::exchange(queued_, {});
  const std::vector<std::string> preparing = std::exchange(preparing_, {});
  if (PQpipelineSync(connection_.get()) != 1) return Break(PQerrorMessage(connection_.get()));
  RETURN_IF_ERROR(Flush(deadline));
  std::vector<ResultPtr> answers;
  absl::Status failure = absl::OkStatus();
  stopped_early_ = false;
  for (size_t i = 0; i < queued.size(); ++i) {
    const bool fine = failure.ok();
    ASSIGN_OR_RETURN(ResultPtr answer, ReadAnswer(deadline, failure));
    if (fine && !failure.ok()) stopped_early_ = refused_ && i + 1 < queued.size();
    if (broken_) return failure;
    if (queued[i]) answers.push_back(std::move(answer));
  }
  ASSIGN_OR_RETURN(const ResultPtr sync, NextResult(deadline));
  if (PQresultStatus(sync.get()) != PGRES_PIPELINE_SYNC) return Break("out of step");
  if (!failure.ok()) {
    // What failed to be prepared, or was skipped behind an error, must not be taken for prepared.
    for (const std::string& key : preparing) statements_.erase(key);
    return failure;
  }
  return answers;
}

absl::StatusOr<PostgresConnection::ResultPtr> PostgresConnection::ReadAnswer(
    absl::Time deadline, absl::Status& failure) {
  // Each command gives one result and an end mark.
  ResultPtr answer;
  while (true) {
    ASSIGN_OR_RETURN(ResultPtr result, NextResult(deadline));
    if (result == nullptr) return answer;
    if (failure.ok() && IsFailure(result.get())) {
      failure = PostgresErrorOf(result.get());
      const char* sqlstate = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
      refused_ = sqlstate != nullptr;
      if (!refused_ || EndsSession(sqlstate)) broken_ = true;
    }
    answer = std::move(result);
    if (broken_) return answer;
  }
}

absl::Status PostgresConnection::Flush(absl::Time deadline) {
  while (true) {
    const int left = PQflush(connection_.get());
    if (left == 0) return absl::OkStatus();
    if (left < 0) return Break(PQerrorMessage(connection_.get()));
    // The server may wait for us to read before it reads on.
    RETURN_IF_ERROR(WaitForSocket(POLLIN | POLLOUT, deadline));
    if (PQconsumeInput(connection_.get()) != 1) return Break(PQerrorMessage(connection_.get()));
  }
}

absl::StatusOr<PostgresConnection::ResultPtr> PostgresConnection::NextResult(absl::Time deadline) {
  while (PQisBusy(connection_.get()) != 0) {
    RETURN_IF_ERROR(WaitForSocket(POLLIN, deadline));
    if (PQconsumeInput(connection_.get()) != 1) return Break(PQerrorMessage(connection_.get()));
  }
  return ResultPtr(PQgetResult(connection_.get()));
}

absl::Status PostgresConnection::WaitForSocket(short events, absl::Time deadline) {
  pollfd socket{PQsocket(connection_.get()), events, 0};
  while (true) {
    int timeout_ms = -1;
    if (deadline != absl::InfiniteFuture()) {
      const absl::Duration left = deadline - clock_.Now();
      if (left <= absl::ZeroDuration()) {
        broken_ = true;  // its answer would come when nobody waits for it
        return Error(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded)
            .Message("the deadline passed while the database worked");
      }
      timeout_ms = static_cast<int>(
          absl::ToInt64Milliseconds(std::min(left, absl::Hours(1)) + absl::Microseconds(999)));
    }
    const int ready = poll(&socket, 1, timeout_ms);
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return Break("poll failed");
  }
}

absl::Status PostgresConnection::Break(absl::string_view note) {
  broken_ = true;
  return ConnectionLostError(note);
}

absl::Status PostgresConnection::Commit(absl::Time deadline) {
  begin_pending_ = false;
  if (!in_transaction_) return absl::OkStatus();
  RETURN_IF_ERROR(QueuePlain("COMMIT", true));
  const auto results = Exchange(deadline);
  if (!results.ok()) {
    // COMMIT did not run behind a statement that was refused; and an error that leaves the session
    // alive is a definite "no". All else may have taken effect.
    if (!IsUsable()) return stopped_early_ ? results.status() : OutcomeUnknownError();
    Rollback(deadline);
    return results.status();
  }
  in_transaction_ = false;
  if (absl::string_view(PQcmdStatus(results->back().get())) == "COMMIT") return absl::OkStatus();
  return Error(absl::StatusCode::kInternal, reason::kInternal)
      .Message("the transaction was rolled back at its commit");
}

void PostgresConnection::Rollback(absl::Time deadline) {
  begin_pending_ = false;
  if (!std::exchange(in_transaction_, false) || !IsUsable()) return;
  // What is queued runs, or fails, and is taken back. Behind a failure ROLLBACK would be skipped.
  if (!queued_.empty() && !Exchange(deadline).ok() && !IsUsable()) return;
  if (PQtransactionStatus(connection_.get()) == PQTRANS_IDLE) return;
  if (!QueuePlain("ROLLBACK", true).ok() || !Exchange(deadline).ok()) broken_ = true;
}

bool PostgresConnection::CheckIdle() {
  if (!IsUsable()) return false;
  pollfd socket{PQsocket(connection_.get()), POLLIN, 0};
  // Notices and parameter changes are harmless. A farewell is followed by the end of the stream,
  // which takes a second read to see.
  for (int i = 0; i < 3 && poll(&socket, 1, 0) != 0; ++i) {
    if (PQconsumeInput(connection_.get()) != 1) {
      broken_ = true;
      return false;
    }
  }
  return IsUsable();
}

absl::StatusOr<Rows> PostgresTransaction::DoQuery(absl::string_view sql, const Args& args) {
  if (!failure_.ok()) return failure_;
  auto rows = connection_.Query(sql, args, deadline_);
  if (!rows.ok()) failure_ = rows.status();
  return rows;
}

absl::StatusOr<int64_t> PostgresTransaction::DoExecute(absl::string_view sql, const Args& args) {
  if (!failure_.ok()) return failure_;
  auto count = connection_.Execute(sql, args, deadline_);
  if (!count.ok()) failure_ = count.status();
  return count;
}

absl::Status PostgresTransaction::DoLater(absl::string_view sql, const Args& args) {
  if (failure_.ok()) failure_ = connection_.Later(sql, args);
  return failure_;
}

absl::StatusOr<std::vector<Rows>> PostgresTransaction::DoQueryAll(
    absl::Span<const Question> questions) {
  if (!failure_.ok()) return failure_;
  auto answers = connection_.QueryAll(questions, deadline_);
  if (!answers.ok()) failure_ = answers.status();
  return answers;
}

}  // namespace handrail::storage
