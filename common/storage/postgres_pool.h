#ifndef HANDRAIL_COMMON_STORAGE_POSTGRES_POOL_H_
#define HANDRAIL_COMMON_STORAGE_POSTGRES_POOL_H_

#include <memory>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/storage/postgres_connection.h"

namespace handrail::storage {

// A bounded set of connections that callers borrow. One thread opens what is asked for, so that no
// caller hangs in a connect; it goes on trying, with jittered pauses, while anybody waits, so the
// pool heals by itself. Thread-safe.
class PostgresPool {
 public:
  struct Options {
    PostgresConnection::Options connection;
    int connections_limit;
    size_t waiting_limit;
  };

  PostgresPool(Options options, const Clock& clock);
  ~PostgresPool();

  // RESOURCE_EXHAUSTED / OVERLOADED, DEADLINE_EXCEEDED; and when there is no connection at all and
  // an attempt that began after this call failed, that attempt's error.
  absl::StatusOr<std::unique_ptr<PostgresConnection>> Acquire(absl::Time deadline);
  // Takes a connection back; a broken one makes room for a new one.
  void Release(std::unique_ptr<PostgresConnection> connection);

 private:
  void ConnectLoop();
  bool WantsConnection() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return waiting_ > idle_.size() && live_ < static_cast<size_t>(options_.connections_limit);
  }
  void Discard(std::unique_ptr<PostgresConnection> connection);

  const Options options_;
  const Clock& clock_;
  SystemRandom random_;

  Mutex mutex_;
  CondVar returned_;
  CondVar wake_connector_;
  std::vector<std::unique_ptr<PostgresConnection>> idle_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t live_ ABSL_GUARDED_BY(mutex_) = 0;  // idle and borrowed
  int64_t attempts_begun_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t last_failed_attempt_ ABSL_GUARDED_BY(mutex_) = -1;
  absl::Status last_failure_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread connector_;
};

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_POSTGRES_POOL_H_
