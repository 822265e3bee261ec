#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_ACCEPT_INVITATION_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_ACCEPT_INVITATION_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/call.h"
#include "common/storage/database.h"
#include "services/messaging/domain/invitations.h"

namespace handrail::messaging {

// NOT_FOUND, in the same words whatever is the matter.
absl::Status NoSuchInvitation();
// RESOURCE_EXHAUSTED / QUEUE_FULL with the detail `limit`.
absl::Status NoPlace(absl::string_view limit);
// FAILED_PRECONDITION / MEMBER_SUSPENDED.
absl::Status MemberIsSuspended();

// How many group conversations that are open a member takes part in.
absl::StatusOr<int64_t> CountGroupsOf(storage::Transaction& tx, const MemberId& member);
// How many take part in a conversation.
absl::StatusOr<int64_t> CountTakingPart(storage::Transaction& tx, int64_t conversation_key);

// InvitationStore::Accept, as one unit of work.
absl::Status RunAccept(storage::Transaction& tx, const Call& call, absl::Time now,
                       const InvitationLimits& limits, const ShownInvitation& shown,
                       OpenedConversation& joined);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_ACCEPT_INVITATION_H_
