#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_REFUSALS_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_REFUSALS_H_

#include "absl/status/status.h"
#include "common/base/status.h"

// What a device is refused with, in the same words wherever that is found out.
namespace handrail::messaging {

inline absl::Status DeviceRemoved() {
  return Error(absl::StatusCode::kPermissionDenied, reason::kDeviceRevoked)
      .Message("this device was removed");
}

inline absl::Status DeviceNotInGroup() {
  return Error(absl::StatusCode::kFailedPrecondition, reason::kDeviceNotInGroup)
      .Message("this device is not in the conversation's group");
}

inline absl::Status ConversationIsClosed() {
  return Error(absl::StatusCode::kFailedPrecondition, reason::kConversationClosed)
      .Message("this conversation is closed");
}

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_REFUSALS_H_
