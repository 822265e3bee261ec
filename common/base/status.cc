#include "common/base/status.h"

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace handrail {
namespace {

// Payload keys. Each detail is a payload of its own, so that no encoding is needed.
constexpr absl::string_view kReasonKey = "handrail/reason";
constexpr absl::string_view kRetryKey = "handrail/retry_us";
constexpr absl::string_view kDetailPrefix = "handrail/detail/";
constexpr absl::string_view kFieldPrefix = "handrail/field/";

}  // namespace

Error::Error(absl::StatusCode code, absl::string_view reason) : code_(code), message_(reason) {
  details_.reason = std::string(reason);
}

Error& Error::Message(absl::string_view message) {
  message_ = std::string(message);
  return *this;
}

Error& Error::Detail(absl::string_view key, absl::string_view value) {
  details_.metadata[std::string(key)] = std::string(value);
  return *this;
}

Error& Error::Field(absl::string_view path, absl::string_view description) {
  details_.field_violations.emplace_back(path, description);
  return *this;
}

Error& Error::RetryAfter(absl::Duration delay) {
  details_.retry_after = delay;
  return *this;
}

absl::Status Error::ToStatus() const {
  absl::Status status(code_, message_);
  status.SetPayload(kReasonKey, absl::Cord(details_.reason));
  for (const auto& [key, value] : details_.metadata) {
    status.SetPayload(absl::StrCat(kDetailPrefix, key), absl::Cord(value));
  }
  for (const auto& [path, description] : details_.field_violations) {
    status.SetPayload(absl::StrCat(kFieldPrefix, path), absl::Cord(description));
  }
  if (details_.retry_after.has_value()) {
    status.SetPayload(kRetryKey,
                      absl::Cord(absl::StrCat(absl::ToInt64Microseconds(*details_.retry_after))));
  }
  return status;
}

Error FieldError(absl::string_view path, absl::string_view description) {
  return Error(absl::StatusCode::kInvalidArgument, reason::kFieldInvalid)
      .Message(absl::StrCat(path, ": ", description))
      .Field(path, description);
}

Error UnavailableError(absl::string_view reason, absl::string_view message) {
  return Error(absl::StatusCode::kUnavailable, reason)
      .Message(message)
      .RetryAfter(absl::Seconds(1));
}

ErrorDetails DetailsOf(const absl::Status& status) {
  ErrorDetails details;
  status.ForEachPayload([&details](absl::string_view key, const absl::Cord& payload) {
    std::string value(payload);
    if (key == kReasonKey) {
      details.reason = std::move(value);
    } else if (key == kRetryKey) {
      int64_t retry_us = 0;
      if (absl::SimpleAtoi(value, &retry_us)) details.retry_after = absl::Microseconds(retry_us);
    } else if (absl::ConsumePrefix(&key, kDetailPrefix)) {
      details.metadata[std::string(key)] = std::move(value);
    } else if (absl::ConsumePrefix(&key, kFieldPrefix)) {
      details.field_violations.emplace_back(std::string(key), std::move(value));
    }
  });
  return details;
}

std::string ReasonOf(const absl::Status& status) {
  auto payload = status.GetPayload(kReasonKey);
  return payload.has_value() ? std::string(*payload) : std::string();
}

bool HasReason(const absl::Status& status, absl::string_view reason) {
  auto payload = status.GetPayload(kReasonKey);
  return payload.has_value() && *payload == reason;
}

}  // namespace handrail
