#ifndef HANDRAIL_COMMON_BASE_STATUS_H_
#define HANDRAIL_COMMON_BASE_STATUS_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/macros.h"
#include "common/base/reason.h"

namespace handrail {

// What an error says beside its code, as plain data. common/rpc turns it into google.rpc.ErrorInfo,
// BadRequest and RetryInfo at the edge; no other layer knows those messages.
struct ErrorDetails {
  std::string reason;                           // one of handrail::reason
  std::map<std::string, std::string> metadata;  // resource names, limits; never personal data
  std::vector<std::pair<std::string, std::string>> field_violations;  // path, description
  std::optional<absl::Duration> retry_after;
};

// Builds an absl::Status that carries ErrorDetails, and converts to it:
//
//   return Error(absl::StatusCode::kFailedPrecondition, reason::kOfferNotOpen)
//       .Message("this offer is no longer open")
//       .Detail("offer", name);
//
// The message is for a person and holds neither personal data nor text that a member wrote.
class Error {
 public:
  Error(absl::StatusCode code, absl::string_view reason);

  Error& Message(absl::string_view message);
  Error& Detail(absl::string_view key, absl::string_view value);
  Error& Field(absl::string_view path, absl::string_view description);
  Error& RetryAfter(absl::Duration delay);

  absl::Status ToStatus() const;
  operator absl::Status() const { return ToStatus(); }  // NOLINT: conversion is the purpose
  template <typename T>
  operator absl::StatusOr<T>() const {  // NOLINT: conversion is the purpose
    return ToStatus();
  }

 private:
  absl::StatusCode code_;
  std::string message_;
  ErrorDetails details_;
};

// INVALID_ARGUMENT, FIELD_INVALID, with one field violation.
Error FieldError(absl::string_view path, absl::string_view description);

// UNAVAILABLE with RetryInfo: a dependency is down and the call may be repeated.
Error UnavailableError(absl::string_view reason, absl::string_view message);

// The details of a status; an empty reason when it was not made by Error.
ErrorDetails DetailsOf(const absl::Status& status);
// The reason alone; empty when it was not made by Error.
std::string ReasonOf(const absl::Status& status);
bool HasReason(const absl::Status& status, absl::string_view reason);

}  // namespace handrail

#endif  // HANDRAIL_COMMON_BASE_STATUS_H_
