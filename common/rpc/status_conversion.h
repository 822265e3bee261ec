#ifndef HANDRAIL_COMMON_RPC_STATUS_CONVERSION_H_
#define HANDRAIL_COMMON_RPC_STATUS_CONVERSION_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace handrail::rpc {

// What goes out on the wire: the canonical code, the message, and a google.rpc.Status in
// `grpc-status-details-bin` with ErrorInfo{reason, domain "handrail", metadata} always, BadRequest
// when fields are at fault and RetryInfo when there is a delay. A status that was not made by
// handrail::Error may quote text of a library or of a member; it becomes INTERNAL with reason
// INTERNAL and a fixed text (CANCELLED and DEADLINE_EXCEEDED keep their code).
grpc::Status ToGrpcStatus(const absl::Status& status);

// The first half of ToGrpcStatus: `status` when handrail::Error made it, else what stands for it.
absl::Status WithReason(const absl::Status& status);

// The way back, for clients: a status as if made by handrail::Error here. Without details of ours
// (the peer cannot be reached, a proxy answered) the code is kept and the reason is
// PEER_UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED or INTERNAL after it; the peer's text is dropped.
absl::Status FromGrpcStatus(const grpc::Status& status);

// "OK", "INVALID_ARGUMENT", ...: a static string.
absl::string_view CodeName(absl::StatusCode code);

// The answer to a request that protobuf cannot parse, one with text that is no UTF-8 for instance:
// INVALID_ARGUMENT / FIELD_INVALID.
absl::Status UnreadableRequest();

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_STATUS_CONVERSION_H_
