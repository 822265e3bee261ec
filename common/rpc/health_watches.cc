#include "common/rpc/health_watches.h"

#include <grpc/grpc.h>
#include <grpcpp/server_context.h>

#include <vector>

#include "absl/strings/string_view.h"

namespace handrail::rpc {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

// A call is known from its beginning until its status goes out or the client is gone, both of which
// come before the call is freed.
class HealthWatches::Interceptor final : public grpc::experimental::Interceptor {
 public:
  Interceptor(HealthWatches& watches, grpc::experimental::ServerRpcInfo* info)
      : watches_(watches), info_(info) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    grpc_call* const call = info_->server_context()->c_call();
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      watches_.Add(call);
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS) ||
        methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_CLOSE)) {
      watches_.Remove(call);
    }
    methods->Proceed();
  }

 private:
  HealthWatches& watches_;
  grpc::experimental::ServerRpcInfo* const info_;
};

class HealthWatches::Factory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(HealthWatches& watches) : watches_(watches) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    if (absl::string_view(info->method()) != "/grpc.health.v1.Health/Watch") return nullptr;
    return new Interceptor(watches_, info);
  }

 private:
  HealthWatches& watches_;
};

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> HealthWatches::MakeFactory(
    HealthWatches& watches) {
  return std::make_unique<Factory>(watches);
}

void HealthWatches::Add(grpc_call* call) {
  {
    MutexLock lock(mutex_);
    if (!ended_) {
      open_.insert(call);
      return;
    }
  }
  grpc_call_cancel(call, nullptr);  // we are within the call: it lives
}

void HealthWatches::Remove(grpc_call* call) {
  MutexLock lock(mutex_);
  open_.erase(call);
}

void HealthWatches::End() {
  std::vector<grpc_call*> calls;
  {
    MutexLock lock(mutex_);
    ended_ = true;
    for (grpc_call* call : open_) {
      grpc_call_ref(call);
      calls.push_back(call);
    }
    open_.clear();
  }
  // Without the lock: the interceptor may run within.
  for (grpc_call* call : calls) {
    grpc_call_cancel(call, nullptr);
    grpc_call_unref(call);
  }
}

}  // namespace handrail::rpc
