#include "services/messaging/stores/accept_invitation.h"

#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "common/storage/request_log.h"
#include "services/messaging/stores/membership.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Row;
using storage::Rows;
using storage::Transaction;

// A place comes free when somebody leaves, or an invitation is over: nobody knows when.
constexpr absl::Duration kRetryWhenFull = absl::Minutes(10);

class AcceptStep {
 public:
  AcceptStep(Transaction& tx, const Call& call, absl::Time now, const InvitationLimits& limits,
             const ShownInvitation& shown, OpenedConversation& joined)
      : tx_(tx), call_(call), now_(now), limits_(limits), shown_(shown), joined_(joined) {}

  absl::Status Run() {
    joined_ = OpenedConversation();
    ASSIGN_OR_RETURN(const MemberRow row, LockMember(tx_, call_.who.member, now_));
    RETURN_IF_ERROR(CheckLiveDevice(tx_, call_.who));
    ASSIGN_OR_RETURN(const auto answer, storage::FindAnswer(tx_, call_));
    if (answer.has_value()) {
      ASSIGN_OR_RETURN(joined_.id, ConversationId::Parse(*answer));
      return absl::OkStatus();
    }
    if (row.standing != Standing::kGood) return MemberIsSuspended();
    RETURN_IF_ERROR(FindConversation());
    ASSIGN_OR_RETURN(const bool takes_part, LookAtMembers());
    if (!takes_part) {
      RETURN_IF_ERROR(UseInvitation());
      RETURN_IF_ERROR(CheckRoom());
      RETURN_IF_ERROR(Join());
    }
    return storage::RecordAnswer(tx_, call_, now_, joined_.id.ToString());
  }

 private:
  // The secret of an invitation never changes, so it is compared before anything is locked.
  absl::Status FindConversation() {
    const std::string digest = crypto::Sha256(shown_.secret);
    ASSIGN_OR_RETURN(const Rows rows,
                     tx_.Query("SELECT conversation_key, secret_digest FROM invitations"
                               " WHERE invitation_id = $1",
                               {shown_.id}));
    if (rows.empty() || !crypto::ConstantTimeEquals(rows.front().Bytes(1), digest)) {
      return NoSuchInvitation();
    }
    key_ = rows.front().Int(0);
    ASSIGN_OR_RETURN(const Rows conversation,
                     tx_.Query("SELECT conversation_id, state, head_sequence, group_from,"
                               " created_at FROM conversations WHERE conversation_key = $1"
                               " {for_update}",
                               {key_}));
    if (conversation.empty()) return NoSuchInvitation();
    const Row& row = conversation.front();
    if (row.Int(1) != static_cast<int64_t>(ConversationState::kOpen)) return NoSuchInvitation();
    joined_.id = row.Id<ConversationId>(0);
    head_ = row.Int(2);
    has_group_ = !row.IsNull(3);
    created_at_ = row.Time(4);
    return absl::OkStatus();
  }

  // Whether the caller takes part. NOT_FOUND when they cannot meet one of those who do (M5); a
  // block that comes at this moment waits for the caller's row, and finds them in.
  absl::StatusOr<bool> LookAtMembers() {
    ASSIGN_OR_RETURN(const Rows rows, tx_.Query("SELECT member_id FROM conversation_members"
                                                " WHERE conversation_key = $1 AND left_at IS NULL",
                                                {key_}));
    for (const Row& row : rows) {
      if (row.Id<MemberId>(0) == call_.who.member) return true;
    }
    for (const Row& row : rows) {
      ASSIGN_OR_RETURN(const bool blocked, AreBlocked(tx_, row.Id<MemberId>(0), call_.who.member));
      if (blocked) return NoSuchInvitation();
    }
    return false;
  }

  // The one place where an invitation is used: once, while it is open.
  absl::Status UseInvitation() {
    ASSIGN_OR_RETURN(const int64_t used,
                     tx_.Execute("UPDATE invitations SET state = 2, accepted_by = $2"
                                 " WHERE invitation_id = $1 AND state = 1 AND expires_at > $3",
                                 {shown_.id, call_.who.member, now_}));
    return used == 1 ? absl::OkStatus() : NoSuchInvitation();
  }

  // A place is kept for whoever accepts; but clocks of replicas differ, and devices come by
  // themselves.
  absl::Status CheckRoom() {
    ASSIGN_OR_RETURN(const int64_t members, CountTakingPart(tx_, key_));
    if (members >= limits_.members) return NoPlace("members");
    ASSIGN_OR_RETURN(const int64_t groups, CountGroupsOf(tx_, call_.who.member));
    if (groups >= limits_.open_conversations) return NoPlace("conversations");
    ASSIGN_OR_RETURN(const Rows theirs,
                     tx_.Query("SELECT COUNT(*) FROM conversation_members m JOIN devices v"
                               " ON v.member_id = m.member_id WHERE m.conversation_key = $1"
                               " AND m.left_at IS NULL AND v.revoked = 0",
                               {key_}));
    ASSIGN_OR_RETURN(const Rows own,
                     tx_.Query("SELECT COUNT(*) FROM devices WHERE member_id = $1 AND revoked = 0",
                               {call_.who.member}));
    const int64_t devices = theirs.front().Int(0) + own.front().Int(0);
    return devices > limits_.devices ? NoPlace("devices") : absl::OkStatus();
  }

  absl::Status Join() {
    const MemberId& member = call_.who.member;
    // The time of the conversation, as of everybody's, so that lists keep their order.
    RETURN_IF_ERROR(tx_.Execute("INSERT INTO conversation_members (conversation_key, member_key,"
                                " member_id, created_at, joined_at, invitation_id)"
                                " VALUES ($1, $2, $3, $4, $5, $6)"
                                " ON CONFLICT (conversation_key, member_key) DO UPDATE SET"
                                " left_at = NULL, put_out = 0, joined_at = excluded.joined_at,"
                                " invitation_id = excluded.invitation_id",
                                {key_, KeyOf(member), member, created_at_, now_, shown_.id})
                        .status());
    // What somebody who comes back had not read before they left stays unread: a Gap, once a commit
    // takes the device in.
    RETURN_IF_ERROR(tx_.Execute("UPDATE conversation_devices SET departed = 0, skipped_sequence ="
                                " CASE WHEN skipped_sequence < end_sequence THEN end_sequence"
                                " ELSE skipped_sequence END"
                                " WHERE conversation_key = $1 AND member_id = $2 AND departed = 1",
                                {key_, member})
                        .status());
    RETURN_IF_ERROR(AddWakeUps(tx_, key_, joined_.id, joined_.wake_ups));
    ASSIGN_OR_RETURN(
        const Rows devices,
        tx_.Query("SELECT device_id FROM devices WHERE member_id = $1 AND revoked = 0", {member}));
    for (const Row& row : devices) {
      const auto device = row.Id<DeviceId>(0);
      RETURN_IF_ERROR(has_group_ ? AddOutsideGroup(tx_, key_, device, member, head_, true)
                                 : AddDevice(tx_, key_, device, member, head_ + 1, true));
      joined_.wake_ups.push_back({device, joined_.id});
    }
    return tx_
        .Execute("UPDATE conversations SET revision = revision + 1 WHERE conversation_key = $1",
                 {key_})
        .status();
  }

  Transaction& tx_;
  const Call& call_;
  const absl::Time now_;
  const InvitationLimits& limits_;
  const ShownInvitation& shown_;
  OpenedConversation& joined_;
  int64_t key_ = 0;
  int64_t head_ = 0;
  bool has_group_ = false;
  absl::Time created_at_;
};

}  // namespace

absl::Status NoSuchInvitation() {
  return Error(StatusCode::kNotFound, reason::kNotFound).Message("no such invitation");
}

absl::Status NoPlace(absl::string_view limit) {
  return Error(StatusCode::kResourceExhausted, reason::kQueueFull)
      .Message("there is no place for one more")
      .Detail("limit", limit)
      .RetryAfter(kRetryWhenFull);
}

absl::Status MemberIsSuspended() {
  return Error(StatusCode::kFailedPrecondition, reason::kMemberSuspended)
      .Message("group conversations are suspended for this member");
}

absl::StatusOr<int64_t> CountGroupsOf(Transaction& tx, const MemberId& member) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT COUNT(*) FROM conversation_members m JOIN conversations c"
                            " ON c.conversation_key = m.conversation_key"
                            " WHERE m.member_id = $1 AND m.left_at IS NULL AND c.kind = 2"
                            " AND c.state = 1",
                            {member}));
  return rows.front().Int(0);
}

absl::StatusOr<int64_t> CountTakingPart(Transaction& tx, int64_t conversation_key) {
  ASSIGN_OR_RETURN(const Rows rows, tx.Query("SELECT COUNT(*) FROM conversation_members"
                                             " WHERE conversation_key = $1 AND left_at IS NULL",
                                             {conversation_key}));
  return rows.front().Int(0);
}

absl::Status RunAccept(Transaction& tx, const Call& call, absl::Time now,
                       const InvitationLimits& limits, const ShownInvitation& shown,
                       OpenedConversation& joined) {
  return AcceptStep(tx, call, now, limits, shown, joined).Run();
}

}  // namespace handrail::messaging
