#include "services/messaging/stores/group_remains.h"

#include "common/base/macros.h"
#include "services/messaging/stores/attachment_access.h"

namespace handrail::messaging {

absl::Status ForgetGroupWhenOver(storage::Transaction& tx, int64_t conversation_key) {
  for (const char* sql :
       {"DELETE FROM group_welcomes WHERE conversation_key = $1 AND EXISTS (SELECT 1"
        " FROM conversations WHERE conversation_key = $1 AND state = 2"
        " AND first_sequence > head_sequence)",
        "DELETE FROM group_infos WHERE conversation_key = $1 AND EXISTS (SELECT 1"
        " FROM conversations WHERE conversation_key = $1 AND state = 2"
        " AND first_sequence > head_sequence)"}) {
    RETURN_IF_ERROR(tx.Execute(sql, {conversation_key}).status());
  }
  return ForgetAttachmentsWhenClosed(tx, conversation_key);
}

}  // namespace handrail::messaging
