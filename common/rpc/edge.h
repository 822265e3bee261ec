#ifndef HANDRAIL_COMMON_RPC_EDGE_H_
#define HANDRAIL_COMMON_RPC_EDGE_H_

#include <grpcpp/grpcpp.h>
#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/status.h"
#include "common/rpc/admission.h"
#include "common/rpc/authenticator.h"
#include "common/rpc/call_recorder.h"
#include "common/rpc/drain_notifier.h"
#include "common/rpc/policy_table.h"
#include "common/rpc/rate_limiter.h"
#include "common/rpc/validator.h"

namespace handrail::rpc {

struct EdgeOptions {
  // Threads that run blocking handlers; 0 means 16 a core.
  int worker_threads = 0;
  // Threads kept for safety calls, which never wait behind others.
  int safety_threads = 4;
  // Calls in flight, waiting ones included. The limit in force moves between the floor and this.
  int max_in_flight = 2'000;
  int min_in_flight = 64;
  // When work waits longer than this for a thread, fewer calls are let in.
  absl::Duration target_queue_wait = absl::Milliseconds(50);
  // The largest request of an app: 64 KiB of payload and what is around it. And of a service.
  int max_request_bytes = 80 * 1024;
  int internal_max_request_bytes = 4 * 1024 * 1024;
  int max_streams = 20'000;
  int max_streams_per_caller = 32;
  // Multiplies calls_per_minute of every method; 0 lifts the limit, for load tests.
  double rate_limit_scale = 1.0;
  // The listener stands behind a proxy of ours: the caller's address is its `x-real-ip`.
  bool behind_edge = false;
  // At most so many lines a second for refused and failed calls, so that a flood is not also a
  // flood of log lines. Answered calls are logged at debug.
  int failure_lines_per_second = 50;
};

// What the edge works with; everything must outlive it.
struct EdgeDependencies {
  const Clock& clock;
  Authenticator& tokens;    // public listener
  Authenticator& services;  // internal listener
  DrainNotifier& drain;
  prometheus::Registry& registry;
};

// Holds the place of an open stream; giving it back is its destruction. Goes into StreamOptions.
class StreamSlot {
 public:
  StreamSlot() = default;
  explicit StreamSlot(std::shared_ptr<void> hold) : hold_(std::move(hold)) {}

 private:
  std::shared_ptr<void> hold_;
};

// A stream that was let in: who asks and its place.
struct AdmittedStream {
  Call call;
  StreamSlot slot;
};

// Stands before every handler of a process. Before a handler runs, the call was admitted (not
// draining, a place in flight, safety first), its caller established, access and rate checked, its
// deadline checked and cut, its request validated and normalised. What the handler returns becomes
// a google.rpc.Status, one log line and the metrics of its method.
//
// What it refuses, beside the codes of Authenticator and Validator:
//   UNAVAILABLE / DRAINING, OVERLOADED     with RetryInfo
//   INVALID_ARGUMENT / REQUEST_TOO_LARGE   for up to four times the limit, then libgrpc refuses it
//   RESOURCE_EXHAUSTED / RATE_LIMITED      with RetryInfo
//   PERMISSION_DENIED / ROLE_REQUIRED      the caller is of another kind than the method's access
//   INVALID_ARGUMENT / DEADLINE_REQUIRED   a unary call without a deadline
//   DEADLINE_EXCEEDED, CANCELLED           it waited too long, or nobody waits any more
// Access SPONSOR is let in as MEMBER: only the service knows who has a sponsor profile.
//
// Thread-safe. Use in a CallbackService:
//
//   grpc::ServerUnaryReactor* RequestMatch(grpc::CallbackServerContext* context,
//                                          const v1::RequestMatchRequest* request,
//                                          v1::Ticket* response) override {
//     return edge_.Unary(context, request, response,
//                        [this](const Call& call, const v1::RequestMatchRequest& request,
//                               v1::Ticket* response) -> absl::Status { ... });
//   }
class Edge {
 public:
  using Descriptors = absl::Span<const google::protobuf::ServiceDescriptor* const>;

  // Codes as of PolicyTable::Create and Validator::Prepare.
  static absl::StatusOr<std::unique_ptr<Edge>> Create(const EdgeOptions& options,
                                                      const EdgeDependencies& dependencies,
                                                      Descriptors public_services,
                                                      Descriptors internal_services);
  ~Edge();

  // Runs `handler(const Call&, const Request&, Response*) -> absl::Status` on the worker pool,
  // where it may block. Returns at once; for CallbackService methods.
  template <typename Request, typename Response, typename Handler>
  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, const Request* request,
                                  Response* response, Handler handler);

  // For hot paths: runs `handler(const Call&, const Request&, Response*, std::function<void(
  // absl::Status)> done)` here and now, in gRPC's reaction, so it must not block; it hands its work
  // to a queue of its own and calls `done` exactly once, from any thread. Call, request and
  // response live until `done`.
  template <typename Request, typename Response, typename Handler>
  grpc::ServerUnaryReactor* UnaryAsync(grpc::CallbackServerContext* context, const Request* request,
                                       Response* response, Handler handler);

  // For streams. The request is validated and normalised in place. The place in flight of the
  // stream is held by the slot. A refusal is answered with RefuseStream of stream_writer.h.
  template <typename Request>
  absl::StatusOr<AdmittedStream> AdmitStream(grpc::CallbackServerContext* context,
                                             const Request& request) {
    return AdmitStreamOf(context, Request::descriptor(), Mutable(&request));
  }
  // For client-streaming and bidirectional methods, whose requests come later: each is given to
  // ValidateMessage. AdmitStream<v1::ConnectRequest>(context).
  template <typename Request>
  absl::StatusOr<AdmittedStream> AdmitStream(grpc::CallbackServerContext* context) {
    return AdmitStreamOf(context, Request::descriptor(), nullptr);
  }
  // Validator::Check for one message of a stream. One that is too large is refused like a unary one
  // and emptied.
  absl::Status ValidateMessage(google::protobuf::Message* message) const;
  // The rate limit of a unary method for work that came over a stream (SendMessage on Connect):
  // RESOURCE_EXHAUSTED / RATE_LIMITED. By the request of the unary method.
  template <typename Request>
  absl::Status CheckRate(const Call& call) {
    return CheckRateOf(call, Request::descriptor());
  }
  // A number of calls that are under way, streams not counted.
  int InFlight() const { return admission_.InFlight(); }
  const PolicyTable& policy() const { return policy_; }

 private:
  // One unary call between its admission and its answer.
  struct UnaryCall {
    Call call;
    const MethodRow* row = nullptr;
    grpc::CallbackServerContext* context = nullptr;
    grpc::ServerUnaryReactor* reactor = nullptr;
    int64_t start_ns = 0;
    int64_t queued_ns = 0;
  };

  Edge(const EdgeOptions& options, const EdgeDependencies& dependencies, PolicyTable policy);
  absl::Status Prepare();

  // The message of a call belongs to this call alone and was made non-const by gRPC, which hands it
  // to handlers as const; normalising it in place saves a copy per call.
  static google::protobuf::Message* Mutable(const google::protobuf::Message* message) {
    return const_cast<google::protobuf::Message*>(message);
  }

  // Admits a call; null when it was refused and the reactor is finished already.
  std::shared_ptr<UnaryCall> Begin(grpc::CallbackServerContext* context,
                                   const google::protobuf::Message* request,
                                   grpc::ServerUnaryReactor* reactor);
  absl::Status Check(grpc::CallbackServerContext* context, const MethodRow& row,
                     google::protobuf::Message* request, Call* call);
  // REQUEST_TOO_LARGE; `request` is then empty, so that it takes no memory while it is refused.
  absl::Status CheckSize(const MethodRow& row, google::protobuf::Message* request) const;
  // What a call gets that does not enter at all.
  absl::Status CheckEntry(const MethodRow& row, google::protobuf::Message* request);
  absl::Status CheckDeadline(const grpc::CallbackServerContext& context, const MethodRow& row,
                             Call* call) const;
  absl::StatusOr<Principal> Identify(const grpc::CallbackServerContext& context,
                                     const MethodRow& row);
  absl::Status CheckRateOf(const Call& call, const google::protobuf::Descriptor* request);
  absl::Status CheckRow(const MethodRow& row, absl::string_view caller);
  absl::StatusOr<AdmittedStream> AdmitStreamOf(grpc::CallbackServerContext* context,
                                               const google::protobuf::Descriptor* type,
                                               google::protobuf::Message* request);
  // Hands over to the pool of the call's class; completes the call when the pool is full.
  void HandOver(std::shared_ptr<UnaryCall> unary, std::function<absl::Status()> work);
  void Complete(UnaryCall& unary, const absl::Status& status);

  const EdgeOptions options_;
  EdgeDependencies dependencies_;
  const PolicyTable policy_;
  Validator validator_;
  Admission admission_;
  StreamCounter streams_;
  RateLimiter rate_limiter_;
  CallRecorder recorder_;
  std::unique_ptr<Executor> workers_;
  std::unique_ptr<Executor> safety_workers_;
};

template <typename Request, typename Response, typename Handler>
grpc::ServerUnaryReactor* Edge::Unary(grpc::CallbackServerContext* context, const Request* request,
                                      Response* response, Handler handler) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  std::shared_ptr<UnaryCall> unary = Begin(context, request, reactor);
  if (unary == nullptr) return reactor;
  UnaryCall* const borrowed = unary.get();  // HandOver keeps it while the work runs
  HandOver(std::move(unary),
           [borrowed, request, response, handler = std::move(handler)]() mutable -> absl::Status {
             return handler(static_cast<const Call&>(borrowed->call), *request, response);
           });
  return reactor;
}

template <typename Request, typename Response, typename Handler>
grpc::ServerUnaryReactor* Edge::UnaryAsync(grpc::CallbackServerContext* context,
                                           const Request* request, Response* response,
                                           Handler handler) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  std::shared_ptr<UnaryCall> unary = Begin(context, request, reactor);
  if (unary == nullptr) return reactor;
  UnaryCall* const borrowed = unary.get();
  handler(static_cast<const Call&>(borrowed->call), *request, response,
          std::function<void(absl::Status)>(
              [this, unary = std::move(unary)](absl::Status status) { Complete(*unary, status); }));
  return reactor;
}

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_EDGE_H_
