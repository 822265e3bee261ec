#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_MEMBERSHIP_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_MEMBERSHIP_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/call.h"
#include "common/storage/database.h"
#include "services/messaging/domain/messages.h"

// Who takes part in a conversation, and with which devices: what every step that changes it does
// alike. Locks are taken in one order everywhere: pairings, members, conversations (each by rising
// key), then what belongs to one of them.
namespace handrail::messaging {

// How people came into a conversation, as the schema keeps it.
enum class ConversationKind { kPairing = 1, kGroup = 2 };

struct MemberRow {
  int64_t version = 0;
  Standing standing = Standing::kSuspended;
};

// Locks the row of a member, made when it is not there yet: two steps that concern one member are
// one after the other, even before profiles has told us anything.
absl::StatusOr<MemberRow> LockMember(storage::Transaction& tx, const MemberId& member,
                                     absl::Time now);

// NOT_FOUND / DEVICE_UNKNOWN for a device that was never heard of; PERMISSION_DENIED /
// DEVICE_REVOKED.
absl::Status CheckLiveDevice(storage::Transaction& tx, const Principal& who);

// The lower id first.
std::pair<MemberId, MemberId> Ordered(const MemberId& a, const MemberId& b);
absl::StatusOr<bool> AreBlocked(storage::Transaction& tx, const MemberId& a, const MemberId& b);

// A device reads from `start` on. One that read before begins anew.
absl::Status AddDevice(storage::Transaction& tx, int64_t key, const DeviceId& device,
                       const MemberId& member, int64_t start, bool can_send);
// A device of a member whose conversation has a group knows of it, and reads nothing until a commit
// adds it.
absl::Status AddOutsideGroup(storage::Transaction& tx, int64_t key, const DeviceId& device,
                             const MemberId& member, int64_t head, bool can_send);

// Every live device of the conversation, told to look at it.
absl::Status AddWakeUps(storage::Transaction& tx, int64_t key, const ConversationId& conversation,
                        std::vector<WakeUp>& wake_ups);

// A member takes part no more, in a conversation whose row is locked and in which they do: nothing
// is delivered to their devices from the commit on, the invitations that they made are over, and
// the conversation is closed when too few are left: one in that of a pairing, nobody in another.
absl::Status TakeOut(storage::Transaction& tx, int64_t key, const ConversationId& conversation,
                     const MemberId& member, absl::Time now, std::vector<WakeUp>& wake_ups);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_MEMBERSHIP_H_
