#include "common/storage/sqlite_connection.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/dialect.h"

namespace handrail::storage {
namespace {

// More statements than any service has; reached only by SQL that is built at run time.
constexpr size_t kStatementsLimit = 512;
// Virtual machine steps between two looks at the clock: some 0.1 ms.
constexpr int kProgressSteps = 10'000;

constexpr const char* kControls[] = {"BEGIN",       "BEGIN IMMEDIATE", "COMMIT",       "ROLLBACK",
                                     "SAVEPOINT u", "RELEASE u",       "ROLLBACK TO u"};

int BindValue(sqlite3_stmt* statement, int index, const Value& value) {
  // SQLITE_STATIC: the arguments outlive the step, and the next use binds anew.
  struct Visitor {
    sqlite3_stmt* statement;
    int index;
    int operator()(Null) const { return sqlite3_bind_null(statement, index); }
    int operator()(int64_t v) const { return sqlite3_bind_int64(statement, index, v); }
    int operator()(const std::string& v) const {
      return sqlite3_bind_text64(statement, index, v.data(), v.size(), SQLITE_STATIC, SQLITE_UTF8);
    }
    int operator()(const Blob& v) const {
      // A null pointer would bind NULL instead of empty bytes.
      const char* data = v.bytes.empty() ? "" : v.bytes.data();
      return sqlite3_bind_blob64(statement, index, data, v.bytes.size(), SQLITE_STATIC);
    }
  };
  return std::visit(Visitor{statement, index}, value.variant());
}

Value ColumnValue(sqlite3_stmt* statement, int column) {
  const auto bytes = [&](const void* data) {
    const auto size = static_cast<size_t>(sqlite3_column_bytes(statement, column));
    return size == 0 ? std::string() : std::string(static_cast<const char*>(data), size);
  };
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER: return Value(int64_t{sqlite3_column_int64(statement, column)});
    case SQLITE_BLOB: return Value(Blob{bytes(sqlite3_column_blob(statement, column))});
    case SQLITE_NULL: return Value(Null{});
    default:  // text; a float is read as text too, because no schema of ours has one
      return Value(bytes(sqlite3_column_text(statement, column)));
  }
}

// Resets a cached statement when its use ends, whatever way that is.
class Resetter {
 public:
  explicit Resetter(sqlite3_stmt* statement) : statement_(statement) {}
  ~Resetter() { sqlite3_reset(statement_); }
  Resetter(const Resetter&) = delete;
  Resetter& operator=(const Resetter&) = delete;

 private:
  sqlite3_stmt* statement_;
};

Error ConstraintError(int extended_code) {
  const bool unique = extended_code == SQLITE_CONSTRAINT_UNIQUE ||
                      extended_code == SQLITE_CONSTRAINT_PRIMARYKEY ||
                      extended_code == SQLITE_CONSTRAINT_ROWID;
  return Error(unique ? absl::StatusCode::kAlreadyExists : absl::StatusCode::kFailedPrecondition,
               reason::kConstraintViolated);
}

}  // namespace

bool IsUnknownDiskState(int extended_code) {
  switch (extended_code) {
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_DIR_FSYNC:
    case SQLITE_IOERR_WRITE:
    case SQLITE_IOERR_TRUNCATE:
    case SQLITE_IOERR_COMMIT_ATOMIC:
    case SQLITE_IOERR_DATA: return true;
    default: return false;
  }
}

absl::Status SqliteError(int extended_code, absl::string_view message) {
  const std::string text = absl::StrCat("sqlite ", extended_code, ": ", message);
  using absl::StatusCode;
  switch (extended_code & 0xff) {
    case SQLITE_CONSTRAINT: return ConstraintError(extended_code).Message(text);
    case SQLITE_FULL:
      return Error(StatusCode::kResourceExhausted, reason::kDatabaseFull)
          .Message(text)
          .RetryAfter(absl::Seconds(10));
    case SQLITE_NOMEM:
      return Error(StatusCode::kResourceExhausted, reason::kOverloaded)
          .Message(text)
          .RetryAfter(absl::Seconds(1));
    case SQLITE_INTERRUPT:
      return Error(StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded)
          .Message("the deadline passed while the database worked");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Error(StatusCode::kDataLoss, reason::kDataCorrupt).Message(text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL: return UnavailableError(reason::kDatabaseUnavailable, text);
    case SQLITE_READONLY:
      // The plain code means that our own code wrote inside Read; the extended ones, that the file
      // or its folder became read-only.
      if (extended_code != SQLITE_READONLY) {
        return UnavailableError(reason::kDatabaseUnavailable, text);
      }
      return Error(StatusCode::kInternal, reason::kInternal).Message(text);
    default: return Error(StatusCode::kInternal, reason::kInternal).Message(text);
  }
}

absl::StatusOr<std::unique_ptr<SqliteConnection>> SqliteConnection::Open(
    const std::string& path, Mode mode, absl::Duration busy_timeout) {
  const int flags =
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
      (mode == Mode::kReader ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3* db = nullptr;
  const int code =
      sqlite3_open_v2(mode == Mode::kMemory ? ":memory:" : path.c_str(), &db, flags, nullptr);
  std::unique_ptr<SqliteConnection> connection(new SqliteConnection(db));
  if (code != SQLITE_OK) return SqliteError(code, "cannot open the database file");
  sqlite3_busy_timeout(db, static_cast<int>(absl::ToInt64Milliseconds(busy_timeout)));
  RETURN_IF_ERROR(connection->Configure(mode));
  RETURN_IF_ERROR(connection->PrepareControls());
  return connection;
}

absl::Status SqliteConnection::Configure(Mode mode) {
  RETURN_IF_ERROR(Pragma("PRAGMA temp_store = MEMORY"));
  RETURN_IF_ERROR(RequirePragma("PRAGMA foreign_keys = ON", "PRAGMA foreign_keys", "1"));
  if (mode == Mode::kMemory) return absl::OkStatus();
  // Not mapped: every commit makes each reader unmap the file and fault its pages in again, which
  // was measured to cost more than copying what is read.
  RETURN_IF_ERROR(Pragma("PRAGMA mmap_size = 0"));
  if (mode == Mode::kReader) {
    RETURN_IF_ERROR(Pragma("PRAGMA cache_size = -16384"));
    return Pragma("PRAGMA query_only = ON");
  }
  RETURN_IF_ERROR(Pragma("PRAGMA page_size = 4096"));
  RETURN_IF_ERROR(RequirePragma("PRAGMA journal_mode = WAL", "PRAGMA journal_mode", "wal"));
  RETURN_IF_ERROR(RequirePragma("PRAGMA synchronous = FULL", "PRAGMA synchronous", "2"));
  // Personal columns are enciphered and erased with their key; zeroing whole free pages again would
  // only cost writes.
  RETURN_IF_ERROR(Pragma("PRAGMA secure_delete = FAST"));
  RETURN_IF_ERROR(Pragma("PRAGMA cache_size = -65536"));
  // A log that once grew behind a long read gives its space back.
  RETURN_IF_ERROR(Pragma("PRAGMA journal_size_limit = 67108864"));
  // The writer checkpoints by itself, because the automatic one swallows fsync errors.
  RETURN_IF_ERROR(RequirePragma("PRAGMA wal_autocheckpoint = 0", "PRAGMA wal_autocheckpoint", "0"));
  // Kept from one start to the next, because a log that need not grow syncs faster.
  int persist = 1;
  sqlite3_file_control(db_.get(), "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
  sqlite3_wal_hook(
      db_.get(),
      [](void* self, sqlite3*, const char*, int frames) {
        static_cast<SqliteConnection*>(self)->wal_frames_ = frames;
        return SQLITE_OK;
      },
      this);
  return absl::OkStatus();
}

absl::Status SqliteConnection::Pragma(const char* sql) {
  return ErrorOf(sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr));
}

absl::Status SqliteConnection::RequirePragma(const char* set, const char* get,
                                             absl::string_view expected) {
  RETURN_IF_ERROR(Pragma(set));
  ASSIGN_OR_RETURN(StatementPtr statement, Compile(get));
  const int code = sqlite3_step(statement.get());
  if (code != SQLITE_ROW) return ErrorOf(code);
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement.get(), 0));
  const absl::string_view actual = text == nullptr ? "" : text;
  if (actual == expected) return absl::OkStatus();
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message(absl::StrCat("the database would not keep what it acknowledges: ", get, " is ",
                            actual, " and must be ", expected));
}

absl::Status SqliteConnection::PrepareControls() {
  for (size_t i = 0; i < controls_.size(); ++i) {
    ASSIGN_OR_RETURN(controls_[i], Compile(kControls[i]));
  }
  return absl::OkStatus();
}

int SqliteConnection::Run(Control control) {
  sqlite3_stmt* statement = controls_[static_cast<size_t>(control)].get();
  const int code = sqlite3_step(statement);
  sqlite3_reset(statement);
  return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

absl::Status SqliteConnection::ErrorOf(int extended_code) const {
  if (extended_code == SQLITE_OK) return absl::OkStatus();
  return SqliteError(extended_code, sqlite3_errmsg(db_.get()));
}

int SqliteConnection::Checkpoint(int& frames) {
  int log = 0;
  int copied = 0;
  const int code =
      sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &log, &copied);
  frames = log - copied;
  return code;
}

void SqliteConnection::SetDeadline(const Clock& clock, absl::Time deadline) {
  if (deadline == absl::InfiniteFuture()) return;
  clock_ = &clock;
  deadline_ = deadline;
  sqlite3_progress_handler(
      db_.get(), kProgressSteps,
      [](void* self) {
        const auto* connection = static_cast<SqliteConnection*>(self);
        return connection->clock_->Now() >= connection->deadline_ ? 1 : 0;
      },
      this);
}

void SqliteConnection::ClearDeadline() {
  if (deadline_ == absl::InfiniteFuture()) return;
  deadline_ = absl::InfiniteFuture();
  sqlite3_progress_handler(db_.get(), 0, nullptr, nullptr);
}

absl::Status SqliteConnection::SetQueryOnly(bool on) {
  return Pragma(on ? "PRAGMA query_only = ON" : "PRAGMA query_only = OFF");
}

absl::StatusOr<SqliteConnection::StatementPtr> SqliteConnection::Compile(
    absl::string_view translated) {
  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  const int code =
      sqlite3_prepare_v3(db_.get(), translated.data(), static_cast<int>(translated.size()),
                         SQLITE_PREPARE_PERSISTENT, &raw, &tail);
  StatementPtr statement(raw);
  if (code != SQLITE_OK) return ErrorOf(code);
  const auto used = static_cast<size_t>(tail - translated.data());
  if (raw == nullptr || translated.find_first_not_of(" \t\r\n;", used) != absl::string_view::npos) {
    return Error(absl::StatusCode::kInternal, reason::kInternal)
        .Message("SQL text must hold exactly one statement");
  }
  return statement;
}

absl::StatusOr<sqlite3_stmt*> SqliteConnection::Prepare(absl::string_view sql) {
  if (const auto found = statements_.find(sql); found != statements_.end()) {
    return found->second.get();
  }
  ASSIGN_OR_RETURN(const TranslatedSql translated, TranslateSql(Dialect::kSqlite, sql));
  ASSIGN_OR_RETURN(StatementPtr statement, Compile(translated.text));
  if (statements_.size() >= kStatementsLimit) statements_.clear();
  sqlite3_stmt* result = statement.get();
  statements_.emplace(std::string(sql), std::move(statement));
  return result;
}

absl::StatusOr<sqlite3_stmt*> SqliteConnection::Bind(absl::string_view sql, const Args& args) {
  ASSIGN_OR_RETURN(sqlite3_stmt * statement, Prepare(sql));
  if (static_cast<size_t>(sqlite3_bind_parameter_count(statement)) != args.size()) {
    return Error(absl::StatusCode::kInternal, reason::kInternal)
        .Message("SQL text and arguments differ in number");
  }
  for (size_t i = 0; i < args.size(); ++i) {
    const int code = BindValue(statement, static_cast<int>(i + 1), args[i]);
    if (code != SQLITE_OK) return ErrorOf(code);
  }
  return statement;
}

absl::StatusOr<Rows> SqliteConnection::Query(absl::string_view sql, const Args& args) {
  ASSIGN_OR_RETURN(sqlite3_stmt * statement, Bind(sql, args));
  const Resetter resetter(statement);
  const int columns = sqlite3_column_count(statement);
  Rows rows;
  int code = sqlite3_step(statement);
  for (; code == SQLITE_ROW; code = sqlite3_step(statement)) {
    std::vector<Value> values;
    values.reserve(static_cast<size_t>(columns));
    for (int i = 0; i < columns; ++i) values.push_back(ColumnValue(statement, i));
    rows.emplace_back(std::move(values));
  }
  if (code != SQLITE_DONE) return ErrorOf(code);
  return rows;
}

absl::StatusOr<int64_t> SqliteConnection::Execute(absl::string_view sql, const Args& args) {
  ASSIGN_OR_RETURN(sqlite3_stmt * statement, Bind(sql, args));
  const Resetter resetter(statement);
  const int64_t before = sqlite3_total_changes64(db_.get());
  int code = sqlite3_step(statement);
  while (code == SQLITE_ROW) code = sqlite3_step(statement);
  if (code != SQLITE_DONE) return ErrorOf(code);
  // The count of the last statement stays when a statement is none that changes rows.
  if (sqlite3_total_changes64(db_.get()) == before) return 0;
  return int64_t{sqlite3_changes64(db_.get())};
}

absl::StatusOr<Rows> SqliteTransaction::DoQuery(absl::string_view sql, const Args& args) {
  if (!failure_.ok()) return failure_;
  auto rows = connection_.Query(sql, args);
  if (!rows.ok()) failure_ = rows.status();
  return rows;
}

absl::StatusOr<int64_t> SqliteTransaction::DoExecute(absl::string_view sql, const Args& args) {
  if (!failure_.ok()) return failure_;
  auto count = connection_.Execute(sql, args);
  if (!count.ok()) failure_ = count.status();
  return count;
}

}  // namespace handrail::storage
