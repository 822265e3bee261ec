#ifndef HANDRAIL_COMMON_RPC_POLICY_TABLE_H_
#define HANDRAIL_COMMON_RPC_POLICY_TABLE_H_

#include <google/protobuf/descriptor.h>

#include <deque>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "handrail/common/v1/policy.pb.h"

namespace handrail::rpc {

// The two doors of a process: apps come through the public one with a token, other services through
// the internal one with an identity of the transport.
enum class Listener { kPublic, kInternal };

// What one method says about itself in the proto, with the defaults filled in.
struct MethodRow {
  std::string method;  // "/handrail.matching.v1.MatchingService/RequestMatch"
  const google::protobuf::MethodDescriptor* descriptor = nullptr;
  Listener listener = Listener::kPublic;
  common::v1::Access access = common::v1::ACCESS_UNSPECIFIED;
  common::v1::CallClass call_class = common::v1::CALL_CLASS_BROWSING;
  // A longer deadline is cut to this. Unary calls have 30 s unless the proto says otherwise;
  // infinite for a stream that names none.
  absl::Duration max_deadline;
  bool write = false;
  int calls_per_minute = 600;
  bool streaming = false;
  size_t index = 0;  // 0..size()-1, for arrays beside the table
};

// Every method that a process serves. Immutable once made, so free to read from any thread.
class PolicyTable {
 public:
  // Reads the options of all methods. INVALID_ARGUMENT / CONFIGURATION_INVALID, naming every fault
  // at once, when a method has no policy or no access rule, when access SERVICE stands on the
  // public listener or another access on the internal one, when a write has no `request_id`, and
  // when two methods share a request message (the table is looked up by it).
  static absl::StatusOr<PolicyTable> Create(
      absl::Span<const google::protobuf::ServiceDescriptor* const> public_services,
      absl::Span<const google::protobuf::ServiceDescriptor* const> internal_services);

  // The row of the method with this request; null when no registered service has it.
  const MethodRow* Find(const google::protobuf::Descriptor* request) const;
  const std::deque<MethodRow>& rows() const { return rows_; }
  size_t size() const { return rows_.size(); }

 private:
  std::deque<MethodRow> rows_;  // rows stay where they are
  absl::flat_hash_map<const google::protobuf::Descriptor*, const MethodRow*> by_request_;
};

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_POLICY_TABLE_H_
