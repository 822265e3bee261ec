#include "tests/crash/faulty_database.h"

#include <utility>

#include "absl/strings/match.h"
#include "common/base/status.h"

namespace handrail::tests {

using storage::Args;
using storage::Rows;
using storage::Transaction;

namespace {

absl::Status Unavailable() {
  return Error(absl::StatusCode::kUnavailable, reason::kDatabaseUnavailable)
      .Message("the database cannot be reached")
      .ToStatus();
}

absl::Status OutcomeUnknown() {
  return Error(absl::StatusCode::kUnavailable, reason::kOutcomeUnknown)
      .Message("the connection was lost while committing")
      .ToStatus();
}

// Ends the first, rehearsing run of a unit without a trace.
absl::Status RehearsalOver() { return absl::CancelledError("rehearsal"); }

}  // namespace

// ---- FaultyDatabase ----

absl::Status FaultyDatabase::DoWrite(absl::Time deadline, Work work) {
  const FaultPlan::Verdict verdict = plan_.Next(process_);
  if (!verdict.takes_effect) return Unavailable();
  const absl::Status status = disk_.Write(deadline, work);
  if (verdict.fails && status.ok()) return OutcomeUnknown();
  return verdict.fails ? Unavailable() : status;
}

void FaultyDatabase::DoWriteAsync(absl::Time deadline, AsyncWork work, Done done) {
  const FaultPlan::Verdict verdict = plan_.Next(process_);
  if (!verdict.takes_effect) {
    refusals_.TryRun([done = std::move(done)] { done(Unavailable()); });
    return;
  }
  disk_.WriteAsync(deadline, std::move(work),
                   [fails = verdict.fails, done = std::move(done)](absl::Status status) {
                     if (fails) status = status.ok() ? OutcomeUnknown() : Unavailable();
                     done(std::move(status));
                   });
}

absl::Status FaultyDatabase::DoRead(absl::Time deadline, Work work) {
  if (plan_.Next(process_).fails) return Unavailable();
  return disk_.Read(deadline, work);
}

// ---- AcknowledgesBeforeCommit ----

class AcknowledgesBeforeCommit::Recorder final : public Transaction {
 public:
  Recorder(Transaction& tx, std::vector<Statement>& log) : tx_(tx), log_(log) {}

 private:
  absl::StatusOr<Rows> DoQuery(absl::string_view sql, const Args& args) override {
    if (absl::StrContains(sql, "RETURNING")) log_.emplace_back(std::string(sql), args);
    return tx_.Query(sql, args);
  }
  absl::StatusOr<int64_t> DoExecute(absl::string_view sql, const Args& args) override {
    log_.emplace_back(std::string(sql), args);
    return tx_.Execute(sql, args);
  }

  Transaction& tx_;
  std::vector<Statement>& log_;
};

absl::Status AcknowledgesBeforeCommit::Flush() {
  if (pending_.empty()) return absl::OkStatus();
  const std::vector<Statement> pending = std::exchange(pending_, {});
  return disk_.Write(absl::InfiniteFuture(), [&pending](Transaction& tx) -> absl::Status {
    for (const auto& [sql, args] : pending) {
      if (absl::StrContains(sql, "RETURNING")) {
        RETURN_IF_ERROR(tx.Query(sql, args).status());
      } else {
        RETURN_IF_ERROR(tx.Execute(sql, args).status());
      }
    }
    return absl::OkStatus();
  });
}

absl::Status AcknowledgesBeforeCommit::DoWrite(absl::Time deadline, Work work) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(Flush());
  std::vector<Statement> log;
  absl::Status outcome;
  const absl::Status rehearsed = disk_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    log.clear();
    Recorder recorder(tx, log);
    outcome = work(recorder);
    return outcome.ok() ? RehearsalOver() : outcome;
  });
  if (!absl::IsCancelled(rehearsed)) return rehearsed;
  pending_ = std::move(log);
  return outcome;
}

void AcknowledgesBeforeCommit::DoWriteAsync(absl::Time deadline, AsyncWork work, Done done) {
  answers_.TryRun([this, deadline, work = std::move(work), done = std::move(done)] {
    done(Write(deadline, work));
  });
}

absl::Status AcknowledgesBeforeCommit::DoRead(absl::Time deadline, Work work) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(Flush());
  return disk_.Read(deadline, work);
}

// ---- OutboxOutside ----

class OutboxOutside::Splitter final : public Transaction {
 public:
  Splitter(Transaction& tx, std::vector<std::pair<std::string, Args>>& later)
      : tx_(tx), later_(later) {}

 private:
  absl::StatusOr<Rows> DoQuery(absl::string_view sql, const Args& args) override {
    return tx_.Query(sql, args);
  }
  absl::StatusOr<int64_t> DoExecute(absl::string_view sql, const Args& args) override {
    if (!absl::StartsWith(sql, "INSERT INTO outbox")) return tx_.Execute(sql, args);
    later_.emplace_back(std::string(sql), args);
    return 1;
  }

  Transaction& tx_;
  std::vector<std::pair<std::string, Args>>& later_;
};

absl::Status OutboxOutside::DoWrite(absl::Time deadline, Work work) {
  std::vector<std::pair<std::string, Args>> later;
  RETURN_IF_ERROR(below_.Write(deadline, [&](Transaction& tx) {
    later.clear();
    Splitter splitter(tx, later);
    return work(splitter);
  }));
  if (later.empty()) return absl::OkStatus();
  return below_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    for (const auto& [sql, args] : later) RETURN_IF_ERROR(tx.Execute(sql, args).status());
    return absl::OkStatus();
  });
}

}  // namespace handrail::tests
