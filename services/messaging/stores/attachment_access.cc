#include "services/messaging/stores/attachment_access.h"

#include "common/base/status.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/stores/refusals.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Row;
using storage::Rows;
using storage::Transaction;

struct Standings {
  bool open = false;
  bool live = false;
  bool can_send = false;
  bool has_group = false;
};

absl::StatusOr<Standings> LoadStandings(Transaction& tx, const AttachmentCaller& caller,
                                        int64_t conversation_key, absl::string_view what) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx.Query("SELECT v.revoked, c.state, c.blocked, d.end_sequence, d.can_send, c.group_id,"
               " d.departed"
               " FROM conversation_devices d JOIN conversations c"
               " ON c.conversation_key = d.conversation_key"
               " JOIN devices v ON v.device_id = d.device_id"
               " WHERE d.conversation_key = $1 AND d.device_id = $2 AND d.member_id = $3",
               {conversation_key, caller.device, caller.member}));
  if (rows.empty()) {
    ASSIGN_OR_RETURN(const Rows known,
                     tx.Query("SELECT 1 FROM devices WHERE device_id = $1", {caller.device}));
    return Error(StatusCode::kNotFound, known.empty() ? kDeviceUnknown : reason::kNotFound)
        .Message(what);
  }
  const Row& row = rows.front();
  if (row.Bool(0)) {
    return DeviceRemoved();
  }
  Standings standings;
  // A block looks like any other end, and to who has left the conversation is over.
  standings.open =
      row.Int(1) == static_cast<int64_t>(ConversationState::kOpen) && !row.Bool(2) && !row.Bool(6);
  standings.live = row.IsNull(3);
  standings.can_send = row.Bool(4);
  standings.has_group = !row.IsNull(5);
  return standings;
}

absl::Status MayRead(const Standings& standings) {
  if (!standings.open) {
    return ConversationIsClosed();
  }
  if (standings.live) return absl::OkStatus();
  if (standings.has_group) {
    return DeviceNotInGroup();
  }
  return DeviceRemoved();
}

}  // namespace

absl::Status CheckParticipant(Transaction& tx, const AttachmentCaller& caller,
                              int64_t conversation_key, absl::string_view what) {
  return LoadStandings(tx, caller, conversation_key, what).status();
}

absl::Status CheckMayRead(Transaction& tx, const AttachmentCaller& caller, int64_t conversation_key,
                          absl::string_view what) {
  ASSIGN_OR_RETURN(const Standings standings, LoadStandings(tx, caller, conversation_key, what));
  return MayRead(standings);
}

absl::Status CheckMaySend(Transaction& tx, const AttachmentCaller& caller, int64_t conversation_key,
                          absl::string_view what) {
  ASSIGN_OR_RETURN(const Standings standings, LoadStandings(tx, caller, conversation_key, what));
  RETURN_IF_ERROR(MayRead(standings));
  if (standings.can_send) return absl::OkStatus();
  return Error(StatusCode::kFailedPrecondition, reason::kMemberSuspended)
      .Message("sending is suspended for this member");
}

absl::Status ForgetAttachmentsWhenClosed(Transaction& tx, int64_t conversation_key) {
  return tx
      .Execute(
          "UPDATE attachments SET expires_at = 0 WHERE conversation_key = $1"
          " AND expires_at > 0 AND EXISTS (SELECT 1 FROM conversations"
          "  WHERE conversation_key = $1 AND state = 2)",
          {conversation_key})
      .status();
}

}  // namespace handrail::messaging
