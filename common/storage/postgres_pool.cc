#include "common/storage/postgres_pool.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/base/status.h"
#include "common/storage/postgres_error.h"

namespace handrail::storage {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(20);
constexpr absl::Duration kLongestPause = absl::Seconds(1);

}  // namespace

PostgresPool::PostgresPool(Options options, const Clock& clock)
    : options_(std::move(options)), clock_(clock), connector_([this] { ConnectLoop(); }) {}

PostgresPool::~PostgresPool() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_connector_.SignalAll();
  returned_.SignalAll();
  connector_.join();
}

absl::StatusOr<std::unique_ptr<PostgresConnection>> PostgresPool::Acquire(absl::Time deadline) {
  while (true) {
    std::unique_ptr<PostgresConnection> connection;
    {
      MutexLock lock(mutex_);
      if (idle_.empty() && waiting_ >= options_.waiting_limit) {
        return Error(absl::StatusCode::kResourceExhausted, reason::kOverloaded)
            .Message("too many calls are waiting for the database")
            .RetryAfter(absl::Milliseconds(200));
      }
      const int64_t begun_before = attempts_begun_;
      ++waiting_;
      if (WantsConnection()) wake_connector_.Signal();
      absl::Status failure = absl::OkStatus();
      while (idle_.empty() && failure.ok()) {
        const absl::Duration left = deadline - clock_.Now();
        if (stopping_) {
          failure = UnavailableError(reason::kDraining, "the database is closing");
        } else if (left <= absl::ZeroDuration()) {
          failure = Error(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded)
                        .Message("the deadline passed while waiting for a connection");
        } else if (live_ == 0 && last_failed_attempt_ > begun_before) {
          failure = last_failure_;
        } else {
          returned_.WaitFor(mutex_, left);
        }
      }
      --waiting_;
      if (!failure.ok()) return failure;
      connection = std::move(idle_.back());  // the warmest; the others may time out in peace
      idle_.pop_back();
    }
    if (connection->CheckIdle()) return connection;
    Discard(std::move(connection));
  }
}

void PostgresPool::Release(std::unique_ptr<PostgresConnection> connection) {
  if (!connection->IsUsable()) {
    Discard(std::move(connection));
    return;
  }
  {
    MutexLock lock(mutex_);
    idle_.push_back(std::move(connection));
  }
  returned_.Signal();
}

void PostgresPool::Discard(std::unique_ptr<PostgresConnection> connection) {
  connection.reset();  // outside the lock: closing is I/O
  MutexLock lock(mutex_);
  --live_;
  if (WantsConnection()) wake_connector_.Signal();
}

void PostgresPool::ConnectLoop() {
  absl::Duration pause = kFirstPause;
  bool failing = false;
  while (true) {
    int64_t attempt = 0;
    {
      MutexLock lock(mutex_);
      while (!stopping_ && !WantsConnection()) wake_connector_.Wait(mutex_);
      if (stopping_) return;
      attempt = ++attempts_begun_;
    }
    auto connection = PostgresConnection::Connect(options_.connection, clock_);
    if (connection.ok() == failing) {
      failing = !failing;
      Log(failing ? Severity::kWarning : Severity::kInfo,
          failing ? "database connection failed" : "database connection is back",
          {{LogField::kComponent, "postgres"},
           {LogField::kDetail, failing ? connection.status().message() : absl::string_view()}});
    }
    MutexLock lock(mutex_);
    if (connection.ok()) {
      pause = kFirstPause;
      ++live_;
      idle_.push_back(*std::move(connection));
      returned_.Signal();
      continue;
    }
    last_failed_attempt_ = attempt;
    // The library's text names hosts and users: it is for the log, not for callers.
    last_failure_ = absl::IsUnavailable(connection.status())
                        ? ConnectionLostError("the database cannot be reached")
                        : connection.status();
    returned_.SignalAll();
    if (!stopping_) wake_connector_.WaitFor(mutex_, pause * (0.5 + random_.Unit() / 2));
    pause = std::min(pause * 2, kLongestPause);
  }
}

}  // namespace handrail::storage
