#ifndef HANDRAIL_COMMON_STORAGE_SQLITE_WRITER_H_
#define HANDRAIL_COMMON_STORAGE_SQLITE_WRITER_H_

#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/storage/database.h"
#include "common/storage/sqlite_connection.h"

namespace handrail::storage {

// The one thread that writes to a SQLite file, with group commit: the first unit commits at once,
// those that arrive meanwhile form the next commit. No timer. Thread-safe.
class SqliteWriter {
 public:
  // The log is copied back when it is this long. Longer means fewer copies of the same hot pages:
  // measured to be worth up to 1.6 times SQLite's default of 1,000.
  static constexpr int kCheckpointFrames = 8192;

  struct Options {
    size_t batch_units_limit;
    size_t queue_limit;  // units accepted and not yet answered
    int retry_limit;
  };

  // `exclusive` is held while a batch runs: tests in memory share the connection with reads.
  // Null when nobody shares it. `clock` and `exclusive` must outlive the writer.
  SqliteWriter(std::unique_ptr<SqliteConnection> connection, const Options& options,
               const Clock& clock, Mutex* exclusive);
  // Runs what is queued, answers it and joins.
  ~SqliteWriter();

  absl::Status Write(absl::Time deadline, Database::Work work);
  void WriteAsync(absl::Time deadline, Database::AsyncWork work, Database::Done done);
  DatabaseStats Stats() const;

  // For reads in memory, under `exclusive`.
  SqliteConnection& connection() { return *connection_; }

 private:
  struct Unit;
  // An intrusive list, so that a unit whose caller gave up leaves in one step.
  struct UnitList {
    Unit* first = nullptr;
    Unit* last = nullptr;
    void PushBack(Unit& unit);
    void Remove(Unit& unit);
  };
  using Batch = std::vector<Unit*>;

  absl::Status Enqueue(Unit& unit);
  absl::Status Await(Unit& unit);
  // True when the unit was still waiting and is now out of the queue.
  bool Withdraw(Unit& unit);

  void WriterLoop();
  bool WaitForUnits();
  // Moves up to `limit` waiting units to the end of `batch`; false when there were none.
  bool TakeUnits(size_t limit, Batch& batch);
  void RunBatch(Batch& batch);
  void RunAlone(Unit& unit);
  // Runs one unit inside the open transaction, with its retries. The first unit of a transaction
  // needs no savepoint: undoing it is undoing everything.
  absl::Status Apply(Unit& unit);
  absl::Status BeginUnit();
  void UndoUnit();
  absl::Status Commit();
  void CheckpointWhenDue();
  // Ends the process when `code` leaves the state of the disk unknown.
  void DieIfDiskStateUnknown(int code, absl::string_view step);

  void Complete(Batch& batch);
  void CompletionLoop();
  static void Answer(Unit* unit);

  const Options options_;
  const Clock& clock_;
  Mutex* const exclusive_;

  // Writer thread only (and reads in memory, under `exclusive_`).
  std::unique_ptr<SqliteConnection> connection_;
  size_t applied_ = 0;      // units in the open transaction
  bool collapsed_ = false;  // SQLite rolled the open transaction back, with other units in it
  int checkpoint_frames_;   // the log is copied back when it is this long

  mutable Mutex mutex_;
  CondVar wake_writer_;
  UnitList waiting_ ABSL_GUARDED_BY(mutex_);
  size_t outstanding_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  DatabaseStats stats_ ABSL_GUARDED_BY(mutex_);

  Mutex completion_mutex_;
  CondVar wake_completion_;
  Batch finished_ ABSL_GUARDED_BY(completion_mutex_);
  bool writer_ended_ ABSL_GUARDED_BY(completion_mutex_) = false;

  std::thread completion_thread_;
  std::thread writer_thread_;
};

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_SQLITE_WRITER_H_
