#ifndef HANDRAIL_TOOLS_HANDRAIL_UP_SUPERVISOR_H_
#define HANDRAIL_TOOLS_HANDRAIL_UP_SUPERVISOR_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "tools/handrail/client/endpoints.h"
#include "tools/handrail/up/layout.h"
#include "tools/handrail/up/process.h"

namespace handrail::tools {

struct UpOptions {
  std::string data_folder;
  // profiles listens on port + 1, matching on + 2, messaging on + 3, their admin ports on + 11, 12,
  // 13; all on 127.0.0.1.
  int port = 7600;
  // Where the service binaries are; empty means beside this program.
  std::string binary_folder;
  // Databases by DSN instead of SQLite in the folder; empty means SQLite. "{service}" is replaced.
  std::string database_url;
  // A Redis that is there already, as --redis_url takes it; empty means a private redis-server.
  std::string redis_url;
  // Extra flags for every service and for matching alone, for benchmarks and trying things out.
  std::vector<std::string> service_flags;
  std::vector<std::string> matching_flags;
};

// Runs a private redis-server and the three services on one data folder, and starts again, with a
// growing delay, what ends by itself.
class Supervisor {
 public:
  static absl::StatusOr<std::unique_ptr<Supervisor>> Create(UpOptions options);
  // Stops everything: services first, Redis last.
  ~Supervisor();

  // Starts everything and waits until every service says it is ready. FAILED_PRECONDITION with the
  // end of the log of the one that could not start.
  absl::Status Start();
  // Looks after the processes until `stop_requested` returns true; asks about every 100 ms.
  void Run(const std::function<bool()>& stop_requested);
  void Stop();

  const Endpoints& endpoints() const { return endpoints_; }
  const Layout& layout() const { return layout_; }

 private:
  struct Child {
    std::unique_ptr<Process> process;
    std::string admin_port;  // empty for Redis
    absl::Duration backoff = absl::Milliseconds(100);
    absl::Time restart_at = absl::InfinitePast();
    absl::Time started_at = absl::InfinitePast();
  };

  Supervisor(UpOptions options, Layout layout, std::unique_ptr<FolderLock> lock);
  // Makes a first operator, whose key lies in the folder, unless there is an operators file.
  static absl::Status EnsureOperator(const Layout& layout);
  void AddChild(const std::string& name, std::vector<std::string> command);
  std::vector<std::string> RedisCommand() const;
  std::vector<std::string> ServiceCommand(const std::string& service) const;
  absl::Status WaitUntilReady(Child& child);
  void LookAfter(Child& child);
  void PublishEndpoints();

  const UpOptions options_;
  const Layout layout_;
  const std::unique_ptr<FolderLock> lock_;
  const SystemClock clock_;
  std::vector<Child> children_;
  Endpoints endpoints_;
};

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_UP_SUPERVISOR_H_
