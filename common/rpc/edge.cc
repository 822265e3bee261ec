#include "common/rpc/edge.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/rpc/status_conversion.h"

namespace handrail::rpc {
namespace {

using common::v1::Access;

int64_t SteadyNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

int WorkerThreads(const EdgeOptions& options) {
  if (options.worker_threads > 0) return options.worker_threads;
  return 16 * static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

Error Overloaded() {
  return Error(absl::StatusCode::kUnavailable, reason::kOverloaded)
      .Message("there is more to do than can be done in time; try again")
      .RetryAfter(absl::Seconds(1));
}

// W3C trace context: version-trace-parent-flags. Only the trace is of use here.
std::string TraceIdOf(const grpc::CallbackServerContext& context) {
  const auto it = context.client_metadata().find("traceparent");
  if (it == context.client_metadata().end()) return "";
  const absl::string_view value(it->second.data(), it->second.size());
  constexpr size_t kLength = 55;
  if (value.size() != kLength || !absl::StartsWith(value, "00-") || value[35] != '-') return "";
  const absl::string_view trace = value.substr(3, 32);
  const bool is_hex = std::all_of(trace.begin(), trace.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
  });
  return is_hex ? std::string(trace) : "";
}

// "ipv4:192.0.2.7:5012" without the port, which changes with every connection.
std::string AddressOf(const grpc::CallbackServerContext& context, bool behind_edge) {
  if (behind_edge) {
    // Set by our proxy, which overwrites what a client sends.
    const auto it = context.client_metadata().find("x-real-ip");
    if (it != context.client_metadata().end()) {
      return std::string(it->second.data(), std::min<size_t>(it->second.size(), 64));
    }
  }
  std::string peer = context.peer();
  const size_t colon = peer.rfind(':');
  if (colon != std::string::npos && !absl::StartsWith(peer, "unix:")) peer.resize(colon);
  return peer;
}

// Who the rate limit counts for.
std::string CallerKey(const Principal& who, const grpc::CallbackServerContext& context,
                      bool behind_edge) {
  switch (who.kind) {
    case Principal::Kind::kService: return who.service;
    case Principal::Kind::kAnonymous: return AddressOf(context, behind_edge);
    default: return std::string(who.member.Bytes());
  }
}

bool IsLetIn(Access access, Principal::Kind kind) {
  switch (access) {
    case Access::ACCESS_PUBLIC: return true;
    case Access::ACCESS_MEMBER:
    case Access::ACCESS_SPONSOR:
      // Staff are members, too, when they act for themselves.
      return kind == Principal::Kind::kMember || kind == Principal::Kind::kStaff;
    case Access::ACCESS_STAFF: return kind == Principal::Kind::kStaff;
    case Access::ACCESS_OPERATOR: return kind == Principal::Kind::kOperator;
    case Access::ACCESS_SERVICE: return kind == Principal::Kind::kService;
    default: return false;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Edge>> Edge::Create(const EdgeOptions& options,
                                                   const EdgeDependencies& dependencies,
                                                   Descriptors public_services,
                                                   Descriptors internal_services) {
  ASSIGN_OR_RETURN(PolicyTable policy, PolicyTable::Create(public_services, internal_services));
  std::unique_ptr<Edge> edge(new Edge(options, dependencies, std::move(policy)));
  RETURN_IF_ERROR(edge->Prepare());
  return edge;
}

Edge::Edge(const EdgeOptions& options, const EdgeDependencies& dependencies, PolicyTable policy)
    : options_(options),
      dependencies_(dependencies),
      policy_(std::move(policy)),
      admission_(options.min_in_flight, options.max_in_flight, options.target_queue_wait),
      streams_(options.max_streams, options.max_streams_per_caller),
      rate_limiter_(options.rate_limit_scale),
      recorder_(dependencies.registry, policy_, options.failure_lines_per_second),
      // The in-flight limit is what bounds the queues; theirs is only there to be never reached.
      workers_(std::make_unique<Executor>(WorkerThreads(options),
                                          static_cast<size_t>(options.max_in_flight) + 1)),
      safety_workers_(std::make_unique<Executor>(std::max(1, options.safety_threads),
                                                 static_cast<size_t>(options.max_in_flight) + 1)) {}

Edge::~Edge() {
  workers_->Stop();
  safety_workers_->Stop();
}

absl::Status Edge::Prepare() {
  for (const MethodRow& row : policy_.rows()) {
    RETURN_IF_ERROR(validator_.Prepare(row.descriptor->input_type()));
  }
  return absl::OkStatus();
}

std::shared_ptr<Edge::UnaryCall> Edge::Begin(grpc::CallbackServerContext* context,
                                             const google::protobuf::Message* request,
                                             grpc::ServerUnaryReactor* reactor) {
  const int64_t start_ns = SteadyNanoseconds();
  const MethodRow* row = policy_.Find(request->GetDescriptor());
  if (row == nullptr) {
    // A handler that was registered beside the table; ServerHost does not let that happen.
    reactor->Finish(ToGrpcStatus(Error(absl::StatusCode::kInternal, reason::kInternal)));
    return nullptr;
  }
  absl::Status entry = CheckEntry(*row, Mutable(request));
  if (entry.ok() && !admission_.TryEnter(row->call_class)) entry = Overloaded();
  if (!entry.ok()) {
    recorder_.Record(*row, entry, SteadyNanoseconds() - start_ns, start_ns, "");
    reactor->Finish(ToGrpcStatus(entry));
    return nullptr;
  }
  auto unary = std::make_shared<UnaryCall>();
  unary->row = row;
  unary->context = context;
  unary->reactor = reactor;
  unary->start_ns = start_ns;
  const absl::Status status = Check(context, *row, Mutable(request), &unary->call);
  if (!status.ok()) {
    Complete(*unary, status);
    return nullptr;
  }
  return unary;
}

absl::Status Edge::CheckEntry(const MethodRow& row, google::protobuf::Message* request) {
  if (dependencies_.drain.Draining()) {
    return Error(absl::StatusCode::kUnavailable, reason::kDraining)
        .Message("this server stops; try again on another connection")
        .RetryAfter(absl::Milliseconds(100));
  }
  return request == nullptr ? absl::OkStatus() : CheckSize(row, request);
}

absl::Status Edge::CheckSize(const MethodRow& row, google::protobuf::Message* request) const {
  const int most = row.listener == Listener::kInternal ? options_.internal_max_request_bytes
                                                       : options_.max_request_bytes;
  const size_t size = request->ByteSizeLong();
  if (size <= static_cast<size_t>(most)) return absl::OkStatus();
  const std::unique_ptr<google::protobuf::Message> empty(request->New());
  request->GetReflection()->Swap(request, empty.get());
  return Error(absl::StatusCode::kInvalidArgument, reason::kRequestTooLarge)
      .Message("the request is larger than the server takes")
      .Detail("bytes", absl::StrCat(size))
      .Detail("max_bytes", absl::StrCat(most));
}

absl::Status Edge::ValidateMessage(google::protobuf::Message* message) const {
  const MethodRow* row = policy_.Find(message->GetDescriptor());
  if (row != nullptr) RETURN_IF_ERROR(CheckSize(*row, message));
  return validator_.Check(message);
}

absl::Status Edge::Check(grpc::CallbackServerContext* context, const MethodRow& row,
                         google::protobuf::Message* request, Call* call) {
  call->method = row.method;
  call->trace_id = TraceIdOf(*context);
  RETURN_IF_ERROR(CheckDeadline(*context, row, call));
  ASSIGN_OR_RETURN(call->who, Identify(*context, row));
  RETURN_IF_ERROR(CheckRow(row, CallerKey(call->who, *context, options_.behind_edge)));
  if (request == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(validator_.Check(request));
  if (validator_.HasRequestId(request->GetDescriptor())) {
    call->request_id = validator_.RequestIdOf(*request);
    call->request_hash = RequestHash(*request);
  }
  return absl::OkStatus();
}

absl::Status Edge::CheckDeadline(const grpc::CallbackServerContext& context, const MethodRow& row,
                                 Call* call) const {
  const gpr_timespec deadline = context.raw_deadline();
  absl::Duration left = absl::InfiniteDuration();
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0) {
    if (!row.streaming) {
      return Error(absl::StatusCode::kInvalidArgument, reason::kDeadlineRequired)
          .Message("the call needs a deadline");
    }
  } else {
    const gpr_timespec difference = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
    left = absl::Seconds(difference.tv_sec) + absl::Nanoseconds(difference.tv_nsec);
    if (left <= absl::ZeroDuration()) {
      return Error(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded)
          .Message("the call took longer than its deadline");
    }
  }
  call->deadline = dependencies_.clock.Now() + std::min(left, row.max_deadline);
  return absl::OkStatus();
}

absl::StatusOr<Principal> Edge::Identify(const grpc::CallbackServerContext& context,
                                         const MethodRow& row) {
  if (row.access == Access::ACCESS_PUBLIC) return Principal();  // a token is not looked at
  Authenticator& authenticator =
      row.listener == Listener::kInternal ? dependencies_.services : dependencies_.tokens;
  ASSIGN_OR_RETURN(Principal who, authenticator.Authenticate(context, row));
  if (!IsLetIn(row.access, who.kind)) {
    return Error(absl::StatusCode::kPermissionDenied, reason::kRoleRequired)
        .Message("the caller may not call this method");
  }
  return who;
}

absl::Status Edge::CheckRow(const MethodRow& row, absl::string_view caller) {
  if (row.listener == Listener::kInternal) return absl::OkStatus();  // our own, bounded by design
  const absl::Duration wait =
      rate_limiter_.Take(row.index, caller, row.calls_per_minute, dependencies_.clock.Now());
  if (wait == absl::ZeroDuration()) return absl::OkStatus();
  return Error(absl::StatusCode::kResourceExhausted, reason::kRateLimited)
      .Message("too many calls in a short time")
      .RetryAfter(wait);
}

absl::Status Edge::CheckRateOf(const Call& call, const google::protobuf::Descriptor* request) {
  const MethodRow* row = policy_.Find(request);
  if (row == nullptr) {
    return Error(absl::StatusCode::kInternal, reason::kInternal)
        .Message("no method has this request");
  }
  return CheckRow(*row, call.who.member.Bytes());
}

absl::StatusOr<AdmittedStream> Edge::AdmitStreamOf(grpc::CallbackServerContext* context,
                                                   const google::protobuf::Descriptor* type,
                                                   google::protobuf::Message* request) {
  const int64_t start_ns = SteadyNanoseconds();
  const MethodRow* row = policy_.Find(type);
  if (row == nullptr) return Error(absl::StatusCode::kInternal, reason::kInternal);
  AdmittedStream admitted;
  absl::Status status = CheckEntry(*row, request);
  if (status.ok()) status = Check(context, *row, request, &admitted.call);
  if (status.ok()) {
    auto slot = streams_.Enter(CallerKey(admitted.call.who, *context, options_.behind_edge));
    if (slot.ok()) admitted.slot = StreamSlot(*std::move(slot));
    status = slot.status();
  }
  status = WithReason(status);
  recorder_.Record(*row, status, SteadyNanoseconds() - start_ns, start_ns, admitted.call.trace_id);
  if (!status.ok()) return status;
  return admitted;
}

void Edge::HandOver(std::shared_ptr<UnaryCall> unary, std::function<absl::Status()> work) {
  unary->queued_ns = SteadyNanoseconds();
  const bool is_safety = unary->row->call_class == common::v1::CALL_CLASS_SAFETY;
  Executor& pool = is_safety ? *safety_workers_ : *workers_;
  const bool taken = pool.TryRun([this, unary, is_safety, work = std::move(work)] {
    const int64_t now_ns = SteadyNanoseconds();
    if (!is_safety) admission_.ObserveWait(now_ns - unary->queued_ns, now_ns);
    if (unary->context->IsCancelled()) {
      Complete(*unary, Error(absl::StatusCode::kCancelled, reason::kCancelled)
                           .Message("the caller does not wait any more"));
    } else if (dependencies_.clock.Now() >= unary->call.deadline) {
      Complete(*unary, Error(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded)
                           .Message("the call waited longer than its deadline"));
    } else {
      Complete(*unary, work());
    }
  });
  if (!taken) Complete(*unary, Overloaded());
}

void Edge::Complete(UnaryCall& unary, const absl::Status& status) {
  const absl::Status answer = WithReason(status);
  const int64_t now_ns = SteadyNanoseconds();
  recorder_.Record(*unary.row, answer, now_ns - unary.start_ns, now_ns, unary.call.trace_id);
  admission_.Leave();
  unary.reactor->Finish(ToGrpcStatus(answer));  // the context is gone after it
}

}  // namespace handrail::rpc
