#ifndef HANDRAIL_COMMON_STORAGE_DATABASE_H_
#define HANDRAIL_COMMON_STORAGE_DATABASE_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/clock.h"
#include "common/storage/value.h"

namespace handrail::storage {

// A query and its arguments, both of which outlive the call that asks them.
struct Question {
  absl::string_view sql;
  const Args& args;
};

// The statements of one unit of work. Valid only inside the function it was handed to, on that
// thread.
//
// SQL is written once for both databases: parameters are $1, $2, … (the same one may be used
// twice), columns are named, and these words are replaced from one dialect table:
//   {int}         INTEGER | BIGINT            {blob}         BLOB | BYTEA
//   {strict}      STRICT | (nothing)          {for_update}   (nothing) | FOR UPDATE
//   {skip_locked} (nothing) | FOR UPDATE SKIP LOCKED
// INSERT … ON CONFLICT, RETURNING, partial unique indexes and row values work on both.
//
// A statement that fails ends the unit: the function must return that error. (PostgreSQL aborts the
// transaction.) Where a duplicate is expected, use ON CONFLICT DO NOTHING and look at the count.
class Transaction {
 public:
  virtual ~Transaction() = default;

  // Errors: ALREADY_EXISTS / CONSTRAINT_VIOLATED for a unique key, FAILED_PRECONDITION /
  // CONSTRAINT_VIOLATED for a check or foreign key, UNAVAILABLE / DATABASE_UNAVAILABLE, ABORTED /
  // DATABASE_CONFLICT (the unit is retried), RESOURCE_EXHAUSTED / DATABASE_FULL, DEADLINE_EXCEEDED.
  absl::StatusOr<Rows> Query(absl::string_view sql, const Args& args) { return DoQuery(sql, args); }
  // The number of rows that were inserted, updated or deleted.
  absl::StatusOr<int64_t> Execute(absl::string_view sql, const Args& args) {
    return DoExecute(sql, args);
  }
  // A statement whose count nobody asks for. It runs in its order, before the next Query or Execute
  // answers and before the unit commits; on PostgreSQL it travels with these, which saves a round
  // trip. OK means that it is on its way: its error is the error of what it travelled with.
  absl::Status Later(absl::string_view sql, const Args& args) { return DoLater(sql, args); }
  // Queries of which none needs another's answer, one after another, in one round trip on
  // PostgreSQL. The answers are in their order, one each.
  absl::StatusOr<std::vector<Rows>> QueryAll(absl::Span<const Question> questions) {
    return DoQueryAll(questions);
  }

 private:
  virtual absl::StatusOr<Rows> DoQuery(absl::string_view sql, const Args& args) = 0;
  virtual absl::StatusOr<int64_t> DoExecute(absl::string_view sql, const Args& args) = 0;
  virtual absl::Status DoLater(absl::string_view sql, const Args& args);
  virtual absl::StatusOr<std::vector<Rows>> DoQueryAll(absl::Span<const Question> questions);
};

// One step of a schema, applied once, in order, in a transaction of its own. Names never change.
struct Migration {
  std::string name;  // "0001_tickets"
  std::vector<std::string> statements;
};

struct DatabaseStats {
  int64_t commits = 0;  // durable commits (one fsync each on SQLite)
  int64_t units = 0;    // units of work that were part of them
  int64_t largest_batch = 0;
  int64_t retries = 0;
  // Histogram of units per commit: 1, 2–3, 4–7, …, 64–127, 128 and more.
  std::array<int64_t, 8> batch_sizes{};
};

// A database, SQLite or PostgreSQL. Thread-safe. See sqlite_database.h and postgres_database.h for
// how to open one.
//
// `work` runs zero, one or several times (bounded retries after ABORTED / DATABASE_CONFLICT;
// ABORTED with another reason passes through), possibly on another thread while the caller waits,
// so it must have no effect except through the transaction and the variables it captures, which it
// must set afresh on each run. It must not wait for anything else.
class Database {
 public:
  using Work = absl::FunctionRef<absl::Status(Transaction&)>;
  using AsyncWork = std::function<absl::Status(Transaction&)>;
  using Done = std::function<void(absl::Status)>;

  virtual ~Database() = default;

  // Runs `work` and commits. OK means that every effect is on disk. Any other code means that none
  // is, with one exception: UNAVAILABLE / OUTCOME_UNKNOWN, when the connection was lost while
  // committing; the caller repeats under the same request id.
  // Concurrent writes share a commit (group commit) on SQLite. Errors of `work` pass through and
  // roll back that unit alone.
  absl::Status Write(absl::Time deadline, Work work) { return DoWrite(deadline, work); }

  // The same, without a thread waiting. `done` is called exactly once, on a thread of the database
  // that must not be blocked.
  void WriteAsync(absl::Time deadline, AsyncWork work, Done done) {
    DoWriteAsync(deadline, std::move(work), std::move(done));
  }

  // Runs `work` against one consistent snapshot, writing nothing. Reads run beside writes.
  absl::Status Read(absl::Time deadline, Work work) { return DoRead(deadline, work); }

  // Applies the migrations that were not applied yet. Safe when several processes do it at once.
  // FAILED_PRECONDITION when the database knows a migration under this name with other text.
  absl::Status Migrate(absl::Span<const Migration> migrations) { return DoMigrate(migrations); }

  // The database's own clock, to compare with ours.
  absl::StatusOr<absl::Time> Now(absl::Time deadline) { return DoNow(deadline); }

  virtual absl::string_view BackendName() const = 0;  // "sqlite" or "postgres"
  virtual DatabaseStats Stats() const = 0;

 private:
  virtual absl::Status DoWrite(absl::Time deadline, Work work) = 0;
  virtual void DoWriteAsync(absl::Time deadline, AsyncWork work, Done done) = 0;
  virtual absl::Status DoRead(absl::Time deadline, Work work) = 0;
  virtual absl::Status DoMigrate(absl::Span<const Migration> migrations) = 0;
  virtual absl::StatusOr<absl::Time> DoNow(absl::Time deadline) = 0;
};

// Opens the database that `url` names and makes sure that it keeps what it acknowledges:
//   sqlite:///absolute/path.db      WAL, synchronous=FULL
//   sqlite::memory:                 tests only
//   postgres://… or a libpq keyword string; synchronous_commit must not be off, fsync must be on
// INVALID_ARGUMENT / CONFIGURATION_INVALID for a bad URL or unsafe durability settings.
struct DatabaseOptions {
  std::string url;
  int connections = 16;      // PostgreSQL only
  int read_connections = 4;  // SQLite only: reads that run at once
  // SQLite only: reads beside the process that writes, without its lock; every write is refused
  // with FAILED_PRECONDITION / CONFIGURATION_INVALID. For checkers.
  bool read_only = false;
  size_t batch_units_limit = 128;  // SQLite only: units of work in one commit
  size_t queue_limit = 8192;       // writes waiting; more get RESOURCE_EXHAUSTED / OVERLOADED
  int retry_limit = 5;             // after ABORTED / DATABASE_CONFLICT
  absl::Duration busy_timeout = absl::Seconds(5);
  // PostgreSQL only. Named prepared statements spare a plan a statement; behind a pooler in
  // transaction mode they need pgbouncer 1.21 or later, so switch them off there.
  bool prepare_statements = true;
  // PostgreSQL only: how long one attempt to connect may take.
  absl::Duration connect_timeout = absl::Seconds(3);
  // What deadlines are compared with; null means the machine's clock. Must outlive the database.
  const Clock* clock = nullptr;
};
absl::StatusOr<std::unique_ptr<Database>> OpenDatabase(const DatabaseOptions& options);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_DATABASE_H_
