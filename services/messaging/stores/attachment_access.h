#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_ATTACHMENT_ACCESS_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_ATTACHMENT_ACCESS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/storage/database.h"
#include "services/messaging/domain/attachments.h"

// Who may do what with the attachments of a conversation, asked anew in every step.
namespace handrail::messaging {

// The caller's device takes part in the conversation, whether it reads now or not. NOT_FOUND with
// the message `what`, NOT_FOUND / DEVICE_UNKNOWN, PERMISSION_DENIED / DEVICE_REVOKED.
absl::Status CheckParticipant(storage::Transaction& tx, const AttachmentCaller& caller,
                              int64_t conversation_key, absl::string_view what);

// It reads what is sent there now: the conversation is open to it, and it is in its group when
// there is one. When it joined does not matter. Then also FAILED_PRECONDITION /
// CONVERSATION_CLOSED, DEVICE_NOT_IN_GROUP.
absl::Status CheckMayRead(storage::Transaction& tx, const AttachmentCaller& caller,
                          int64_t conversation_key, absl::string_view what);

// It reads, and may send, too. Then also FAILED_PRECONDITION / MEMBER_SUSPENDED.
absl::Status CheckMaySend(storage::Transaction& tx, const AttachmentCaller& caller,
                          int64_t conversation_key, absl::string_view what);

// With a conversation that is closed go its attachments: nobody has them from here on, and the
// sweep removes the bytes. Changes nothing while it is open. Its row is locked; called by whatever
// closes it.
absl::Status ForgetAttachmentsWhenClosed(storage::Transaction& tx, int64_t conversation_key);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_ATTACHMENT_ACCESS_H_
