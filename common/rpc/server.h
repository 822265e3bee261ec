#ifndef HANDRAIL_COMMON_RPC_SERVER_H_
#define HANDRAIL_COMMON_RPC_SERVER_H_

#include <google/protobuf/descriptor.h>
#include <grpcpp/grpcpp.h>
#include <prometheus/registry.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/rpc/drain_notifier.h"
#include "common/rpc/health_watches.h"
#include "common/rpc/policy_table.h"
#include "common/rpc/server_options.h"

namespace handrail::rpc {

class AdminServer;

// A gRPC service and what it is called. Made by Registered<v1::MatchingService>(&handler).
struct RegisteredService {
  grpc::Service* service = nullptr;
  const google::protobuf::ServiceDescriptor* descriptor = nullptr;
};

// The descriptor of a generated service, for Edge::Create, before any handler exists.
template <typename Service>
const google::protobuf::ServiceDescriptor* DescriptorOf() {
  return google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
      Service::service_full_name());
}

template <typename Service>
RegisteredService Registered(grpc::Service* handler) {
  return {handler, DescriptorOf<Service>()};
}

// One thing that must be well before calls are sent here: a database that answers, a clock that is
// right. Called on the admin server's threads every time readiness is asked; at most a second each.
// The name is shown, the status is not.
struct ReadinessCheck {
  std::string name;
  std::function<absl::Status()> check;
};

struct ServerServices {
  std::vector<RegisteredService> public_services;
  std::vector<RegisteredService> internal_services;
  std::vector<ReadinessCheck> readiness;
  // Bring metrics up to date that are kept elsewhere; called before each answer to /metrics, on the
  // admin server's threads.
  std::vector<std::function<void()>> refresh_metrics;
};

// The listeners of a process: public, internal and admin. The settings are those of the security
// notes: bounded messages, metadata and streams, keepalive, ages of connections, no shared port.
//
// Each gRPC listener answers grpc.health.v1.Health: overall (the empty name) and for each service
// on it, SERVING while every readiness check passes, as of a second ago, and NOT_SERVING when one
// fails and from the beginning of a drain. Thread-safe.
class ServerHost {
 public:
  // Listens. INVALID_ARGUMENT / CONFIGURATION_INVALID when the options are at fault or a service
  // stands on a listener that `policy` does not have it on; UNAVAILABLE / CONFIGURATION_INVALID
  // when an address cannot be listened on, naming it. A Unix socket that a killed predecessor left
  // is replaced, one that answers is not. All references must outlive the host.
  static absl::StatusOr<std::unique_ptr<ServerHost>> Start(const ServerOptions& options,
                                                           const PolicyTable& policy,
                                                           ServerServices services,
                                                           DrainNotifier& drain,
                                                           prometheus::Registry& registry);
  ~ServerHost();

  // Where it listens, with the port that was taken.
  const std::string& public_address() const { return public_address_; }
  const std::string& internal_address() const { return internal_address_; }
  const std::string& admin_address() const { return admin_address_; }

  // Readiness off and NOT_SERVING; serve on; tell the streams and refuse what comes; close the
  // listeners and end what is left at the deadline. Blocks; idempotent.
  void Drain();
  // Stops at once: what is under way is cancelled.
  void Stop();

  // The names of the checks that fail; "draining" while it drains.
  std::vector<std::string> FailingChecks() const;

 private:
  ServerHost(const ServerOptions& options, ServerServices services, DrainNotifier& drain);
  absl::Status Listen(Listener listener);
  absl::Status StartAdmin(prometheus::Registry& registry);
  // Asks the readiness checks and tells the health services.
  void ReportHealth();
  // Until so much time has passed, or Stop is called.
  void WaitWhileDraining(absl::Duration duration);
  void Shutdown(absl::Duration deadline);

  const ServerOptions options_;
  const ServerServices services_;
  DrainNotifier& drain_;
  std::string public_address_;
  std::string internal_address_;
  std::string admin_address_;
  HealthWatches health_watches_;  // outlives the servers
  std::unique_ptr<grpc::Server> public_server_;
  std::unique_ptr<grpc::Server> internal_server_;
  std::unique_ptr<AdminServer> admin_;
  Mutex mutex_;
  CondVar hurry_;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::atomic<bool> ready_{true};
  Mutex health_mutex_;
  bool serving_ ABSL_GUARDED_BY(health_mutex_) = false;
  std::unique_ptr<PeriodicTask> health_;
};

// Blocks SIGTERM and SIGINT in the calling thread, and so in all it starts later: make it first in
// main. Also ignores SIGPIPE.
class SignalWaiter {
 public:
  SignalWaiter();
  ~SignalWaiter();
  SignalWaiter(const SignalWaiter&) = delete;
  SignalWaiter& operator=(const SignalWaiter&) = delete;

  // Blocks until SIGTERM or SIGINT comes, and returns it. From then on a second one ends the
  // process with status 1 at once.
  int Wait();

 private:
  std::thread second_;
  std::atomic<bool> stopping_{false};
};

// Lets gRPC and protobuf write to our log only, as one event without their text: it names fields of
// requests and addresses of peers. ServerHost::Start calls it.
void SilenceLibraries();

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_SERVER_H_
