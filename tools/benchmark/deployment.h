#ifndef HANDRAIL_TOOLS_BENCHMARK_DEPLOYMENT_H_
#define HANDRAIL_TOOLS_BENCHMARK_DEPLOYMENT_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/storage/redis.h"
#include "common/testing/temporary_directory.h"
#include "common/testing/temporary_postgres.h"
#include "tools/handrail/up/layout.h"
#include "tools/handrail/up/process.h"
#include "tools/handrail/up/supervisor.h"

namespace handrail::benchmark {

// What processes and databases have used up to a moment.
struct Usage {
  // By process: "profiles", …, "redis", "echo"; "postgres" is that server with all of its own.
  std::map<std::string, double> cpu_seconds;
  std::map<std::string, int64_t> resident_bytes;  // by process
  std::map<std::string, double> commits;          // by service: durable commits of its database
  // fsync calls of the whole PostgreSQL server on its log; -1 on SQLite, which counts commits.
  int64_t postgres_syncs = -1;
  double redis_micros = 0;  // see CommandMicros
};

// The three services with their Redis and databases, and the echo server, as processes of their
// own, all on this machine. Everything ends and is deleted with it.
class Deployment {
 public:
  // `backend` is "sqlite" or "postgres". FAILED_PRECONDITION with the end of a log when something
  // does not start.
  // `prepare` runs before the services do, and may put something into their databases.
  using Prepare =
      std::function<absl::Status(const tools::Layout& layout, const Deployment& deployment)>;
  static absl::StatusOr<std::unique_ptr<Deployment>> Start(const std::string& backend,
                                                           const Prepare& prepare = nullptr);
  ~Deployment();

  const std::string& backend() const { return backend_; }
  const tools::Endpoints& endpoints() const { return supervisor_->endpoints(); }
  const std::string& echo_address() const { return echo_address_; }
  storage::Redis& redis() const { return *redis_; }
  // What a service gets as --database_url.
  std::string database_url(const std::string& service) const;
  // Where the databases are.
  std::string database_folder() const;

  Usage TakeUsage() const;

 private:
  explicit Deployment(std::string backend) : backend_(std::move(backend)) {}
  absl::Status StartEcho();
  int64_t PostgresSyncs() const;
  absl::StatusOr<std::string> StartDatabase();

  const std::string backend_;
  std::string database_url_;  // with "{service}" in it
  testing::TemporaryDirectory folder_;
  std::unique_ptr<testing::TemporaryPostgres> postgres_;
  std::unique_ptr<tools::Process> echo_;
  std::string echo_address_;
  std::unique_ptr<tools::Supervisor> supervisor_;
  std::unique_ptr<storage::Redis> redis_;
};

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_DEPLOYMENT_H_
