#ifndef HANDRAIL_COMMON_RPC_ADMIN_SERVER_H_
#define HANDRAIL_COMMON_RPC_ADMIN_SERVER_H_

#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace handrail::rpc {

// Plain HTTP for probes and Prometheus: a port that only the cluster reaches. Four threads.
//   /livez    200, or 503 when the listener does not take a connection
//   /readyz   200, or 503 with the names of the failing checks, one a line
//   /metrics  the registry as Prometheus text
class AdminServer {
 public:
  struct Probes {
    std::function<bool()> live;
    std::function<std::vector<std::string>()> failing_checks;
    std::function<void()> refresh_metrics = [] {};  // before /metrics is answered
  };
  // `address` is host:port; port 0 takes a free one. UNAVAILABLE / CONFIGURATION_INVALID when it
  // cannot be listened on.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(const std::string& address,
                                                            Probes probes,
                                                            prometheus::Registry& registry);
  ~AdminServer();  // stops

  const std::string& address() const;

 private:
  struct Impl;
  explicit AdminServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_ADMIN_SERVER_H_
