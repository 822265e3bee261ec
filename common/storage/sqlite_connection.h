#ifndef HANDRAIL_COMMON_STORAGE_SQLITE_CONNECTION_H_
#define HANDRAIL_COMMON_STORAGE_SQLITE_CONNECTION_H_

#include <sqlite3.h>

#include <array>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/storage/database.h"
#include "common/storage/value.h"

namespace handrail::storage {

// What an extended result code of SQLite means to a caller. `message` may name tables and columns,
// never values.
absl::Status SqliteError(int extended_code, absl::string_view message);

// True for codes after which nobody knows what is on disk (fsync and write errors).
bool IsUnknownDiskState(int extended_code);

// One connection with its prepared statements. Not thread-safe.
class SqliteConnection {
 public:
  enum class Mode { kMemory, kWriter, kReader };
  enum class Control { kBegin, kBeginImmediate, kCommit, kRollback, kSavepoint, kRelease, kUndo };

  // `path` is ignored for kMemory. INVALID_ARGUMENT / CONFIGURATION_INVALID when the file does not
  // take WAL with synchronous=FULL; UNAVAILABLE when it cannot be opened.
  static absl::StatusOr<std::unique_ptr<SqliteConnection>> Open(const std::string& path, Mode mode,
                                                                absl::Duration busy_timeout);

  absl::StatusOr<Rows> Query(absl::string_view sql, const Args& args);
  absl::StatusOr<int64_t> Execute(absl::string_view sql, const Args& args);

  // Runs one of the fixed transaction statements; returns SQLite's extended code.
  int Run(Control control);
  absl::Status ErrorOf(int extended_code) const;

  // False outside a transaction, also when SQLite rolled it back by itself after an error.
  bool InTransaction() const { return sqlite3_get_autocommit(db_.get()) == 0; }
  // Frames in the write-ahead log after the last commit of this connection.
  int WalFrames() const { return wal_frames_; }
  // Copies the log into the database file. `frames` gets what is left in the log; extended code.
  int Checkpoint(int& frames);

  // Statements that run past `deadline` are interrupted: DEADLINE_EXCEEDED. Readers only, because
  // an interrupted write would roll back the whole batch.
  void SetDeadline(const Clock& clock, absl::Time deadline);
  void ClearDeadline();
  // Refuses writes while on, for the connection that tests share between reads and writes.
  absl::Status SetQueryOnly(bool on);  // NOLINT: mirrors the pragma

 private:
  struct CloseDatabase {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  };
  struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using StatementPtr = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

  explicit SqliteConnection(sqlite3* db) : db_(db) {}

  absl::Status Configure(Mode mode);
  absl::Status Pragma(const char* sql);
  // Sets a pragma and reads it back: CONFIGURATION_INVALID when SQLite kept another value.
  absl::Status RequirePragma(const char* set, const char* get, absl::string_view expected);
  absl::Status PrepareControls();
  absl::StatusOr<StatementPtr> Compile(absl::string_view translated);
  absl::StatusOr<sqlite3_stmt*> Prepare(absl::string_view sql);
  absl::StatusOr<sqlite3_stmt*> Bind(absl::string_view sql, const Args& args);

  // Declared before the statements, so that it is closed after them.
  std::unique_ptr<sqlite3, CloseDatabase> db_;
  std::array<StatementPtr, 7> controls_;
  absl::flat_hash_map<std::string, StatementPtr> statements_;
  int wal_frames_ = 0;
  const Clock* clock_ = nullptr;
  absl::Time deadline_ = absl::InfiniteFuture();
};

// The statements of one unit on one connection. Remembers the first failure, so that a unit that
// carries on after a failed statement does not commit, as on PostgreSQL.
class SqliteTransaction final : public Transaction {
 public:
  explicit SqliteTransaction(SqliteConnection& connection) : connection_(connection) {}
  const absl::Status& failure() const { return failure_; }

 private:
  absl::StatusOr<Rows> DoQuery(absl::string_view sql, const Args& args) override;
  absl::StatusOr<int64_t> DoExecute(absl::string_view sql, const Args& args) override;

  SqliteConnection& connection_;
  absl::Status failure_;
};

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_SQLITE_CONNECTION_H_
