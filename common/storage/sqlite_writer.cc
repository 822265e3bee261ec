#include "common/storage/sqlite_writer.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "common/base/log.h"
#include "common/base/status.h"

namespace handrail::storage {
namespace {

using Control = SqliteConnection::Control;

absl::Status DeadlineError() {
  return Error(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded)
      .Message("the deadline passed while the write was waiting for its turn; nothing was written");
}

}  // namespace

// One write, from its arrival to its answer. A blocking one lives on its caller's stack, an
// asynchronous one on the heap.
struct SqliteWriter::Unit {
  Unit(absl::Time deadline_in, Database::Work work_in) : deadline(deadline_in), work(work_in) {}
  Unit(absl::Time deadline_in, Database::AsyncWork work_in, Database::Done done_in)
      : deadline(deadline_in),
        async_work(std::move(work_in)),
        work(async_work),
        done(std::move(done_in)) {}

  const absl::Time deadline;
  const Database::AsyncWork async_work;
  const Database::Work work;
  const Database::Done done;  // empty: a caller waits
  absl::Status status;        // the writer's until it is answered

  // Guarded by the queue's mutex.
  Unit* next = nullptr;
  Unit* previous = nullptr;
  bool waiting = false;

  Mutex mutex;
  CondVar answered_signal;
  bool answered ABSL_GUARDED_BY(mutex) = false;
};

void SqliteWriter::UnitList::PushBack(Unit& unit) {
  unit.previous = last;
  unit.next = nullptr;
  (last == nullptr ? first : last->next) = &unit;
  last = &unit;
  unit.waiting = true;
}

void SqliteWriter::UnitList::Remove(Unit& unit) {
  (unit.previous == nullptr ? first : unit.previous->next) = unit.next;
  (unit.next == nullptr ? last : unit.next->previous) = unit.previous;
  unit.waiting = false;
}

SqliteWriter::SqliteWriter(std::unique_ptr<SqliteConnection> connection, const Options& options,
                           const Clock& clock, Mutex* exclusive)
    : options_(options),
      clock_(clock),
      exclusive_(exclusive),
      connection_(std::move(connection)),
      checkpoint_frames_(kCheckpointFrames),
      completion_thread_([this] { CompletionLoop(); }),
      writer_thread_([this] { WriterLoop(); }) {}

SqliteWriter::~SqliteWriter() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_writer_.SignalAll();
  writer_thread_.join();
  {
    MutexLock lock(completion_mutex_);
    writer_ended_ = true;
  }
  wake_completion_.SignalAll();
  completion_thread_.join();
}

absl::Status SqliteWriter::Write(absl::Time deadline, Database::Work work) {
  Unit unit(deadline, work);
  RETURN_IF_ERROR(Enqueue(unit));
  return Await(unit);
}

void SqliteWriter::WriteAsync(absl::Time deadline, Database::AsyncWork work, Database::Done done) {
  auto unit = std::make_unique<Unit>(deadline, std::move(work), std::move(done));
  if (absl::Status status = Enqueue(*unit); !status.ok()) {
    unit->done(std::move(status));
    return;
  }
  unit.release();  // Answer deletes it
}

DatabaseStats SqliteWriter::Stats() const {
  MutexLock lock(mutex_);
  return stats_;
}

absl::Status SqliteWriter::Enqueue(Unit& unit) {
  if (unit.deadline != absl::InfiniteFuture() && unit.deadline <= clock_.Now()) {
    return DeadlineError();
  }
  {
    MutexLock lock(mutex_);
    if (stopping_) return UnavailableError(reason::kDraining, "the database is closing");
    if (outstanding_ >= options_.queue_limit) {
      return Error(absl::StatusCode::kResourceExhausted, reason::kOverloaded)
          .Message("too many writes are waiting")
          .RetryAfter(absl::Milliseconds(200));
    }
    ++outstanding_;
    waiting_.PushBack(unit);
  }
  wake_writer_.Signal();
  return absl::OkStatus();
}

absl::Status SqliteWriter::Await(Unit& unit) {
  bool may_withdraw = unit.deadline != absl::InfiniteFuture();
  while (true) {
    {
      MutexLock lock(unit.mutex);
      while (!unit.answered) {
        if (!may_withdraw) {
          unit.answered_signal.Wait(unit.mutex);
          continue;
        }
        const absl::Duration left = unit.deadline - clock_.Now();
        if (left <= absl::ZeroDuration()) break;
        unit.answered_signal.WaitFor(unit.mutex, left);
      }
      if (unit.answered) return std::move(unit.status);
    }
    if (Withdraw(unit)) return DeadlineError();
    may_withdraw = false;  // it has begun: only its outcome is the truth
  }
}

bool SqliteWriter::Withdraw(Unit& unit) {
  MutexLock lock(mutex_);
  if (!unit.waiting) return false;
  waiting_.Remove(unit);
  --outstanding_;
  return true;
}

void SqliteWriter::WriterLoop() {
  Batch batch;
  while (WaitForUnits()) {
    if (exclusive_ != nullptr) {
      MutexLock lock(*exclusive_);
      RunBatch(batch);
    } else {
      RunBatch(batch);
    }
    Complete(batch);
    CheckpointWhenDue();
  }
}

bool SqliteWriter::WaitForUnits() {
  MutexLock lock(mutex_);
  while (waiting_.first == nullptr && !stopping_) wake_writer_.Wait(mutex_);
  return waiting_.first != nullptr;
}

bool SqliteWriter::TakeUnits(size_t limit, Batch& batch) {
  MutexLock lock(mutex_);
  if (waiting_.first == nullptr) return false;
  for (size_t taken = 0; taken < limit && waiting_.first != nullptr; ++taken) {
    Unit& unit = *waiting_.first;
    waiting_.Remove(unit);
    batch.push_back(&unit);
  }
  return true;
}

void SqliteWriter::RunBatch(Batch& batch) {
  batch.clear();
  applied_ = 0;
  collapsed_ = false;
  size_t next = 0;
  while (!collapsed_ && batch.size() < options_.batch_units_limit &&
         TakeUnits(options_.batch_units_limit - batch.size(), batch)) {
    const absl::Time now = clock_.Now();
    for (; next < batch.size() && !collapsed_; ++next) {
      Unit& unit = *batch[next];
      unit.status = unit.deadline <= now ? DeadlineError() : Apply(unit);
    }
  }
  absl::Status outcome = absl::OkStatus();
  if (!collapsed_ && applied_ > 0) outcome = Commit();
  if (!collapsed_ && outcome.ok()) return;
  // The commit itself failed, or took back units that had succeeded. Each gets a chance of its own,
  // so that one unit's fault (or a disk with little space) does not become its neighbours'.
  const bool single = applied_ == 1 && !collapsed_;
  for (size_t i = 0; i < batch.size(); ++i) {
    Unit& unit = *batch[i];
    const bool ran = i < next;
    if (ran && !unit.status.ok()) continue;
    if (single && ran) {
      unit.status = outcome;
    } else {
      RunAlone(unit);
    }
  }
}

void SqliteWriter::RunAlone(Unit& unit) {
  applied_ = 0;
  collapsed_ = false;
  unit.status = unit.deadline <= clock_.Now() ? DeadlineError() : Apply(unit);
  if (unit.status.ok()) unit.status = Commit();
}

absl::Status SqliteWriter::Apply(Unit& unit) {
  for (int attempt = 0;; ++attempt) {
    RETURN_IF_ERROR(BeginUnit());
    SqliteTransaction transaction(*connection_);
    absl::Status status = unit.work(transaction);
    if (status.ok()) status = transaction.failure();
    if (status.ok() && applied_ > 0) {
      status = connection_->ErrorOf(connection_->Run(Control::kRelease));
    }
    if (status.ok()) {
      ++applied_;
      return status;
    }
    UndoUnit();
    const bool retry = absl::IsAborted(status) && HasReason(status, reason::kDatabaseConflict);
    if (collapsed_ || !retry || attempt >= options_.retry_limit) return status;
    MutexLock lock(mutex_);
    ++stats_.retries;
  }
}

absl::Status SqliteWriter::BeginUnit() {
  return connection_->ErrorOf(
      connection_->Run(applied_ == 0 ? Control::kBeginImmediate : Control::kSavepoint));
}

void SqliteWriter::UndoUnit() {
  if (!connection_->InTransaction()) {
    // Some errors (disk full, out of memory, I/O) make SQLite roll everything back by itself.
    collapsed_ = applied_ > 0;
    return;
  }
  if (applied_ == 0) {
    DieIfDiskStateUnknown(connection_->Run(Control::kRollback), "rollback");
    return;
  }
  const int undone = connection_->Run(Control::kUndo);
  const int released = undone == SQLITE_OK ? connection_->Run(Control::kRelease) : undone;
  if (released == SQLITE_OK) return;
  connection_->Run(Control::kRollback);
  collapsed_ = true;
}

absl::Status SqliteWriter::Commit() {
  const int code = connection_->Run(Control::kCommit);
  if (code == SQLITE_OK) {
    const auto units = static_cast<int64_t>(applied_);
    MutexLock lock(mutex_);
    size_t bucket = 0;
    while (bucket + 1 < stats_.batch_sizes.size() && (units >> (bucket + 1)) > 0) ++bucket;
    ++stats_.commits;
    stats_.units += units;
    stats_.largest_batch = std::max(stats_.largest_batch, units);
    ++stats_.batch_sizes[bucket];
    return absl::OkStatus();
  }
  DieIfDiskStateUnknown(code, "commit");
  const absl::Status status = connection_->ErrorOf(code);
  if (connection_->InTransaction()) connection_->Run(Control::kRollback);
  return status;
}

void SqliteWriter::CheckpointWhenDue() {
  if (connection_->WalFrames() < checkpoint_frames_) return;
  int left = 0;
  const int code = connection_->Checkpoint(left);
  DieIfDiskStateUnknown(code, "checkpoint");
  if (code != SQLITE_OK && code != SQLITE_BUSY) {
    Log(Severity::kWarning, "checkpoint failed; the log is kept",
        {{LogField::kComponent, "sqlite"}, {LogField::kCount, int64_t{code}}});
  }
  // A reader still needs old pages: look again when the log has grown by an eighth.
  checkpoint_frames_ = code == SQLITE_OK && left == 0
                           ? kCheckpointFrames
                           : connection_->WalFrames() + kCheckpointFrames / 8;
}

void SqliteWriter::DieIfDiskStateUnknown(int code, absl::string_view step) {
  if (!IsUnknownDiskState(code)) return;
  // After a failed fsync the kernel may have dropped the pages, and a second fsync would report
  // success. Only a restart, which reads the file again, tells what is there.
  Log(Severity::kError, "the disk failed; ending, because what is on it is unknown",
      {{LogField::kComponent, "sqlite"},
       {LogField::kState, step},
       {LogField::kCount, int64_t{code}}});
  std::abort();
}

void SqliteWriter::Complete(Batch& batch) {
  {
    MutexLock lock(mutex_);
    outstanding_ -= batch.size();
  }
  // Waking one waiter costs less than waking the thread that would wake it.
  if (batch.size() == 1 && !batch.front()->done) {
    Answer(batch.front());
    return;
  }
  {
    MutexLock lock(completion_mutex_);
    finished_.insert(finished_.end(), batch.begin(), batch.end());
  }
  wake_completion_.Signal();
}

void SqliteWriter::CompletionLoop() {
  Batch batch;
  while (true) {
    {
      MutexLock lock(completion_mutex_);
      while (finished_.empty() && !writer_ended_) wake_completion_.Wait(completion_mutex_);
      if (finished_.empty()) return;
      batch.swap(finished_);
    }
    for (Unit* unit : batch) Answer(unit);
    batch.clear();
  }
}

void SqliteWriter::Answer(Unit* unit) {
  if (unit->done) {
    const std::unique_ptr<Unit> owned(unit);
    owned->done(std::move(owned->status));
    return;
  }
  // Signalled under the lock: the caller's stack frame may be gone as soon as it is released.
  MutexLock lock(unit->mutex);
  unit->answered = true;
  unit->answered_signal.Signal();
}

}  // namespace handrail::storage
