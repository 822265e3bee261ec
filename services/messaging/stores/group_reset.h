#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_GROUP_RESET_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_GROUP_RESET_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/storage/database.h"
#include "services/messaging/domain/groups.h"

// What a commit does besides when it starts a conversation's group anew. The conversation's row is
// locked.
namespace handrail::messaging {

// The one place where a group takes another's: true when the group is still the one that the bundle
// replaces. The commit is at `sequence`, and retention looks next at `look`.
absl::StatusOr<bool> TakeGeneration(storage::Transaction& tx, const CommitBundle& bundle,
                                    int64_t sequence, absl::Time look);

// FAILED_PRECONDITION / GROUP_RESET_NOT_AGREED: among more than two nobody does it alone.
absl::Status CheckResetAgreed(storage::Transaction& tx, int64_t conversation_key);

// Ends the group that the bundle replaces, which was of `generation`: no device is in it any more,
// no Welcome to it waits, and its id never comes back. FAILED_PRECONDITION / GROUP_CHANGE_INVALID
// when the new group has the id of one that ended before.
absl::Status EndGroup(storage::Transaction& tx, const CommitBundle& bundle, int64_t generation,
                      int64_t head, absl::Time now);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_GROUP_RESET_H_
