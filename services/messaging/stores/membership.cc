#include "services/messaging/stores/membership.h"

#include "common/base/status.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/stores/group_remains.h"
#include "services/messaging/stores/reading_spans.h"
#include "services/messaging/stores/refusals.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Row;
using storage::Rows;
using storage::Transaction;

// With fewer who take part a conversation is over. Who waits for others in a group conversation may
// invite them; in that of a pairing nobody can come.
int64_t FewestMembers(ConversationKind kind) { return kind == ConversationKind::kPairing ? 2 : 1; }

absl::Status CloseWhenTooFew(Transaction& tx, int64_t key, absl::Time now) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT c.kind, COUNT(m.member_id) FROM conversations c"
                            " LEFT JOIN conversation_members m"
                            " ON m.conversation_key = c.conversation_key"
                            " AND m.left_at IS NULL"
                            " WHERE c.conversation_key = $1 GROUP BY c.kind",
                            {key}));
  const auto kind = static_cast<ConversationKind>(rows.front().Int(0));
  if (rows.front().Int(1) >= FewestMembers(kind)) return absl::OkStatus();
  return CloseLocked(tx, key, false, now).status();
}

}  // namespace

absl::StatusOr<MemberRow> LockMember(Transaction& tx, const MemberId& member, absl::Time now) {
  RETURN_IF_ERROR(tx.Execute("INSERT INTO members (member_id, version, standing, updated_at)"
                             " VALUES ($1, 0, $2, $3) ON CONFLICT DO NOTHING",
                             {member, static_cast<int>(Standing::kSuspended), now})
                      .status());
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT version, standing FROM members WHERE member_id = $1"
                            " {for_update}",
                            {member}));
  return MemberRow{rows.front().Int(0), static_cast<Standing>(rows.front().Int(1))};
}

absl::Status CheckLiveDevice(Transaction& tx, const Principal& who) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT revoked FROM devices WHERE device_id = $1 AND member_id = $2",
                            {who.device, who.member}));
  if (rows.empty()) {
    return Error(StatusCode::kNotFound, kDeviceUnknown).Message("this device is not known");
  }
  return rows.front().Bool(0) ? DeviceRemoved() : absl::OkStatus();
}

std::pair<MemberId, MemberId> Ordered(const MemberId& a, const MemberId& b) {
  return a < b ? std::make_pair(a, b) : std::make_pair(b, a);
}

absl::StatusOr<bool> AreBlocked(Transaction& tx, const MemberId& a, const MemberId& b) {
  const auto pair = Ordered(a, b);
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT 1 FROM blocks WHERE low_member_id = $1 AND high_member_id = $2",
                            {pair.first, pair.second}));
  return !rows.empty();
}

absl::Status AddDevice(Transaction& tx, int64_t key, const DeviceId& device, const MemberId& member,
                       int64_t start, bool can_send) {
  ASSIGN_OR_RETURN(
      const int64_t added,
      tx.Execute("INSERT INTO conversation_devices (conversation_key, device_id, member_id,"
                 " start_sequence, acked_sequence, skipped_sequence, can_send)"
                 " VALUES ($1, $2, $3, $4, $5, 0, $6) ON CONFLICT DO NOTHING",
                 {key, device, member, start, start - 1, can_send}));
  if (added == 1) return absl::OkStatus();
  // A device that comes back after its removal begins anew.
  RETURN_IF_ERROR(KeepReadingSpan(tx, key, device, start - 1));
  return tx
      .Execute(
          "UPDATE conversation_devices SET start_sequence = $3, read_from = 0,"
          " end_sequence = NULL, acked_sequence = $4, can_send = $5"
          " WHERE conversation_key = $1 AND device_id = $2 AND end_sequence IS NOT NULL",
          {key, device, start, start - 1, can_send})
      .status();
}

absl::Status AddOutsideGroup(Transaction& tx, int64_t key, const DeviceId& device,
                             const MemberId& member, int64_t head, bool can_send) {
  return tx
      .Execute(
          "INSERT INTO conversation_devices (conversation_key, device_id, member_id,"
          " start_sequence, end_sequence, acked_sequence, skipped_sequence, can_send)"
          " VALUES ($1, $2, $3, $4, $5, $5, 0, $6) ON CONFLICT DO NOTHING",
          {key, device, member, head + 1, head, can_send})
      .status();
}

absl::Status AddWakeUps(Transaction& tx, int64_t key, const ConversationId& conversation,
                        std::vector<WakeUp>& wake_ups) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT device_id FROM conversation_devices"
                            " WHERE conversation_key = $1 AND end_sequence IS NULL",
                            {key}));
  for (const Row& row : rows) wake_ups.push_back({row.Id<DeviceId>(0), conversation});
  return absl::OkStatus();
}

absl::Status TakeOut(Transaction& tx, int64_t key, const ConversationId& conversation,
                     const MemberId& member, absl::Time now, std::vector<WakeUp>& wake_ups) {
  // Whoever reads now, and all devices of the one who goes, in the group or not.
  ASSIGN_OR_RETURN(const Rows devices, tx.Query("SELECT device_id FROM conversation_devices"
                                                " WHERE conversation_key = $1"
                                                " AND (end_sequence IS NULL OR member_id = $2)",
                                                {key, member}));
  for (const Row& row : devices) wake_ups.push_back({row.Id<DeviceId>(0), conversation});
  RETURN_IF_ERROR(tx.Execute("UPDATE conversation_members SET left_at = $3"
                             " WHERE conversation_key = $1 AND member_id = $2",
                             {key, member, now})
                      .status());
  // The conversation's row is locked: its head stands still.
  RETURN_IF_ERROR(tx.Execute("UPDATE conversation_devices SET departed = 1, end_sequence ="
                             " COALESCE(end_sequence, (SELECT head_sequence FROM conversations c"
                             "  WHERE c.conversation_key = $1))"
                             " WHERE conversation_key = $1 AND member_id = $2",
                             {key, member})
                      .status());
  RETURN_IF_ERROR(tx.Execute("DELETE FROM group_welcomes WHERE conversation_key = $1"
                             " AND device_id IN (SELECT device_id FROM conversation_devices"
                             "  WHERE conversation_key = $1 AND member_id = $2)",
                             {key, member})
                      .status());
  RETURN_IF_ERROR(tx.Execute("UPDATE invitations SET state = 3 WHERE conversation_key = $1"
                             " AND inviter = $2 AND state = 1",
                             {key, member})
                      .status());
  RETURN_IF_ERROR(tx.Execute("UPDATE conversations SET revision = revision + 1"
                             " WHERE conversation_key = $1",
                             {key})
                      .status());
  return CloseWhenTooFew(tx, key, now);
}

}  // namespace handrail::messaging
