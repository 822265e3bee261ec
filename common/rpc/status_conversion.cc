#include "common/rpc/status_conversion.h"

#include <string>
#include <utility>

#include "common/base/status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace handrail::rpc {
namespace {

constexpr absl::string_view kDomain = "handrail";

// gRPC's binary metadata and proxies bound the size of trailers: more violations than this help
// nobody.
constexpr size_t kMaxFieldViolations = 16;

google::rpc::Status DetailedStatus(const absl::Status& status, const ErrorDetails& details) {
  google::rpc::Status detailed;
  detailed.set_code(static_cast<int>(status.code()));
  detailed.set_message(std::string(status.message()));
  google::rpc::ErrorInfo info;
  info.set_reason(details.reason);
  info.set_domain(std::string(kDomain));
  for (const auto& [key, value] : details.metadata) (*info.mutable_metadata())[key] = value;
  detailed.add_details()->PackFrom(info);
  if (!details.field_violations.empty()) {
    google::rpc::BadRequest bad;
    for (const auto& [path, description] : details.field_violations) {
      if (static_cast<size_t>(bad.field_violations_size()) == kMaxFieldViolations) break;
      auto* violation = bad.add_field_violations();
      violation->set_field(path);
      violation->set_description(description);
    }
    detailed.add_details()->PackFrom(bad);
  }
  if (details.retry_after.has_value()) {
    google::rpc::RetryInfo retry;
    const int64_t microseconds = absl::ToInt64Microseconds(*details.retry_after);
    retry.mutable_retry_delay()->set_seconds(microseconds / 1'000'000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int>(microseconds % 1'000'000) * 1'000);
    detailed.add_details()->PackFrom(retry);
  }
  return detailed;
}

// The statuses that gRPC, absl and the deadline of a call make on their own; anything else foreign
// is ours to look into, and INTERNAL to the outside.
absl::Status WithoutForeignText(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kCancelled:
      return Error(absl::StatusCode::kCancelled, reason::kCancelled)
          .Message("the call was cancelled");
    case absl::StatusCode::kDeadlineExceeded:
      return Error(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded)
          .Message("the call took longer than its deadline");
    default:
      return Error(absl::StatusCode::kInternal, reason::kInternal)
          .Message("something went wrong on our side");
  }
}

absl::Status WithoutDetails(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kDeadlineExceeded: return WithoutForeignText(absl::Status(code, ""));
    case absl::StatusCode::kUnavailable:
      return Error(code, reason::kPeerUnavailable).Message("the service cannot be reached");
    default:
      return Error(code, reason::kInternal).Message("the service gave an answer without a reason");
  }
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const ErrorDetails details = DetailsOf(status);
  if (details.reason.empty()) return ToGrpcStatus(WithReason(status));
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
                      DetailedStatus(status, details).SerializeAsString());
}

absl::Status WithReason(const absl::Status& status) {
  if (status.ok() || !ReasonOf(status).empty()) return status;
  return WithoutForeignText(status);
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  google::rpc::Status detailed;
  if (status.error_details().empty() || !detailed.ParseFromString(status.error_details())) {
    return WithoutDetails(code);
  }
  google::rpc::ErrorInfo info;
  google::rpc::BadRequest bad;
  google::rpc::RetryInfo retry;
  bool has_info = false;
  bool has_retry = false;
  for (const auto& detail : detailed.details()) {
    if (detail.UnpackTo(&info)) {
      has_info = info.domain() == kDomain && !info.reason().empty();
    } else if (detail.UnpackTo(&retry)) {
      has_retry = true;
    } else {
      detail.UnpackTo(&bad);
    }
  }
  if (!has_info) return WithoutDetails(code);
  Error error(code, info.reason());
  error.Message(status.error_message());
  for (const auto& [key, value] : info.metadata()) error.Detail(key, value);
  for (const auto& violation : bad.field_violations()) {
    error.Field(violation.field(), violation.description());
  }
  if (has_retry) {
    error.RetryAfter(absl::Seconds(retry.retry_delay().seconds()) +
                     absl::Nanoseconds(retry.retry_delay().nanos()));
  }
  return error;
}

absl::Status UnreadableRequest() {
  return Error(absl::StatusCode::kInvalidArgument, reason::kFieldInvalid)
      .Message("the request cannot be read: is all text UTF-8?");
}

absl::string_view CodeName(absl::StatusCode code) {
  static constexpr absl::string_view kNames[] = {"OK",
                                                 "CANCELLED",
                                                 "UNKNOWN",
                                                 "INVALID_ARGUMENT",
                                                 "DEADLINE_EXCEEDED",
                                                 "NOT_FOUND",
                                                 "ALREADY_EXISTS",
                                                 "PERMISSION_DENIED",
                                                 "RESOURCE_EXHAUSTED",
                                                 "FAILED_PRECONDITION",
                                                 "ABORTED",
                                                 "OUT_OF_RANGE",
                                                 "UNIMPLEMENTED",
                                                 "INTERNAL",
                                                 "UNAVAILABLE",
                                                 "DATA_LOSS",
                                                 "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "UNKNOWN";
}

}  // namespace handrail::rpc
