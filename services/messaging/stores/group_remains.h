#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_GROUP_REMAINS_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_GROUP_REMAINS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/storage/database.h"

namespace handrail::messaging {

// With the last message of a closed conversation goes what would let somebody join its group: its
// GroupInfo and the Welcomes that wait; with its closing already go its attachments. Changes
// nothing while the conversation is open; the former stays while it holds a message. Its row is
// locked; called by whatever closes or empties it.
absl::Status ForgetGroupWhenOver(storage::Transaction& tx, int64_t conversation_key);

// Closes a conversation whose row is locked. False when there was nothing left to do.
absl::StatusOr<bool> CloseLocked(storage::Transaction& tx, int64_t conversation_key, bool blocked,
                                 absl::Time now);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_GROUP_REMAINS_H_
