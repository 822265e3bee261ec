#ifndef HANDRAIL_TESTS_SUPPORT_CLUSTER_H_
#define HANDRAIL_TESTS_SUPPORT_CLUSTER_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/storage/database.h"
#include "common/storage/redis.h"
#include "common/storage/sqlite_connection.h"
#include "common/testing/temporary_directory.h"
#include "common/testing/temporary_postgres.h"
#include "tests/support/redis_world.h"
#include "tests/support/stop_signal.h"
#include "tools/handrail/client/person.h"
#include "tools/handrail/up/supervisor.h"

namespace handrail::tests {

enum class Backend { kSqlite, kPostgres };
absl::string_view Name(Backend backend);

// The three services and a Redis as child processes on a folder of their own, started and looked
// after as `handrail up` does. Made, used and destroyed by one thread; services() by any.
class Cluster {
 public:
  struct Options {
    Backend backend = Backend::kSqlite;
    RedisKind redis = RedisKind::kSingle;
    std::vector<std::string> matching_flags;
    std::vector<std::string> service_flags;
  };
  static absl::StatusOr<std::unique_ptr<Cluster>> Start(Options options);
  ~Cluster();

  tools::Services& services() { return *services_; }
  const tools::Endpoints& endpoints() const { return endpoints_; }
  const std::string& data_folder() const { return folder_.path(); }
  testing::TemporaryPostgres* postgres() { return postgres_.get(); }
  const tools::UpOptions& up_options() const { return up_; }
  storage::Redis& redis() { return *redis_; }
  // Null when the Redis is one server, a process like the others.
  RedisWorld* redis_world() { return redis_world_.get(); }

  // "profiles", "matching", "messaging" or, when it is one server, "redis"; -1 while it does not
  // run.
  pid_t PidOf(const std::string& process) const;
  // False when the process was not there to get it.
  bool Signal(const std::string& process, int signal);
  absl::Status FlushRedis();

  // The ledger of a service, to be read beside the services.
  absl::StatusOr<std::unique_ptr<storage::Database>> OpenLedger(const std::string& service) const;
  // Changes matching's ledger beside the service, as time would change it: one statement, in a
  // transaction of its own. By one thread.
  absl::Status ChangeMatching(absl::string_view sql, const storage::Args& args);
  // How many tickets are queued in Redis, over all pools.
  absl::StatusOr<int64_t> CountQueued();

 private:
  explicit Cluster(Options options) : options_(std::move(options)) {}
  absl::Status Launch();

  const Options options_;
  const SystemClock clock_;
  testing::TemporaryDirectory folder_;
  tools::UpOptions up_;
  std::unique_ptr<testing::TemporaryPostgres> postgres_;
  std::unique_ptr<RedisWorld> redis_world_;
  tools::Endpoints endpoints_;
  std::unique_ptr<tools::Services> services_;
  std::unique_ptr<storage::Redis> redis_;
  // For ChangeMatching; kept open, so that it is never this one that recovers what a service left.
  std::unique_ptr<storage::Database> change_postgres_;
  std::unique_ptr<storage::SqliteConnection> change_sqlite_;
  StopSignal stop_;
  // Starts the children and lives as long as they do: they die with the thread that made them.
  std::thread supervisor_thread_;
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_SUPPORT_CLUSTER_H_
