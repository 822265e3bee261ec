#ifndef HANDRAIL_COMMON_RPC_VALIDATOR_H_
#define HANDRAIL_COMMON_RPC_VALIDATOR_H_

#include <google/protobuf/message.h>

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace handrail::rpc {

// Checks a request by the FieldRule options of its fields, nested, repeated and map fields
// included, and brings it into the form that handlers work on: text in Unicode NFC, unknown fields
// gone.
//
// Refuses, all violations at once (at most 16 are named), with INVALID_ARGUMENT and field paths
// such as `profile.languages[2]`:
//   FIELD_INVALID          a required field that is empty; bytes, items or numbers out of bounds;
//                          text that is no UTF-8 or holds a control, bidirectional-control, other
//                          invisible or unassigned character; an unknown time zone, language or
//                          country; a timestamp, duration or date out of range; nesting beyond 32
//   RESOURCE_NAME_INVALID  only resource names are at fault
//   ENUM_UNKNOWN           only unknown enum values are at fault
//   REQUEST_ID_REQUIRED    only a missing or malformed `request_id` is at fault
// The descriptions quote nothing of the request.
//
// Rules are compiled once per message type; after that a call takes microseconds. Thread-safe.
class Validator {
 public:
  static constexpr int kMaxDepth = 32;
  static constexpr int kMaxViolations = 16;

  Validator();
  ~Validator();
  Validator(const Validator&) = delete;
  Validator& operator=(const Validator&) = delete;

  // Compiles the rules of a type and of the types within it. Not thread-safe: before the first
  // Check. INVALID_ARGUMENT / CONFIGURATION_INVALID for a rule that makes no sense on its field.
  absl::Status Prepare(const google::protobuf::Descriptor* type);

  // The type must have been prepared. On failure the message may be normalised in part.
  absl::Status Check(google::protobuf::Message* message) const;

  // The field marked `request_id: true` of this message, or empty.
  std::string RequestIdOf(const google::protobuf::Message& message) const;
  bool HasRequestId(const google::protobuf::Descriptor* type) const;

  struct Plan;  // the compiled rules of one type

 private:
  absl::Status Compile(const google::protobuf::Descriptor* type, Plan** result);

  absl::flat_hash_map<const google::protobuf::Descriptor*, std::unique_ptr<Plan>> plans_;
};

// SHA-256 (32 bytes) over the type's name and the deterministic serialisation of the whole request.
std::string RequestHash(const google::protobuf::Message& request);

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_VALIDATOR_H_
