#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_KNOWN_DEVICE_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_KNOWN_DEVICE_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/status.h"
#include "services/messaging/domain/message_store.h"

namespace handrail::messaging {

inline bool IsDeviceUnknown(const absl::Status& status) {
  return absl::IsNotFound(status) && HasReason(status, kDeviceUnknown);
}

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// Runs `step`. When the caller's device was never heard of, `learn` asks who the caller is, and the
// step runs once more; a device that is unknown even then is answered with `unknown`.
template <typename Step>
auto WithKnownDevice(absl::FunctionRef<absl::Status()> learn, const absl::Status& unknown,
                     Step step) -> decltype(step()) {
  auto result = step();
  if (!IsDeviceUnknown(StatusOf(result))) return result;
  if (absl::Status learned = learn(); !learned.ok()) {
    return IsDeviceUnknown(learned) ? unknown : learned;
  }
  result = step();
  if (IsDeviceUnknown(StatusOf(result))) return unknown;
  return result;
}

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_KNOWN_DEVICE_H_
