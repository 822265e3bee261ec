#include "services/messaging/stores/sql_invitation_store.h"

#include <limits>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/storage/request_log.h"
#include "services/messaging/stores/accept_invitation.h"
#include "services/messaging/stores/membership.h"
#include "services/messaging/stores/refusals.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Blob;
using storage::Row;
using storage::Rows;
using storage::Transaction;

constexpr int64_t kNever = std::numeric_limits<int64_t>::max() / 4;
constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::Duration kRetryAfterADayFull = absl::Hours(1);

absl::Status NotFound() {
  return Error(StatusCode::kNotFound, reason::kNotFound).Message("no such conversation");
}

absl::Status TooMany(absl::string_view what) {
  return Error(StatusCode::kResourceExhausted, reason::kRateLimited)
      .Message(absl::StrCat("too many ", what, " within a day"))
      .RetryAfter(kRetryAfterADayFull);
}

// The first answer, as the request log keeps it: the rest is in the request.
std::string Encode(const Invitation& invitation) {
  return absl::StrCat(invitation.id.ToString(), " ", absl::ToUnixMicros(invitation.create_time),
                      " ", absl::ToUnixMicros(invitation.expire_time));
}

absl::Status Decode(absl::string_view answer, Invitation& invitation) {
  const std::vector<absl::string_view> parts = absl::StrSplit(answer, ' ');
  int64_t created = 0;
  int64_t expires = 0;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[1], &created) ||
      !absl::SimpleAtoi(parts[2], &expires)) {
    return absl::DataLossError("an answer that is none of ours");
  }
  ASSIGN_OR_RETURN(invitation.id, InvitationId::Parse(parts[0]));
  invitation.create_time = absl::FromUnixMicros(created);
  invitation.expire_time = absl::FromUnixMicros(expires);
  return absl::OkStatus();
}

// Where the caller stands in a conversation.
struct Place {
  bool open = false;  // and the caller takes part
  ConversationKind kind = ConversationKind::kPairing;
};

// NOT_FOUND for who never took part. `lock` is {for_update}, or nothing.
absl::StatusOr<Place> FindPlace(Transaction& tx, const Call& call,
                                const ConversationId& conversation, absl::string_view lock) {
  const int64_t key = KeyOf(conversation);
  ASSIGN_OR_RETURN(const Rows rows, tx.Query(absl::StrCat("SELECT conversation_id, state, kind"
                                                          " FROM conversations"
                                                          " WHERE conversation_key = $1 ",
                                                          lock),
                                             {key}));
  if (rows.empty() || rows.front().Id<ConversationId>(0) != conversation) return NotFound();
  ASSIGN_OR_RETURN(const Rows members, tx.Query("SELECT left_at FROM conversation_members"
                                                " WHERE conversation_key = $1 AND member_id = $2",
                                                {key, call.who.member}));
  if (members.empty()) return NotFound();
  const bool open = rows.front().Int(1) == static_cast<int64_t>(ConversationState::kOpen);
  return Place{open && members.front().IsNull(0),
               static_cast<ConversationKind>(rows.front().Int(2))};
}

class CreateGroupStep {
 public:
  CreateGroupStep(Transaction& tx, const Call& call, absl::Time now, const InvitationLimits& limits,
                  const ConversationId& fresh, OpenedConversation& opened)
      : tx_(tx), call_(call), now_(now), limits_(limits), fresh_(fresh), opened_(opened) {}

  absl::Status Run() {
    opened_ = OpenedConversation();
    ASSIGN_OR_RETURN(const MemberRow row, LockMember(tx_, call_.who.member, now_));
    RETURN_IF_ERROR(CheckLiveDevice(tx_, call_.who));
    ASSIGN_OR_RETURN(const auto answer, storage::FindAnswer(tx_, call_));
    if (answer.has_value()) {
      ASSIGN_OR_RETURN(opened_.id, ConversationId::Parse(*answer));
      return absl::OkStatus();
    }
    if (row.standing != Standing::kGood) return MemberIsSuspended();
    RETURN_IF_ERROR(CheckRoom());
    RETURN_IF_ERROR(Insert());
    return storage::RecordAnswer(tx_, call_, now_, fresh_.ToString());
  }

 private:
  absl::Status CheckRoom() {
    ASSIGN_OR_RETURN(const int64_t open, CountGroupsOf(tx_, call_.who.member));
    if (open >= limits_.open_conversations) return NoPlace("conversations");
    ASSIGN_OR_RETURN(const Rows rows,
                     tx_.Query("SELECT COUNT(*) FROM conversation_members m JOIN conversations c"
                               " ON c.conversation_key = m.conversation_key"
                               " WHERE m.member_id = $1 AND m.invitation_id IS NULL"
                               " AND c.kind = 2 AND c.created_at > $2",
                               {call_.who.member, now_ - kDay}));
    if (rows.front().Int(0) < limits_.conversations_a_day) return absl::OkStatus();
    return TooMany("group conversations");
  }

  absl::Status Insert() {
    const int64_t key = KeyOf(fresh_);
    const MemberId& member = call_.who.member;
    opened_.id = fresh_;
    RETURN_IF_ERROR(
        tx_.Execute("INSERT INTO conversations (conversation_key, conversation_id, pairing_id,"
                    " kind, state, blocked, created_at, head_sequence, first_sequence,"
                    " retention_at, marked_sequence, marked_at, trimmed_at, trimmed_newest_at)"
                    " VALUES ($1, $2, $2, 2, 1, 0, $3, 0, 1, $4, 0, 0, 0, 0)",
                    {key, fresh_, now_, kNever})
            .status());
    RETURN_IF_ERROR(tx_.Execute("INSERT INTO conversation_members (conversation_key, member_key,"
                                " member_id, created_at) VALUES ($1, $2, $3, $4)",
                                {key, KeyOf(member), member, now_})
                        .status());
    ASSIGN_OR_RETURN(
        const Rows devices,
        tx_.Query("SELECT device_id FROM devices WHERE member_id = $1 AND revoked = 0", {member}));
    for (const Row& row : devices) {
      RETURN_IF_ERROR(AddDevice(tx_, key, row.Id<DeviceId>(0), member, 1, true));
    }
    return AddWakeUps(tx_, key, fresh_, opened_.wake_ups);
  }

  Transaction& tx_;
  const Call& call_;
  const absl::Time now_;
  const InvitationLimits& limits_;
  const ConversationId& fresh_;
  OpenedConversation& opened_;
};

class InviteStep {
 public:
  InviteStep(Transaction& tx, const Call& call, absl::Time now, const InvitationLimits& limits,
             const NewInvitation& wanted, Invitation& made)
      : tx_(tx), call_(call), now_(now), limits_(limits), wanted_(wanted), made_(made) {}

  absl::Status Run(const InvitationId& fresh) {
    ASSIGN_OR_RETURN(const MemberRow row, LockMember(tx_, call_.who.member, now_));
    RETURN_IF_ERROR(CheckLiveDevice(tx_, call_.who));
    made_ = {fresh, wanted_.conversation, call_.who.member, now_, now_ + limits_.open_for};
    ASSIGN_OR_RETURN(const auto answer, storage::FindAnswer(tx_, call_));
    if (answer.has_value()) return Decode(*answer, made_);
    ASSIGN_OR_RETURN(const Place place,
                     FindPlace(tx_, call_, wanted_.conversation, "{for_update}"));
    if (!place.open) return ConversationIsClosed();
    if (place.kind == ConversationKind::kPairing) {
      return FieldError("conversation", "is that of a pairing, which nobody joins");
    }
    if (row.standing != Standing::kGood) return MemberIsSuspended();
    RETURN_IF_ERROR(CheckRoom());
    RETURN_IF_ERROR(tx_.Execute("INSERT INTO invitations (invitation_id, conversation_key, inviter,"
                                " secret_digest, state, created_at, expires_at)"
                                " VALUES ($1, $2, $3, $4, 1, $5, $6)",
                                {made_.id, KeyOf(wanted_.conversation), made_.inviter,
                                 Blob{wanted_.secret_digest}, made_.create_time, made_.expire_time})
                        .status());
    return storage::RecordAnswer(tx_, call_, now_, Encode(made_));
  }

 private:
  absl::Status CheckRoom() {
    const int64_t key = KeyOf(wanted_.conversation);
    ASSIGN_OR_RETURN(const int64_t members, CountTakingPart(tx_, key));
    ASSIGN_OR_RETURN(
        const Rows rows,
        tx_.Query("SELECT CAST(COALESCE(SUM(CASE WHEN state = 1 AND expires_at > $2 THEN 1"
                  " ELSE 0 END), 0) AS {int}),"
                  " CAST(COALESCE(SUM(CASE WHEN created_at > $3 THEN 1 ELSE 0 END), 0) AS {int})"
                  " FROM invitations WHERE conversation_key = $1",
                  {key, now_, now_ - kDay}));
    if (members + rows.front().Int(0) >= limits_.members) return NoPlace("members");
    if (rows.front().Int(1) >= limits_.invitations_a_day) return TooMany("invitations");
    ASSIGN_OR_RETURN(const Rows ever, tx_.Query("SELECT COUNT(*) FROM conversation_members"
                                                " WHERE conversation_key = $1",
                                                {key}));
    const int64_t room = limits_.members_ever - ever.front().Int(0) - rows.front().Int(0);
    return room > 0 ? absl::OkStatus() : NoPlace("members_ever");
  }

  Transaction& tx_;
  const Call& call_;
  const absl::Time now_;
  const InvitationLimits& limits_;
  const NewInvitation& wanted_;
  Invitation& made_;
};

absl::Status RunRevoke(Transaction& tx, const Call& call, absl::Time now, const InvitationId& id) {
  RETURN_IF_ERROR(LockMember(tx, call.who.member, now).status());
  RETURN_IF_ERROR(CheckLiveDevice(tx, call.who));
  ASSIGN_OR_RETURN(const auto answer, storage::FindAnswer(tx, call));
  if (answer.has_value()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT c.conversation_id FROM invitations i JOIN conversations c"
                            " ON c.conversation_key = i.conversation_key"
                            " WHERE i.invitation_id = $1",
                            {id}));
  if (rows.empty()) return NoSuchInvitation();
  const auto conversation = rows.front().Id<ConversationId>(0);
  const auto place = FindPlace(tx, call, conversation, "{for_update}");
  if (absl::IsNotFound(place.status())) return NoSuchInvitation();
  RETURN_IF_ERROR(place.status());
  if (!place->open) return NoSuchInvitation();
  RETURN_IF_ERROR(tx.Execute("UPDATE invitations SET state = 3 WHERE invitation_id = $1"
                             " AND state = 1",
                             {id})
                      .status());
  return storage::RecordAnswer(tx, call, now, "");
}

}  // namespace

absl::StatusOr<OpenedConversation> SqlInvitationStore::CreateGroup(const Call& call,
                                                                   absl::Time now) {
  const ConversationId fresh = ConversationId::Random(random_);
  OpenedConversation opened;
  RETURN_IF_ERROR(database_.Write(call.deadline, [&](Transaction& tx) -> absl::Status {
    return CreateGroupStep(tx, call, now, limits_, fresh, opened).Run();
  }));
  return opened;
}

absl::StatusOr<Invitation> SqlInvitationStore::Invite(const Call& call, absl::Time now,
                                                      const NewInvitation& wanted) {
  const InvitationId fresh = InvitationId::Random(random_);
  Invitation made;
  RETURN_IF_ERROR(database_.Write(call.deadline, [&](Transaction& tx) -> absl::Status {
    return InviteStep(tx, call, now, limits_, wanted, made).Run(fresh);
  }));
  return made;
}

absl::StatusOr<std::vector<Invitation>> SqlInvitationStore::List(
    const Call& call, absl::Time now, const ConversationId& conversation) {
  std::vector<Invitation> open;
  RETURN_IF_ERROR(database_.Read(call.deadline, [&](Transaction& tx) -> absl::Status {
    open.clear();
    RETURN_IF_ERROR(CheckLiveDevice(tx, call.who));
    ASSIGN_OR_RETURN(const Place place, FindPlace(tx, call, conversation, ""));
    if (!place.open) return absl::OkStatus();
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT invitation_id, inviter, created_at, expires_at"
                              " FROM invitations WHERE conversation_key = $1 AND state = 1"
                              " AND expires_at > $2 ORDER BY created_at DESC, invitation_id"
                              " LIMIT $3",
                              {KeyOf(conversation), now, limits_.members}));
    for (const Row& row : rows) {
      open.push_back(
          {row.Id<InvitationId>(0), conversation, row.Id<MemberId>(1), row.Time(2), row.Time(3)});
    }
    return absl::OkStatus();
  }));
  return open;
}

absl::Status SqlInvitationStore::Revoke(const Call& call, absl::Time now, const InvitationId& id) {
  return database_.Write(
      call.deadline, [&](Transaction& tx) -> absl::Status { return RunRevoke(tx, call, now, id); });
}

absl::StatusOr<OpenedConversation> SqlInvitationStore::Accept(const Call& call, absl::Time now,
                                                              const ShownInvitation& shown) {
  OpenedConversation joined;
  RETURN_IF_ERROR(database_.Write(call.deadline, [&](Transaction& tx) -> absl::Status {
    return RunAccept(tx, call, now, limits_, shown, joined);
  }));
  return joined;
}

absl::StatusOr<int64_t> TrimInvitations(Transaction& tx, absl::Time expired_before, int64_t limit) {
  return tx.Execute(
      "DELETE FROM invitations WHERE invitation_id IN (SELECT invitation_id FROM invitations"
      " WHERE expires_at <= $1 ORDER BY expires_at, invitation_id LIMIT $2)",
      {expired_before, limit});
}

}  // namespace handrail::messaging
