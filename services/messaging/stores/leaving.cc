// A member leaves a conversation on their own.
#include "common/base/status.h"
#include "common/storage/request_log.h"
#include "services/messaging/stores/membership.h"
#include "services/messaging/stores/schema.h"
#include "services/messaging/stores/sql_message_store.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Rows;
using storage::Transaction;

absl::Status NotFound() {
  return Error(StatusCode::kNotFound, reason::kNotFound).Message("no such conversation");
}

class LeaveStep {
 public:
  LeaveStep(Transaction& tx, const Call& call, absl::Time now, const ConversationId& conversation,
            std::vector<WakeUp>& wake_ups)
      : tx_(tx),
        call_(call),
        now_(now),
        conversation_(conversation),
        key_(KeyOf(conversation)),
        wake_ups_(wake_ups) {}

  absl::Status Run() {
    wake_ups_.clear();
    // Before the conversation, as everywhere: what profiles says of the member's devices must not
    // cross this, or a new one would be let into what they have left.
    RETURN_IF_ERROR(tx_.Query("SELECT version FROM members WHERE member_id = $1 {for_update}",
                              {call_.who.member})
                        .status());
    RETURN_IF_ERROR(CheckLiveDevice(tx_, call_.who));
    ASSIGN_OR_RETURN(const auto answer, storage::FindAnswer(tx_, call_));
    if (answer.has_value()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const bool takes_part, LockConversation());
    if (takes_part) {
      RETURN_IF_ERROR(TakeOut(tx_, key_, conversation_, call_.who.member, now_, wake_ups_));
    }
    return storage::RecordAnswer(tx_, call_, now_, "");
  }

 private:
  // False when the member has left before. NOT_FOUND.
  absl::StatusOr<bool> LockConversation() {
    ASSIGN_OR_RETURN(const Rows rows, tx_.Query("SELECT conversation_id FROM conversations"
                                                " WHERE conversation_key = $1 {for_update}",
                                                {key_}));
    if (rows.empty() || rows.front().Id<ConversationId>(0) != conversation_) return NotFound();
    ASSIGN_OR_RETURN(const Rows members,
                     tx_.Query("SELECT left_at FROM conversation_members"
                               " WHERE conversation_key = $1 AND member_id = $2",
                               {key_, call_.who.member}));
    if (members.empty()) return NotFound();
    return members.front().IsNull(0);
  }

  Transaction& tx_;
  const Call& call_;
  const absl::Time now_;
  const ConversationId& conversation_;
  const int64_t key_;
  std::vector<WakeUp>& wake_ups_;
};

}  // namespace

absl::StatusOr<std::vector<WakeUp>> SqlMessageStore::LeaveConversation(
    const Call& call, absl::Time now, const ConversationId& conversation) {
  std::vector<WakeUp> wake_ups;
  RETURN_IF_ERROR(database_.Write(call.deadline, [&](Transaction& tx) -> absl::Status {
    return LeaveStep(tx, call, now, conversation, wake_ups).Run();
  }));
  return wake_ups;
}

}  // namespace handrail::messaging
