#ifndef HANDRAIL_COMMON_BASE_CALL_H_
#define HANDRAIL_COMMON_BASE_CALL_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"

namespace handrail {

// Who is behind a call, as the edge established it. Nothing in it came from the request body.
struct Principal {
  enum class Kind { kAnonymous, kMember, kStaff, kOperator, kService };
  Kind kind = Kind::kAnonymous;
  MemberId member;      // kMember and kStaff
  DeviceId device;      // kMember and kStaff
  std::string service;  // kService: "profiles", "matching", "messaging"
};

// What every domain function takes first: who asks, how long is left, and under which request id.
struct Call {
  Principal who;
  // What is left until here is the timeout of every step below.
  absl::Time deadline = absl::InfiniteFuture();
  // The full method, "/handrail.matching.v1.MatchingService/RequestMatch"; a string literal's life.
  absl::string_view method;
  // Empty for reads. With `who` and `method` it names one write for 7 days.
  std::string request_id;
  // SHA-256 over the canonical request, so that one id cannot mean two requests.
  std::string request_hash;
  // W3C trace id, 32 hexadecimal digits, or empty.
  std::string trace_id;
};

}  // namespace handrail

#endif  // HANDRAIL_COMMON_BASE_CALL_H_
