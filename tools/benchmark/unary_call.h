#ifndef HANDRAIL_TOOLS_BENCHMARK_UNARY_CALL_H_
#define HANDRAIL_TOOLS_BENCHMARK_UNARY_CALL_H_

#include <grpc/support/time.h>
#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace handrail::benchmark {

// Connections to one server. An HTTP/2 connection carries at most 100 calls of Handrail's services
// at once, and one connection is served by one thread at a time: a load needs several.
template <typename Service>
class Connections {
 public:
  using AsyncStub = typename Service::Stub::async;

  Connections(const std::string& address, int count,
              grpc::ChannelArguments arguments = grpc::ChannelArguments()) {
    for (int i = 0; i < count; ++i) {
      // Else channels to one address share a connection.
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      stubs_.push_back(Service::NewStub(
          grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)));
    }
  }
  AsyncStub* operator[](int64_t lane) const {
    return stubs_[static_cast<size_t>(lane) % stubs_.size()]->async();
  }

 private:
  std::vector<std::unique_ptr<typename Service::Stub>> stubs_;
};

// What gRPC calls a deadline.
inline gpr_timespec FromNow(int64_t milliseconds) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_millis(milliseconds, GPR_TIMESPAN));
}

// What a call carries beside its request.
struct CallOptions {
  absl::string_view authorization;  // empty: none
  int64_t deadline_ms = 20'000;
};

// Starts a unary call and returns at once; `then(const grpc::Status&, Response&)` runs once, on a
// thread of gRPC, and must not block.
template <typename AsyncStub, typename Request, typename Response, typename Then>
void StartCall(AsyncStub* stub,
               void (AsyncStub::*method)(grpc::ClientContext*, const Request*, Response*,
                                         std::function<void(grpc::Status)>),
               CallOptions options, Request request, Then then) {
  struct Pending {
    grpc::ClientContext context;
    Request request;
    Response response;
    Then then;
    Pending(Request asked, Then wanted) : request(std::move(asked)), then(std::move(wanted)) {}
  };
  auto* pending = new Pending(std::move(request), std::move(then));
  pending->context.set_deadline(FromNow(options.deadline_ms));
  if (!options.authorization.empty()) {
    pending->context.AddMetadata("authorization", std::string(options.authorization));
  }
  (stub->*method)(&pending->context, &pending->request, &pending->response,
                  [pending](grpc::Status status) {
                    const std::unique_ptr<Pending> owned(pending);
                    owned->then(status, owned->response);
                  });
}

inline absl::Status ToAbsl(const grpc::Status& status, absl::string_view what) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat(std::string(what), ": ", status.error_message()));
}

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_UNARY_CALL_H_
