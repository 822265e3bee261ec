#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_ROOM_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_ROOM_H_

#include <cstdint>

#include "absl/status/status.h"
#include "common/base/status.h"
#include "services/messaging/domain/messages.h"

// Whether a conversation takes one more message, said alike of messages and commits.
namespace handrail::messaging {

// RESOURCE_EXHAUSTED / QUEUE_FULL: until a device acknowledges, or has been silent for long.
inline absl::Status BacklogFull() {
  return Error(absl::StatusCode::kResourceExhausted, reason::kQueueFull)
      .Message("a device of this conversation has too many messages waiting")
      .RetryAfter(absl::Seconds(2));
}

// `first` to `head` are kept.
inline bool IsKeptFull(const Limits& limits, int64_t first, int64_t head) {
  return head + 1 - first >= limits.stored_messages;
}

// RESOURCE_EXHAUSTED / QUEUE_FULL: until retention has taken something, which is hours.
inline absl::Status KeptFull() {
  return Error(absl::StatusCode::kResourceExhausted, reason::kQueueFull)
      .Message("too many messages of this conversation are kept")
      .RetryAfter(absl::Minutes(1));
}

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_ROOM_H_
