#include "common/storage/postgres_database.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/executor.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/storage/migrations.h"
#include "common/storage/postgres_pool.h"

namespace handrail::storage {
namespace {

using Access = PostgresConnection::Access;

// "handrail" in ASCII: the advisory lock that migrators of one database share.
constexpr int64_t kMigrationLock = 0x68616e647261696c;
constexpr absl::Duration kMigrationTimeout = absl::Minutes(30);
constexpr absl::Duration kLongestCommit = absl::Minutes(1);
constexpr absl::Duration kRollbackTimeout = absl::Seconds(2);

class PostgresDatabase final : public Database {
 public:
  PostgresDatabase(const DatabaseOptions& options, const Clock& clock)
      : retry_limit_(options.retry_limit),
        busy_timeout_(options.busy_timeout),
        clock_(clock),
        pool_({{options.url, options.connect_timeout, options.prepare_statements},
               options.connections,
               options.queue_limit},
              clock),
        async_(options.connections, options.queue_limit) {}

  absl::string_view BackendName() const override { return "postgres"; }

  DatabaseStats Stats() const override {
    DatabaseStats stats;
    stats.commits = commits_.load(std::memory_order_relaxed);
    stats.units = stats.commits;
    stats.largest_batch = stats.commits == 0 ? 0 : 1;
    stats.batch_sizes[0] = stats.commits;
    stats.retries = retries_.load(std::memory_order_relaxed);
    return stats;
  }

  // Fails only for what waiting will not heal.
  absl::Status CheckServer(absl::Duration timeout) {
    auto connection = pool_.Acquire(clock_.Now() + timeout);
    if (connection.ok()) {
      pool_.Release(*std::move(connection));
      return absl::OkStatus();
    }
    return absl::IsInvalidArgument(connection.status()) ? connection.status() : absl::OkStatus();
  }

 private:
  absl::Status DoWrite(absl::Time deadline, Work work) override {
    return RunWithRetries(deadline, Access::kWrite, work);
  }

  absl::Status DoRead(absl::Time deadline, Work work) override {
    return RunWithRetries(deadline, Access::kRead, work);
  }

  void DoWriteAsync(absl::Time deadline, AsyncWork work, Done done) override {
    // Shared, because std::function wants to be copied.
    auto call = std::make_shared<std::pair<AsyncWork, Done>>(std::move(work), std::move(done));
    const bool queued = async_.TryRun([this, deadline, call] {
      call->second(RunWithRetries(deadline, Access::kWrite, call->first));
    });
    if (queued) return;
    call->second(Error(absl::StatusCode::kResourceExhausted, reason::kOverloaded)
                     .Message("too many writes are waiting")
                     .RetryAfter(absl::Milliseconds(200)));
  }

  absl::Status DoMigrate(absl::Span<const Migration> migrations) override {
    const auto run = [this](Work work) {
      return Write(clock_.Now() + kMigrationTimeout, [&](Transaction& tx) -> absl::Status {
        RETURN_IF_ERROR(tx.Query("SELECT pg_advisory_xact_lock($1)", {kMigrationLock}).status());
        return work(tx);
      });
    };
    return ApplyMigrations(migrations, clock_.Now(), run);
  }

  absl::StatusOr<absl::Time> DoNow(absl::Time deadline) override {
    int64_t now_us = 0;
    RETURN_IF_ERROR(Read(deadline, [&](Transaction& tx) -> absl::Status {
      ASSIGN_OR_RETURN(
          const Rows rows,
          tx.Query("SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT", {}));
      now_us = rows.front().Int(0);
      return absl::OkStatus();
    }));
    return absl::FromUnixMicros(now_us);
  }

  absl::Status RunWithRetries(absl::Time deadline, Access access, Work work) {
    for (int attempt = 0;; ++attempt) {
      // What Acquire says is final: it has already waited, and tried to connect.
      if (deadline <= clock_.Now()) {
        return Error(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded)
            .Message("the deadline passed before the database was asked");
      }
      ASSIGN_OR_RETURN(auto connection, pool_.Acquire(deadline));
      const absl::Status status = RunOnce(*connection, deadline, access, work);
      pool_.Release(std::move(connection));
      const bool retry = HasReason(status, reason::kDatabaseConflict) ||
                         HasReason(status, reason::kDatabaseUnavailable);
      if (status.ok() || !retry || attempt >= retry_limit_) return status;
      // Two that deadlocked must not meet again: wait for a random part of 2, 4, 8, … ms.
      const absl::Duration pause =
          absl::Milliseconds(1 << std::min(attempt + 1, 6)) * random_.Unit();
      if (clock_.Now() + pause >= deadline) return status;
      retries_.fetch_add(1, std::memory_order_relaxed);
      // allowed(sleep): at most 64 ms, within the deadline, on the thread of the caller who waits.
      absl::SleepFor(pause);
    }
  }

  absl::Status RunOnce(PostgresConnection& connection, absl::Time deadline, Access access,
                       Work work) {
    connection.BeginWithNextStatement(access);
    PostgresTransaction transaction(connection, deadline);
    absl::Status status = work(transaction);
    if (status.ok()) status = transaction.failure();
    const absl::Time now = clock_.Now();
    if (status.ok() && access == Access::kWrite) {
      status = connection.Commit(
          std::min(std::max(deadline, now + busy_timeout_), now + kLongestCommit));
      if (status.ok()) commits_.fetch_add(1, std::memory_order_relaxed);
      return status;
    }
    connection.Rollback(now + kRollbackTimeout);
    return status;
  }

  const int retry_limit_;
  const absl::Duration busy_timeout_;
  const Clock& clock_;
  SystemRandom random_;
  std::atomic<int64_t> commits_{0};
  std::atomic<int64_t> retries_{0};
  PostgresPool pool_;
  Executor async_;  // last: its threads use all of the above
};

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> OpenPostgresDatabase(const DatabaseOptions& options) {
  static const SystemClock* const system_clock = new SystemClock;
  char* error = nullptr;
  PQconninfoOption* parsed = PQconninfoParse(options.url.c_str(), &error);
  PQfreemem(error);  // may quote the password, so it is not shown
  if (parsed == nullptr) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
        .Message("the database URL is no PostgreSQL URL or keyword string");
  }
  PQconninfoFree(parsed);
  auto database = std::make_unique<PostgresDatabase>(
      options, options.clock == nullptr ? *system_clock : *options.clock);
  RETURN_IF_ERROR(database->CheckServer(2 * options.connect_timeout));
  return std::unique_ptr<Database>(std::move(database));
}

}  // namespace handrail::storage
