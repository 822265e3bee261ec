#ifndef HANDRAIL_TESTS_CRASH_FAULTY_DATABASE_H_
#define HANDRAIL_TESTS_CRASH_FAULTY_DATABASE_H_

#include <string>
#include <utility>
#include <vector>

#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/storage/database.h"
#include "tests/crash/fault_plan.h"

namespace handrail::tests {

// A database as one process sees it, failing where the plan says. A write that fails after it took
// effect answers OUTCOME_UNKNOWN, as a connection that is lost at COMMIT does.
class FaultyDatabase final : public storage::Database {
 public:
  FaultyDatabase(storage::Database& disk, FaultPlan& plan, ProcessLife& process)
      : disk_(disk), plan_(plan), process_(process) {}

  absl::string_view BackendName() const override { return disk_.BackendName(); }
  storage::DatabaseStats Stats() const override { return disk_.Stats(); }

 private:
  absl::Status DoWrite(absl::Time deadline, Work work) override;
  void DoWriteAsync(absl::Time deadline, AsyncWork work, Done done) override;
  absl::Status DoRead(absl::Time deadline, Work work) override;
  absl::Status DoMigrate(absl::Span<const storage::Migration> migrations) override {
    return disk_.Migrate(migrations);
  }
  absl::StatusOr<absl::Time> DoNow(absl::Time deadline) override { return disk_.Now(deadline); }

  storage::Database& disk_;
  FaultPlan& plan_;
  ProcessLife& process_;
  // Answers that never reach the disk still come on another thread, as the interface says.
  Executor refusals_{1, 1024};
};

// ---- Seeded bugs. Each is a fault of construction that the checker must find; none is reachable
// from production code. ----

// Acknowledges before it commits: what was acknowledged last is only written together with the next
// call. Forget() is what a crash does to it.
class AcknowledgesBeforeCommit final : public storage::Database {
 public:
  explicit AcknowledgesBeforeCommit(storage::Database& disk) : disk_(disk) {}

  void Forget() {
    MutexLock lock(mutex_);
    pending_.clear();
  }
  absl::string_view BackendName() const override { return disk_.BackendName(); }
  storage::DatabaseStats Stats() const override { return disk_.Stats(); }

 private:
  using Statement = std::pair<std::string, storage::Args>;
  class Recorder;

  absl::Status DoWrite(absl::Time deadline, Work work) override;
  void DoWriteAsync(absl::Time deadline, AsyncWork work, Done done) override;
  absl::Status DoRead(absl::Time deadline, Work work) override;
  absl::Status DoMigrate(absl::Span<const storage::Migration> migrations) override {
    return disk_.Migrate(migrations);
  }
  absl::StatusOr<absl::Time> DoNow(absl::Time deadline) override { return disk_.Now(deadline); }
  absl::Status Flush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  storage::Database& disk_;
  Mutex mutex_;
  std::vector<Statement> pending_ ABSL_GUARDED_BY(mutex_);
  Executor answers_{1, 1024};  // last: what it still runs uses the rest
};

// Writes the outbox row in a transaction of its own, after the one that it belongs to.
class OutboxOutside final : public storage::Database {
 public:
  explicit OutboxOutside(storage::Database& below) : below_(below) {}
  absl::string_view BackendName() const override { return below_.BackendName(); }
  storage::DatabaseStats Stats() const override { return below_.Stats(); }

 private:
  class Splitter;

  absl::Status DoWrite(absl::Time deadline, Work work) override;
  void DoWriteAsync(absl::Time deadline, AsyncWork work, Done done) override {
    below_.WriteAsync(deadline, std::move(work), std::move(done));
  }
  absl::Status DoRead(absl::Time deadline, Work work) override {
    return below_.Read(deadline, work);
  }
  absl::Status DoMigrate(absl::Span<const storage::Migration> migrations) override {
    return below_.Migrate(migrations);
  }
  absl::StatusOr<absl::Time> DoNow(absl::Time deadline) override { return below_.Now(deadline); }

  storage::Database& below_;
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_CRASH_FAULTY_DATABASE_H_
