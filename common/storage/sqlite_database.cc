#include "common/storage/sqlite_database.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/storage/migrations.h"
#include "common/storage/sqlite_connection.h"
#include "common/storage/sqlite_writer.h"

namespace handrail::storage {
namespace {

using Mode = SqliteConnection::Mode;
using Control = SqliteConnection::Control;

// A lock of the whole file for one process, kept until destruction.
class FileLock {
 public:
  FileLock() = default;
  ~FileLock() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  absl::Status Acquire(const std::string& path) {
    descriptor_ = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor_ < 0) {
      return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
          .Message(absl::StrCat("cannot create ", path, " (errno ", errno, ")"));
    }
    if (flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
    return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
        .Message(absl::StrCat("another process has this database open (", path, ")"));
  }

 private:
  int descriptor_ = -1;
};

// Writes zeros behind the end of the write-ahead log. An fsync of a file that grows must also
// commit the file system's journal: measured on ext4, 4,300 appended frames a second became 8,600
// overwritten ones. SQLite takes zeros for the end of the log. Must run before the writer does.
void PreallocateLog(const std::string& path) {
  constexpr off_t kFrameBytes = 4096 + 24;
  constexpr off_t kTargetBytes = kFrameBytes * (SqliteWriter::kCheckpointFrames + 1024);
  const int descriptor = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0) return;
  constexpr off_t kZerosBytes = 1 << 20;
  const std::string zeros(kZerosBytes, '\0');
  const off_t begin = lseek(descriptor, 0, SEEK_END);
  bool written = begin >= 0;
  for (off_t end = begin; written && end < kTargetBytes; end += kZerosBytes) {
    written = pwrite(descriptor, zeros.data(), zeros.size(), end) == kZerosBytes;
  }
  // Only speed depends on it. On a disk that is almost full the data needs the space more.
  if (!written && begin >= 0) written = ftruncate(descriptor, begin) == 0 && written;
  if (!written || fdatasync(descriptor) != 0) {
    Log(Severity::kWarning, "could not reserve space for the write-ahead log",
        {{LogField::kComponent, "sqlite"}, {LogField::kPath, path}});
  }
  close(descriptor);
}

absl::Status ReadDeadlineError() {
  return Error(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded)
      .Message("the deadline passed while the read was waiting for a connection");
}

// A few read-only connections that callers borrow. Thread-safe.
class ReaderPool {
 public:
  ReaderPool(const Clock& clock, size_t waiting_limit)
      : clock_(clock), waiting_limit_(waiting_limit) {}

  void Add(std::unique_ptr<SqliteConnection> connection) {
    MutexLock lock(mutex_);
    idle_.push_back(std::move(connection));
  }

  absl::StatusOr<std::unique_ptr<SqliteConnection>> Acquire(absl::Time deadline) {
    MutexLock lock(mutex_);
    if (idle_.empty() && waiting_ >= waiting_limit_) {
      return Error(absl::StatusCode::kResourceExhausted, reason::kOverloaded)
          .Message("too many reads are waiting")
          .RetryAfter(absl::Milliseconds(200));
    }
    ++waiting_;
    while (idle_.empty()) {
      const absl::Duration left = deadline - clock_.Now();
      if (left <= absl::ZeroDuration()) break;
      returned_.WaitFor(mutex_, left);
    }
    --waiting_;
    if (idle_.empty()) return ReadDeadlineError();
    auto connection = std::move(idle_.back());  // the one whose pages are warmest
    idle_.pop_back();
    return connection;
  }

  void Release(std::unique_ptr<SqliteConnection> connection) {
    {
      MutexLock lock(mutex_);
      idle_.push_back(std::move(connection));
    }
    returned_.Signal();
  }

 private:
  const Clock& clock_;
  const size_t waiting_limit_;
  Mutex mutex_;
  CondVar returned_;
  std::vector<std::unique_ptr<SqliteConnection>> idle_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
};

// One read transaction; a snapshot from its first statement on.
absl::Status RunRead(SqliteConnection& connection, Database::Work work) {
  RETURN_IF_ERROR(connection.ErrorOf(connection.Run(Control::kBegin)));
  SqliteTransaction transaction(connection);
  absl::Status status = work(transaction);
  if (status.ok()) status = transaction.failure();
  if (connection.InTransaction()) connection.Run(Control::kRollback);
  return status;
}

class SqliteDatabase final : public Database {
 public:
  SqliteDatabase(const DatabaseOptions& options, const Clock& clock)
      : clock_(clock), readers_(clock, options.queue_limit) {}

  absl::Status Open(const DatabaseOptions& options, const std::string& path) {
    const bool in_memory = path.empty();
    if (options.read_only && !in_memory) return OpenReaders(options, path);
    if (!in_memory) {
      RETURN_IF_ERROR(lock_.Acquire(absl::StrCat(path, ".lock")));
      // Created here, so that the file and with it the log are for our own user only.
      const int descriptor = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
      if (descriptor >= 0) close(descriptor);
    }
    ASSIGN_OR_RETURN(auto connection,
                     SqliteConnection::Open(path, in_memory ? Mode::kMemory : Mode::kWriter,
                                            options.busy_timeout));
    if (!in_memory) {
      PreallocateLog(absl::StrCat(path, "-wal"));
      RETURN_IF_ERROR(OpenReaders(options, path));
    }
    in_memory_ = in_memory;
    writer_ = std::make_unique<SqliteWriter>(
        std::move(connection),
        SqliteWriter::Options{options.batch_units_limit, options.queue_limit, options.retry_limit},
        clock_, in_memory ? &memory_mutex_ : nullptr);
    return absl::OkStatus();
  }

  absl::string_view BackendName() const override { return "sqlite"; }
  DatabaseStats Stats() const override {
    return writer_ == nullptr ? DatabaseStats() : writer_->Stats();
  }

 private:
  absl::Status OpenReaders(const DatabaseOptions& options, const std::string& path) {
    for (int i = 0; i < options.read_connections; ++i) {
      ASSIGN_OR_RETURN(auto reader,
                       SqliteConnection::Open(path, Mode::kReader, options.busy_timeout));
      readers_.Add(std::move(reader));
    }
    return absl::OkStatus();
  }

  static absl::Status ReadOnlyError() {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
        .Message("this database was opened to be read only");
  }

  absl::Status DoWrite(absl::Time deadline, Work work) override {
    if (writer_ == nullptr) return ReadOnlyError();
    return writer_->Write(deadline, work);
  }

  void DoWriteAsync(absl::Time deadline, AsyncWork work, Done done) override {
    if (writer_ == nullptr) {
      done(ReadOnlyError());
      return;
    }
    writer_->WriteAsync(deadline, std::move(work), std::move(done));
  }

  absl::Status DoRead(absl::Time deadline, Work work) override {
    if (deadline <= clock_.Now()) return ReadDeadlineError();
    if (in_memory_) return ReadInMemory(deadline, work);
    ASSIGN_OR_RETURN(auto connection, readers_.Acquire(deadline));
    connection->SetDeadline(clock_, deadline);
    const absl::Status status = RunRead(*connection, work);
    connection->ClearDeadline();
    readers_.Release(std::move(connection));
    return status;
  }

  absl::Status ReadInMemory(absl::Time deadline, Work work) {
    MutexLock lock(memory_mutex_);
    SqliteConnection& connection = writer_->connection();
    RETURN_IF_ERROR(connection.SetQueryOnly(true));
    connection.SetDeadline(clock_, deadline);
    const absl::Status status = RunRead(connection, work);
    connection.ClearDeadline();
    RETURN_IF_ERROR(connection.SetQueryOnly(false));
    return status;
  }

  absl::Status DoMigrate(absl::Span<const Migration> migrations) override {
    const auto run = [this](Work work) { return Write(absl::InfiniteFuture(), work); };
    return ApplyMigrations(migrations, clock_.Now(), run);
  }

  absl::StatusOr<absl::Time> DoNow(absl::Time deadline) override {
    int64_t now_us = 0;
    RETURN_IF_ERROR(Read(deadline, [&](Transaction& tx) -> absl::Status {
      ASSIGN_OR_RETURN(
          const Rows rows,
          tx.Query("SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000", {}));
      now_us = rows.front().Int(0);
      return absl::OkStatus();
    }));
    return absl::FromUnixMicros(now_us);
  }

  const Clock& clock_;
  FileLock lock_;  // released last
  bool in_memory_ = false;
  Mutex memory_mutex_;
  ReaderPool readers_;
  std::unique_ptr<SqliteWriter> writer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> OpenSqliteDatabase(const DatabaseOptions& options) {
  static const SystemClock* const system_clock = new SystemClock;
  absl::string_view path = options.url;
  const bool in_memory = path == "sqlite::memory:";
  if (!in_memory && (!absl::ConsumePrefix(&path, "sqlite://") || !absl::StartsWith(path, "/") ||
                     absl::StrContains(path, '?'))) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
        .Message("a SQLite URL is sqlite:///absolute/path.db");
  }
  auto database = std::make_unique<SqliteDatabase>(
      options, options.clock == nullptr ? *system_clock : *options.clock);
  RETURN_IF_ERROR(database->Open(options, in_memory ? std::string() : std::string(path)));
  return std::unique_ptr<Database>(std::move(database));
}

}  // namespace handrail::storage
