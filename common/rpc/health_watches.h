#ifndef HANDRAIL_COMMON_RPC_HEALTH_WATCHES_H_
#define HANDRAIL_COMMON_RPC_HEALTH_WATCHES_H_

#include <grpcpp/support/server_interceptor.h>

#include <memory>

#include "absl/container/flat_hash_set.h"
#include "common/base/mutex.h"

struct grpc_call;

namespace handrail::rpc {

// The open calls of grpc.health.v1.Health/Watch. libgrpc never ends them, so one watcher would keep
// a server from stopping until its deadline. Thread-safe.
class HealthWatches {
 public:
  // Ends those that are open and those that come: the watcher gets CANCELLED, after the NOT_SERVING
  // that it was told before.
  void End();

  // For the server whose calls these are. `watches` must outlive the server.
  static std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeFactory(
      HealthWatches& watches);

 private:
  class Interceptor;
  class Factory;
  void Add(grpc_call* call);
  void Remove(grpc_call* call);

  Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_set<grpc_call*> open_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_HEALTH_WATCHES_H_
