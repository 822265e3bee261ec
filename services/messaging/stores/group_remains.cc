#include "services/messaging/stores/group_remains.h"

#include "common/base/macros.h"
#include "services/messaging/domain/messages.h"
#include "services/messaging/stores/attachment_access.h"

namespace handrail::messaging {

absl::Status ForgetGroupWhenOver(storage::Transaction& tx, int64_t conversation_key) {
  for (const char* sql :
       {"DELETE FROM group_welcomes WHERE conversation_key = $1 AND EXISTS (SELECT 1"
        " FROM conversations WHERE conversation_key = $1 AND state = 2"
        " AND first_sequence > head_sequence)",
        "DELETE FROM group_infos WHERE conversation_key = $1 AND EXISTS (SELECT 1"
        " FROM conversations WHERE conversation_key = $1 AND state = 2"
        " AND first_sequence > head_sequence)",
        "DELETE FROM ended_groups WHERE conversation_key = $1 AND EXISTS (SELECT 1"
        " FROM conversations WHERE conversation_key = $1 AND state = 2"
        " AND first_sequence > head_sequence)"}) {
    RETURN_IF_ERROR(tx.Later(sql, {conversation_key}));
  }
  return ForgetAttachmentsWhenClosed(tx, conversation_key);
}

absl::StatusOr<bool> CloseLocked(storage::Transaction& tx, int64_t conversation_key, bool blocked,
                                 absl::Time now) {
  ASSIGN_OR_RETURN(const int64_t count,
                   tx.Execute("UPDATE conversations SET state = $2, blocked = $3,"
                              " closed_at = COALESCE(closed_at, $4)"
                              " WHERE conversation_key = $1 AND (state = $5 OR blocked < $3)",
                              {conversation_key, static_cast<int>(ConversationState::kClosed),
                               blocked, now, static_cast<int>(ConversationState::kOpen)}));
  // Retention does not look at it again when it was trimmed empty before.
  RETURN_IF_ERROR(ForgetGroupWhenOver(tx, conversation_key));
  return count > 0;
}

}  // namespace handrail::messaging
