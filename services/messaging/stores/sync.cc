// What matching and profiles tell us. Locks are taken in the order that membership.h tells.
#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/status.h"
#include "services/messaging/stores/device_log.h"
#include "services/messaging/stores/group_remains.h"
#include "services/messaging/stores/membership.h"
#include "services/messaging/stores/schema.h"
#include "services/messaging/stores/sql_message_store.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Null;
using storage::Row;
using storage::Rows;
using storage::Transaction;

constexpr int64_t kNever = std::numeric_limits<int64_t>::max() / 4;
constexpr int kOpen = static_cast<int>(ConversationState::kOpen);
constexpr int kClosed = static_cast<int>(ConversationState::kClosed);

// Locks the row of a pairing; the time when it was closed, if it was.
absl::StatusOr<bool> LockPairing(Transaction& tx, const PairingId& pairing) {
  RETURN_IF_ERROR(tx.Execute("INSERT INTO pairings (pairing_id, closed_at) VALUES ($1, $2)"
                             " ON CONFLICT DO NOTHING",
                             {pairing, Null()})
                      .status());
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx.Query("SELECT closed_at FROM pairings WHERE pairing_id = $1 {for_update}", {pairing}));
  return !rows.front().IsNull(0);
}

struct Locked {
  int64_t key = 0;
  ConversationId id;
  int64_t head = 0;
  bool has_group = false;
  ConversationKind kind = ConversationKind::kPairing;
};

// Those that they take part in: what they have left is not theirs any more.
absl::StatusOr<std::vector<Locked>> LockConversationsOf(Transaction& tx, const MemberId& member) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT conversation_key, conversation_id, head_sequence, group_from,"
                            " kind FROM conversations WHERE conversation_key IN"
                            " (SELECT conversation_key FROM conversation_members"
                            "  WHERE member_id = $1 AND left_at IS NULL)"
                            " ORDER BY conversation_key {for_update}",
                            {member}));
  std::vector<Locked> locked;
  for (const Row& row : rows) {
    locked.push_back({row.Int(0), row.Id<ConversationId>(1), row.Int(2), !row.IsNull(3),
                      static_cast<ConversationKind>(row.Int(4))});
  }
  return locked;
}

absl::Status AddMemberToConversation(Transaction& tx, int64_t key, const MemberId& member,
                                     const MemberRow& row, absl::Time now) {
  RETURN_IF_ERROR(tx.Execute("INSERT INTO conversation_members (conversation_key, member_key,"
                             " member_id, created_at) VALUES ($1, $2, $3, $4)",
                             {key, KeyOf(member), member, now})
                      .status());
  ASSIGN_OR_RETURN(
      const Rows devices,
      tx.Query("SELECT device_id FROM devices WHERE member_id = $1 AND revoked = 0", {member}));
  for (const Row& device : devices) {
    RETURN_IF_ERROR(
        AddDevice(tx, key, device.Id<DeviceId>(0), member, 1, row.standing == Standing::kGood));
  }
  return absl::OkStatus();
}

// In a group conversation in which both take part the one who is blocked does so no more, as if
// they had left: to them it is closed, and who blocks loses nobody else.
absl::Status PartInGroup(Transaction& tx, int64_t key, const ConversationId& id, const Block& block,
                         absl::Time now, std::vector<WakeUp>& wake_ups) {
  ASSIGN_OR_RETURN(const Rows rows, tx.Query("SELECT 1 FROM conversation_members"
                                             " WHERE conversation_key = $1 AND left_at IS NULL"
                                             " AND (member_id = $2 OR member_id = $3)",
                                             {key, block.blocker, block.blocked}));
  if (rows.size() < 2) return absl::OkStatus();
  RETURN_IF_ERROR(tx.Execute("UPDATE conversation_members SET put_out = 1"
                             " WHERE conversation_key = $1 AND member_id = $2",
                             {key, block.blocked})
                      .status());
  return TakeOut(tx, key, id, block.blocked, now, wake_ups);
}

// The conversation that a pairing has already.
absl::StatusOr<std::optional<ConversationId>> FindConversation(Transaction& tx,
                                                               const PairingId& pairing,
                                                               absl::Span<const MemberId> members) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT c.conversation_id, m.member_id FROM conversations c"
                            " JOIN conversation_members m"
                            " ON m.conversation_key = c.conversation_key WHERE c.pairing_id = $1",
                            {pairing}));
  if (rows.empty()) return std::optional<ConversationId>();
  for (const Row& row : rows) {
    if (std::count(members.begin(), members.end(), row.Id<MemberId>(1)) == 1) continue;
    return Error(StatusCode::kFailedPrecondition, reason::kRequestIdReused)
        .Message("this pairing has a conversation of other members");
  }
  return std::optional<ConversationId>(rows.front().Id<ConversationId>(0));
}

// Brings one member's devices in all of their conversations to what a snapshot says.
class SnapshotStep {
 public:
  SnapshotStep(Transaction& tx, absl::Time now, const MemberSnapshot& snapshot,
               std::vector<WakeUp>& wake_ups)
      : tx_(tx), now_(now), snapshot_(snapshot), wake_ups_(wake_ups) {}

  absl::Status Run() {
    ASSIGN_OR_RETURN(const MemberRow row, LockMember(tx_, snapshot_.member, now_));
    if (row.version > snapshot_.version) return absl::OkStatus();
    // Nothing else is new, but the keys of devices may be.
    if (row.version == snapshot_.version) return LogDevices(tx_, now_, snapshot_.member, Keys());
    first_ = row.version == 0;
    RETURN_IF_ERROR(tx_.Execute("UPDATE members SET version = $2, standing = $3, updated_at = $4"
                                " WHERE member_id = $1",
                                {snapshot_.member, snapshot_.version,
                                 static_cast<int>(snapshot_.standing), now_})
                        .status());
    ASSIGN_OR_RETURN(conversations_, LockConversationsOf(tx_, snapshot_.member));
    RETURN_IF_ERROR(RemoveDevices());
    if (snapshot_.standing == Standing::kErased) {
      RETURN_IF_ERROR(ForgetDeviceLog(tx_, snapshot_.member));
      // profiles keeps no cases of somebody who is erased.
      RETURN_IF_ERROR(
          tx_.Execute("DELETE FROM report_queue WHERE reporter = $1", {snapshot_.member}).status());
      return EndAll();
    }
    for (const DeviceId& device : snapshot_.devices) RETURN_IF_ERROR(KeepDevice(device));
    RETURN_IF_ERROR(LogDevices(tx_, now_, snapshot_.member, Keys()));
    return tx_
        .Execute(
            "UPDATE conversation_devices SET can_send = $2 WHERE can_send <> $2"
            " AND device_id IN (SELECT device_id FROM devices WHERE member_id = $1)",
            {snapshot_.member, CanSend()})
        .status();
  }

 private:
  const std::map<DeviceId, std::string>& Keys() const { return snapshot_.device_keys; }
  bool CanSend() const { return snapshot_.standing == Standing::kGood; }

  absl::Status RemoveDevices() {
    ASSIGN_OR_RETURN(const Rows rows,
                     tx_.Query("SELECT device_id FROM devices WHERE member_id = $1 AND revoked = 0"
                               " ORDER BY device_id",
                               {snapshot_.member}));
    for (const Row& row : rows) {
      const DeviceId device = row.Id<DeviceId>(0);
      const bool kept = std::count(snapshot_.devices.begin(), snapshot_.devices.end(), device) > 0;
      if (kept && snapshot_.standing != Standing::kErased) continue;
      RETURN_IF_ERROR(
          tx_.Execute("UPDATE devices SET revoked = 1 WHERE device_id = $1", {device}).status());
      // The conversations' rows are locked: their heads stand still.
      RETURN_IF_ERROR(
          tx_.Execute("UPDATE conversation_devices SET end_sequence ="
                      " (SELECT head_sequence FROM conversations c"
                      "  WHERE c.conversation_key = conversation_devices.conversation_key)"
                      " WHERE device_id = $1 AND end_sequence IS NULL",
                      {device})
              .status());
      RETURN_IF_ERROR(
          tx_.Execute("DELETE FROM group_welcomes WHERE device_id = $1", {device}).status());
      RETURN_IF_ERROR(
          tx_.Execute("DELETE FROM push_devices WHERE device_id = $1", {device}).status());
      wake_ups_.push_back({device, ConversationId()});
    }
    return absl::OkStatus();
  }

  absl::Status KeepDevice(const DeviceId& device) {
    ASSIGN_OR_RETURN(
        const int64_t changed,
        tx_.Execute("INSERT INTO devices (device_id, member_id, revoked, generation, last_seen_at)"
                    " VALUES ($1, $2, 0, 0, $3) ON CONFLICT (device_id) DO UPDATE SET"
                    " revoked = 0, last_seen_at = excluded.last_seen_at"
                    " WHERE devices.revoked = 1 AND devices.member_id = excluded.member_id",
                    {device, snapshot_.member, now_}));
    if (changed == 0) return absl::OkStatus();
    for (const Locked& conversation : conversations_) {
      if (conversation.has_group) {
        RETURN_IF_ERROR(AddOutsideGroup(tx_, conversation.key, device, snapshot_.member,
                                        conversation.head, CanSend()));
        continue;
      }
      // A new device reads from here on; the devices with which a member first becomes known read
      // what was sent while nobody had told us of them.
      const int64_t start = first_ ? 1 : conversation.head + 1;
      RETURN_IF_ERROR(AddDevice(tx_, conversation.key, device, snapshot_.member, start, CanSend()));
    }
    wake_ups_.push_back({device, ConversationId()});
    return absl::OkStatus();
  }

  // Two who were paired were alone; a group goes on without one of its people.
  absl::Status EndAll() {
    for (const Locked& conversation : conversations_) {
      const auto& [key, id, head, has_group, kind] = conversation;
      if (kind == ConversationKind::kGroup) {
        RETURN_IF_ERROR(TakeOut(tx_, key, id, snapshot_.member, now_, wake_ups_));
        continue;
      }
      ASSIGN_OR_RETURN(const bool changed, CloseLocked(tx_, key, false, now_));
      if (changed) RETURN_IF_ERROR(AddWakeUps(tx_, key, id, wake_ups_));
    }
    return absl::OkStatus();
  }

  Transaction& tx_;
  const absl::Time now_;
  const MemberSnapshot& snapshot_;
  std::vector<WakeUp>& wake_ups_;
  bool first_ = false;
  std::vector<Locked> conversations_;
};

}  // namespace

absl::StatusOr<std::vector<MemberId>> SqlMessageStore::UnknownMembers(
    absl::Time deadline, absl::Span<const MemberId> members) {
  std::vector<MemberId> unknown;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    unknown.clear();
    for (const MemberId& member : members) {
      ASSIGN_OR_RETURN(
          const Rows rows,
          tx.Query("SELECT 1 FROM members WHERE member_id = $1 AND version > 0", {member}));
      if (rows.empty()) unknown.push_back(member);
    }
    return absl::OkStatus();
  }));
  return unknown;
}

absl::StatusOr<OpenedConversation> SqlMessageStore::OpenConversation(
    absl::Time deadline, absl::Time now, const PairingId& pairing,
    absl::Span<const MemberId> members) {
  // 8 random bytes of the id are its key: a collision is refused by the primary key, and repeated.
  const ConversationId fresh = ConversationId::Random(random_);
  const auto pair = Ordered(members[0], members[1]);
  const MemberId low = pair.first;
  const MemberId high = pair.second;
  OpenedConversation opened;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    opened = OpenedConversation();
    ASSIGN_OR_RETURN(const bool tombstone, LockPairing(tx, pairing));
    ASSIGN_OR_RETURN(const auto existing, FindConversation(tx, pairing, members));
    if (existing.has_value()) {
      opened.id = *existing;
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const MemberRow low_row, LockMember(tx, low, now));
    ASSIGN_OR_RETURN(const MemberRow high_row, LockMember(tx, high, now));
    ASSIGN_OR_RETURN(const bool blocked, AreBlocked(tx, low, high));
    const bool erased =
        low_row.standing == Standing::kErased || high_row.standing == Standing::kErased;
    const bool closed = tombstone || blocked || erased;
    opened.id = fresh;
    RETURN_IF_ERROR(
        tx.Execute("INSERT INTO conversations (conversation_key, conversation_id, pairing_id,"
                   " state, blocked, created_at, closed_at, head_sequence, first_sequence,"
                   " retention_at, marked_sequence, marked_at, trimmed_at, trimmed_newest_at)"
                   " VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 1, $8, 0, 0, 0, 0)",
                   {KeyOf(fresh), fresh, pairing, closed ? kClosed : kOpen, blocked, now,
                    closed ? storage::Value(now) : storage::Value(Null()), kNever})
            .status());
    RETURN_IF_ERROR(AddMemberToConversation(tx, KeyOf(fresh), low, low_row, now));
    RETURN_IF_ERROR(AddMemberToConversation(tx, KeyOf(fresh), high, high_row, now));
    return AddWakeUps(tx, KeyOf(fresh), fresh, opened.wake_ups);
  }));
  return opened;
}

absl::StatusOr<std::vector<WakeUp>> SqlMessageStore::CloseConversation(absl::Time deadline,
                                                                       absl::Time now,
                                                                       const PairingId& pairing) {
  std::vector<WakeUp> wake_ups;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    wake_ups.clear();
    ASSIGN_OR_RETURN(const bool closed_before, LockPairing(tx, pairing));
    if (closed_before) return absl::OkStatus();
    RETURN_IF_ERROR(
        tx.Execute("UPDATE pairings SET closed_at = $2 WHERE pairing_id = $1", {pairing, now})
            .status());
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT conversation_key, conversation_id FROM conversations"
                              " WHERE pairing_id = $1 {for_update}",
                              {pairing}));
    if (rows.empty()) return absl::OkStatus();
    const int64_t key = rows.front().Int(0);
    ASSIGN_OR_RETURN(const bool changed, CloseLocked(tx, key, false, now));
    if (!changed) return absl::OkStatus();
    return AddWakeUps(tx, key, rows.front().Id<ConversationId>(1), wake_ups);
  }));
  return wake_ups;
}

absl::StatusOr<std::vector<WakeUp>> SqlMessageStore::ApplyMembers(
    absl::Time deadline, absl::Time now, absl::Span<const MemberSnapshot> members) {
  std::vector<WakeUp> all;
  // A unit a member: repeating those that are done changes nothing, and fewer rows are locked at
  // once.
  for (const MemberSnapshot& snapshot : members) {
    std::vector<WakeUp> wake_ups;
    RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
      wake_ups.clear();
      return SnapshotStep(tx, now, snapshot, wake_ups).Run();
    }));
    all.insert(all.end(), wake_ups.begin(), wake_ups.end());
  }
  return all;
}

absl::StatusOr<std::vector<WakeUp>> SqlMessageStore::ApplyBlock(absl::Time deadline, absl::Time now,
                                                                const Block& block) {
  const auto pair = Ordered(block.blocker, block.blocked);
  const MemberId low = pair.first;
  const MemberId high = pair.second;
  std::vector<WakeUp> wake_ups;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    wake_ups.clear();
    RETURN_IF_ERROR(LockMember(tx, low, now).status());
    RETURN_IF_ERROR(LockMember(tx, high, now).status());
    RETURN_IF_ERROR(tx.Execute("INSERT INTO blocks (low_member_id, high_member_id, created_at)"
                               " VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                               {low, high, now})
                        .status());
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT conversation_key, conversation_id, kind FROM conversations"
                              " WHERE conversation_key IN (SELECT a.conversation_key"
                              "  FROM conversation_members a JOIN conversation_members b"
                              "  ON b.conversation_key = a.conversation_key AND b.member_id = $2"
                              "  WHERE a.member_id = $1) ORDER BY conversation_key {for_update}",
                              {low, high}));
    for (const Row& row : rows) {
      const auto id = row.Id<ConversationId>(1);
      if (row.Int(2) == static_cast<int64_t>(ConversationKind::kGroup)) {
        RETURN_IF_ERROR(PartInGroup(tx, row.Int(0), id, block, now, wake_ups));
        continue;
      }
      ASSIGN_OR_RETURN(const bool changed, CloseLocked(tx, row.Int(0), true, now));
      if (changed) RETURN_IF_ERROR(AddWakeUps(tx, row.Int(0), id, wake_ups));
    }
    return absl::OkStatus();
  }));
  return wake_ups;
}

}  // namespace handrail::messaging
