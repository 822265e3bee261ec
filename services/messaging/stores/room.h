#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_ROOM_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_ROOM_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
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

// What is kept of a conversation.
struct Kept {
  int64_t messages = 0;
  int64_t bytes = 0;
};

// Whether `payload` is one too many.
inline bool IsKeptFull(const Limits& limits, const Kept& kept, absl::string_view payload) {
  return kept.messages >= limits.stored_messages ||
         kept.bytes + static_cast<int64_t>(payload.size()) > limits.stored_bytes;
}

// RESOURCE_EXHAUSTED / QUEUE_FULL: until retention has taken something, which is hours.
inline absl::Status KeptFull() {
  return Error(absl::StatusCode::kResourceExhausted, reason::kQueueFull)
      .Message("too much of this conversation is kept")
      .RetryAfter(absl::Minutes(1));
}

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_ROOM_H_
