#include "services/messaging/stores/invalid_commits.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "common/storage/request_log.h"
#include "services/messaging/domain/groups.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/stores/refusals.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Blob;
using storage::Row;
using storage::Rows;
using storage::Transaction;

// The first answer, as the request log keeps it.
constexpr absl::string_view kReset = "reset";
constexpr absl::string_view kJoinAgain = "join again";

absl::Status NotFound(absl::string_view what) {
  return Error(StatusCode::kNotFound, reason::kNotFound).Message(absl::StrCat("no such ", what));
}

class ReportStep {
 public:
  ReportStep(Transaction& tx, const Call& call, absl::Time now, const InvalidCommit& commit,
             ReportedCommit& reported)
      : tx_(tx),
        call_(call),
        now_(now),
        commit_(commit),
        key_(KeyOf(commit.conversation)),
        reported_(reported) {}

  absl::Status Run() {
    reported_ = ReportedCommit();
    RETURN_IF_ERROR(LockConversation());
    RETURN_IF_ERROR(FindDevice());
    ASSIGN_OR_RETURN(const auto answer, storage::FindAnswer(tx_, call_));
    if (answer.has_value()) {
      reported_.mending = *answer == kReset ? Mending::kReset : Mending::kJoinAgain;
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(CheckState());
    ASSIGN_OR_RETURN(const int64_t sequence, FindCommit());
    RETURN_IF_ERROR(Store(sequence));
    ASSIGN_OR_RETURN(const CommitVotes votes, CountVotes(tx_, key_, sequence));
    const bool due = IsResetDue(votes);
    reported_.mending = due ? Mending::kReset : Mending::kJoinAgain;
    return storage::RecordAnswer(tx_, call_, now_, due ? kReset : kJoinAgain);
  }

 private:
  absl::Status LockConversation() {
    ASSIGN_OR_RETURN(const Rows rows,
                     tx_.Query("SELECT conversation_id, state, group_id, epoch, generation,"
                               " head_sequence FROM conversations WHERE conversation_key = $1"
                               " {for_update}",
                               {key_}));
    if (rows.empty() || rows.front().Id<ConversationId>(0) != commit_.conversation) {
      return absl::OkStatus();  // without devices, so that the caller is looked for
    }
    const Row& row = rows.front();
    there_ = true;
    open_ = row.Int(1) == static_cast<int64_t>(ConversationState::kOpen);
    if (!row.IsNull(2)) group_id_ = std::string(row.Bytes(2));
    epoch_ = row.Int(3);
    generation_ = row.Int(4);
    head_ = row.Int(5);
    return absl::OkStatus();
  }

  absl::Status FindDevice() {
    ASSIGN_OR_RETURN(
        const Rows known,
        tx_.Query("SELECT revoked FROM devices WHERE device_id = $1 AND member_id = $2",
                  {call_.who.device, call_.who.member}));
    if (known.empty()) {
      return Error(StatusCode::kNotFound, kDeviceUnknown).Message("no such conversation");
    }
    ASSIGN_OR_RETURN(const Rows rows,
                     tx_.Query("SELECT in_group, end_sequence, start_sequence, skipped_sequence,"
                               " departed FROM conversation_devices WHERE conversation_key = $1"
                               " AND device_id = $2 AND member_id = $3",
                               {key_, call_.who.device, call_.who.member}));
    if (!there_ || rows.empty()) return NotFound("conversation");
    if (known.front().Bool(0)) {
      return DeviceRemoved();
    }
    const Row& row = rows.front();
    in_group_ = row.Bool(0) && row.IsNull(1);
    reads_from_ = std::max(row.Int(2), row.Int(3) + 1);
    departed_ = row.Bool(4);
    return absl::OkStatus();
  }

  absl::Status CheckState() {
    if (!open_ || departed_) {
      return ConversationIsClosed();
    }
    if (commit_.group_id != group_id_) {
      return Error(StatusCode::kFailedPrecondition, reason::kGroupMismatch)
          .Message("this commit is of another group");
    }
    if (!in_group_) {
      return DeviceNotInGroup();
    }
    return commit_.epoch < epoch_ ? absl::OkStatus() : EpochConflict(epoch_, head_);
  }

  // Its place.
  absl::StatusOr<int64_t> FindCommit() {
    ASSIGN_OR_RETURN(const Rows rows,
                     tx_.Query("SELECT g.sequence, m.payload FROM group_commits g JOIN messages m"
                               " ON m.conversation_key = g.conversation_key"
                               " AND m.sequence = g.sequence WHERE g.conversation_key = $1"
                               " AND g.generation = $2 AND g.epoch = $3 AND g.sequence >= $4",
                               {key_, generation_, commit_.epoch, reads_from_}));
    if (rows.empty()) return NotFound("commit");
    if (crypto::Sha256(rows.front().Bytes(1)) == commit_.digest) return rows.front().Int(0);
    return FieldError("commit_digest", "is not that of the commit of this epoch");
  }

  absl::Status Store(int64_t sequence) {
    ASSIGN_OR_RETURN(
        const int64_t changed,
        tx_.Execute("INSERT INTO invalid_commits (conversation_key, device_id, member_id,"
                    " sequence, epoch, digest, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)"
                    " ON CONFLICT (conversation_key, device_id) DO UPDATE SET"
                    " sequence = excluded.sequence, epoch = excluded.epoch,"
                    " digest = excluded.digest, created_at = excluded.created_at"
                    " WHERE invalid_commits.sequence < excluded.sequence",
                    {key_, call_.who.device, call_.who.member, sequence, commit_.epoch,
                     Blob{commit_.digest}, now_}));
    reported_.fresh = changed > 0;
    return absl::OkStatus();
  }

  Transaction& tx_;
  const Call& call_;
  const absl::Time now_;
  const InvalidCommit& commit_;
  const int64_t key_;
  ReportedCommit& reported_;
  bool there_ = false;
  bool open_ = false;
  bool in_group_ = false;
  bool departed_ = false;
  int64_t reads_from_ = 1;
  std::string group_id_;
  int64_t epoch_ = 0;
  int64_t generation_ = 0;
  int64_t head_ = 0;
};

}  // namespace

absl::Status RunReport(Transaction& tx, const Call& call, absl::Time now,
                       const InvalidCommit& commit, ReportedCommit& reported) {
  return ReportStep(tx, call, now, commit, reported).Run();
}

absl::StatusOr<CommitVotes> CountVotes(Transaction& tx, int64_t conversation_key,
                                       int64_t sequence) {
  CommitVotes votes;
  ASSIGN_OR_RETURN(const Rows members, tx.Query("SELECT COUNT(*) FROM conversation_members"
                                                " WHERE conversation_key = $1 AND left_at IS NULL",
                                                {conversation_key}));
  votes.members = members.front().Int(0);
  ASSIGN_OR_RETURN(const Rows devices,
                   tx.Query("SELECT COUNT(*) FROM conversation_devices WHERE conversation_key = $1"
                            " AND in_group = 1 AND end_sequence IS NULL",
                            {conversation_key}));
  votes.devices = devices.front().Int(0);
  ASSIGN_OR_RETURN(const Rows reports,
                   tx.Query("SELECT COUNT(*), COUNT(DISTINCT r.member_id) FROM invalid_commits r"
                            " JOIN conversation_devices d"
                            " ON d.conversation_key = r.conversation_key"
                            " AND d.device_id = r.device_id WHERE r.conversation_key = $1"
                            " AND r.sequence = $2 AND d.in_group = 1 AND d.end_sequence IS NULL"
                            " AND d.start_sequence <= $2 AND d.skipped_sequence < $2",
                            {conversation_key, sequence}));
  votes.reporting_devices = reports.front().Int(0);
  votes.reporting_members = reports.front().Int(1);
  return votes;
}

absl::StatusOr<bool> IsAnyResetDue(Transaction& tx, int64_t conversation_key) {
  ASSIGN_OR_RETURN(const Rows rows, tx.Query("SELECT DISTINCT sequence FROM invalid_commits"
                                             " WHERE conversation_key = $1",
                                             {conversation_key}));
  for (const Row& row : rows) {
    ASSIGN_OR_RETURN(const CommitVotes votes, CountVotes(tx, conversation_key, row.Int(0)));
    if (IsResetDue(votes)) return true;
  }
  return false;
}

}  // namespace handrail::messaging
