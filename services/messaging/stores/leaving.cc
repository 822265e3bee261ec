// A member leaves a conversation on their own.
#include "common/base/status.h"
#include "common/storage/request_log.h"
#include "services/messaging/stores/group_remains.h"
#include "services/messaging/stores/refusals.h"
#include "services/messaging/stores/schema.h"
#include "services/messaging/stores/sql_message_store.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Row;
using storage::Rows;
using storage::Transaction;

// A conversation needs two who take part.
constexpr int64_t kFewestMembers = 2;

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
    RETURN_IF_ERROR(CheckDevice());
    ASSIGN_OR_RETURN(const auto answer, storage::FindAnswer(tx_, call_));
    if (answer.has_value()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const bool takes_part, LockConversation());
    if (takes_part) RETURN_IF_ERROR(Leave());
    return storage::RecordAnswer(tx_, call_, now_, "");
  }

 private:
  absl::Status CheckDevice() {
    ASSIGN_OR_RETURN(
        const Rows rows,
        tx_.Query("SELECT revoked FROM devices WHERE device_id = $1 AND member_id = $2",
                  {call_.who.device, call_.who.member}));
    if (rows.empty()) {
      return Error(StatusCode::kNotFound, kDeviceUnknown).Message("no such conversation");
    }
    if (!rows.front().Bool(0)) return absl::OkStatus();
    return DeviceRemoved();
  }

  // False when the member has left before. NOT_FOUND.
  absl::StatusOr<bool> LockConversation() {
    ASSIGN_OR_RETURN(const Rows rows,
                     tx_.Query("SELECT conversation_id, head_sequence FROM conversations"
                               " WHERE conversation_key = $1 {for_update}",
                               {key_}));
    if (rows.empty() || rows.front().Id<ConversationId>(0) != conversation_) return NotFound();
    head_ = rows.front().Int(1);
    ASSIGN_OR_RETURN(const Rows members,
                     tx_.Query("SELECT left_at FROM conversation_members"
                               " WHERE conversation_key = $1 AND member_id = $2",
                               {key_, call_.who.member}));
    if (members.empty()) return NotFound();
    return members.front().IsNull(0);
  }

  absl::Status Leave() {
    // Whoever reads now, and all devices of the one who leaves, in the group or not.
    ASSIGN_OR_RETURN(const Rows devices, tx_.Query("SELECT device_id FROM conversation_devices"
                                                   " WHERE conversation_key = $1"
                                                   " AND (end_sequence IS NULL OR member_id = $2)",
                                                   {key_, call_.who.member}));
    for (const Row& row : devices) wake_ups_.push_back({row.Id<DeviceId>(0), conversation_});
    RETURN_IF_ERROR(tx_.Execute("UPDATE conversation_members SET left_at = $3"
                                " WHERE conversation_key = $1 AND member_id = $2",
                                {key_, call_.who.member, now_})
                        .status());
    RETURN_IF_ERROR(tx_.Execute("UPDATE conversation_devices SET departed = 1,"
                                " end_sequence = COALESCE(end_sequence, $3)"
                                " WHERE conversation_key = $1 AND member_id = $2",
                                {key_, call_.who.member, head_})
                        .status());
    RETURN_IF_ERROR(tx_.Execute("DELETE FROM group_welcomes WHERE conversation_key = $1"
                                " AND device_id IN (SELECT device_id FROM conversation_devices"
                                "  WHERE conversation_key = $1 AND member_id = $2)",
                                {key_, call_.who.member})
                        .status());
    RETURN_IF_ERROR(tx_.Execute("UPDATE conversations SET revision = revision + 1"
                                " WHERE conversation_key = $1",
                                {key_})
                        .status());
    ASSIGN_OR_RETURN(const Rows rest, tx_.Query("SELECT COUNT(*) FROM conversation_members"
                                                " WHERE conversation_key = $1 AND left_at IS NULL",
                                                {key_}));
    if (rest.front().Int(0) >= kFewestMembers) return absl::OkStatus();
    return CloseLocked(tx_, key_, false, now_).status();
  }

  Transaction& tx_;
  const Call& call_;
  const absl::Time now_;
  const ConversationId& conversation_;
  const int64_t key_;
  std::vector<WakeUp>& wake_ups_;
  int64_t head_ = 0;
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
