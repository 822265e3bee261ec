// What is kept and for how long (C6). A message goes 24 hours after every counting device has
// acknowledged it, or 30 days after it came; a device that had not taken it finds a Gap.
#include <algorithm>
#include <limits>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "common/base/status.h"
#include "common/storage/request_log.h"
#include "services/messaging/stores/group_remains.h"
#include "services/messaging/stores/sql_invitation_store.h"
#include "services/messaging/stores/sql_message_store.h"

namespace handrail::messaging {
namespace {

using storage::Row;
using storage::Rows;
using storage::Transaction;

constexpr int64_t kNever = std::numeric_limits<int64_t>::max() / 4;
constexpr absl::Duration kLookAgain = absl::Hours(1);
constexpr int64_t kAnswersAtOnce = 500;
// The bytes of so many messages are counted anew at each look; of more, when they near the bound.
constexpr int64_t kCountedAnew = 1000;
constexpr int64_t kInvitationsAtOnce = 500;

// One conversation, its row locked.
class TrimStep {
 public:
  TrimStep(Transaction& tx, const Limits& limits, int64_t trim_limit, absl::Time now,
           const Row& row)
      : tx_(tx),
        limits_(limits),
        trim_limit_(trim_limit),
        now_(now),
        key_(row.Int(0)),
        head_(row.Int(1)),
        first_(row.Int(2)),
        marked_(row.Int(3)),
        marked_at_(row.Time(4)),
        has_group_(!row.IsNull(5)) {}

  // The number of messages that went.
  absl::StatusOr<int64_t> Run() {
    const int64_t before = first_;
    if (marked_ >= first_ && marked_at_ <= now_ - limits_.keep_after_acked) due_by_acks_ = marked_;
    ASSIGN_OR_RETURN(const int64_t trim_to, FindTrimEnd());
    if (trim_to >= first_) RETURN_IF_ERROR(Trim(trim_to));
    RETURN_IF_ERROR(Mark());
    RETURN_IF_ERROR(CountBytes());
    RETURN_IF_ERROR(Schedule());
    return first_ - before;
  }
  bool more() const { return more_; }

 private:
  // The last message that is due, from the oldest on; bounded.
  absl::StatusOr<int64_t> FindTrimEnd() {
    ASSIGN_OR_RETURN(
        const Rows rows,
        tx_.Query("SELECT sequence, created_at FROM messages WHERE conversation_key = $1"
                  " AND sequence >= $2 ORDER BY sequence LIMIT $3",
                  {key_, first_, trim_limit_ + 1}));
    int64_t end = first_ - 1;
    for (const Row& row : rows) {
      const bool due = row.Int(0) <= due_by_acks_ || row.Time(1) <= now_ - limits_.keep_at_most;
      if (!due) break;
      if (row.Int(0) - first_ >= trim_limit_) {
        more_ = true;
        break;
      }
      end = row.Int(0);
      newest_ = std::max(newest_, row.Time(1));
    }
    return end;
  }

  absl::Status Trim(int64_t end) {
    ASSIGN_OR_RETURN(const Rows bytes,
                     tx_.Query("SELECT COALESCE(SUM(length(payload)), 0) FROM messages"
                               " WHERE conversation_key = $1 AND sequence >= $2"
                               " AND sequence <= $3",
                               {key_, first_, end}));
    RETURN_IF_ERROR(tx_.Execute("DELETE FROM messages WHERE conversation_key = $1"
                                " AND sequence >= $2 AND sequence <= $3",
                                {key_, first_, end})
                        .status());
    RETURN_IF_ERROR(tx_.Execute("DELETE FROM group_commits WHERE conversation_key = $1"
                                " AND sequence <= $2",
                                {key_, end})
                        .status());
    RETURN_IF_ERROR(tx_.Execute("DELETE FROM invalid_commits WHERE conversation_key = $1"
                                " AND sequence <= $2",
                                {key_, end})
                        .status());
    first_ = end + 1;
    RETURN_IF_ERROR(tx_.Execute("UPDATE conversations SET first_sequence = $2, trimmed_at = $3,"
                                " trimmed_newest_at = $4, kept_bytes = CASE WHEN kept_bytes > $5"
                                " THEN kept_bytes - $5 ELSE 0 END WHERE conversation_key = $1",
                                {key_, first_, now_, newest_, bytes.front().Int(0)})
                        .status());
    return end == head_ ? ForgetGroupWhenOver(tx_, key_) : absl::OkStatus();
  }

  // Notes how far every counting device is. A note is good for trimming once it has stood for as
  // long as a message is kept after it was acknowledged, so the next one waits for that.
  absl::Status Mark() {
    if (marked_ >= first_) return absl::OkStatus();
    ASSIGN_OR_RETURN(const int64_t reached, ReachedByAll());
    if (reached < first_) return absl::OkStatus();
    marked_ = reached;
    marked_at_ = now_;
    return tx_
        .Execute(
            "UPDATE conversations SET marked_sequence = $2, marked_at = $3"
            " WHERE conversation_key = $1",
            {key_, marked_, marked_at_})
        .status();
  }

  // What every counting device of every member who takes part has. A silent device does not count
  // when its member has another that does: somebody's only phone may be in a locker for weeks, and
  // then what was sent to them waits the full time. A member without any device keeps everything
  // waiting, too; but not when there is a group: none of theirs is in it, and whichever joins reads
  // from its start on. Then only what a device outside it could read from before keeps waiting.
  absl::StatusOr<int64_t> ReachedByAll() {
    ASSIGN_OR_RETURN(const Rows members, tx_.Query("SELECT member_id FROM conversation_members"
                                                   " WHERE conversation_key = $1"
                                                   " AND left_at IS NULL",
                                                   {key_}));
    ASSIGN_OR_RETURN(const Rows devices,
                     tx_.Query("SELECT c.member_id, c.acked_sequence, c.skipped_sequence,"
                               " d.last_seen_at, c.end_sequence FROM conversation_devices c"
                               " JOIN devices d ON d.device_id = c.device_id"
                               " WHERE c.conversation_key = $1 AND d.revoked = 0",
                               {key_}));
    struct Reached {
      std::optional<int64_t> heard;
      std::optional<int64_t> silent;
      std::optional<int64_t> outside;
    };
    absl::flat_hash_map<MemberId, Reached> by_member;
    for (const Row& device : devices) {
      const bool silent = device.Time(3) <= now_ - limits_.silent_after;
      Reached& reached = by_member[device.Id<MemberId>(0)];
      const int64_t position = std::max(device.Int(1), device.Int(2));
      const bool outside = !device.IsNull(4);
      if (outside && position >= device.Int(4)) continue;
      std::optional<int64_t>& slot = outside  ? reached.outside
                                     : silent ? reached.silent
                                              : reached.heard;
      slot = std::min(slot.value_or(position), position);
    }
    int64_t reached_by_all = head_;
    for (const Row& member : members) {
      const Reached& reached = by_member[member.Id<MemberId>(0)];
      const int64_t by_none = has_group_ ? reached.outside.value_or(head_) : 0;
      reached_by_all =
          std::min(reached_by_all, reached.heard.value_or(reached.silent.value_or(by_none)));
    }
    return reached_by_all;
  }

  // Replicas of a version that does not count may have written beside one that does.
  absl::Status CountBytes() {
    return tx_
        .Execute(
            "UPDATE conversations SET kept_bytes = (SELECT COALESCE(SUM(length(payload)), 0)"
            " FROM messages WHERE messages.conversation_key = $1)"
            " WHERE conversation_key = $1 AND (kept_bytes > $2 OR CAST($3 AS {int}) = 1)",
            {key_, limits_.stored_bytes / 2, head_ + 1 - first_ <= kCountedAnew})
        .status();
  }

  absl::Status Schedule() {
    int64_t next = kNever;
    if (first_ <= head_) {
      absl::Time at = now_ + kLookAgain;
      if (marked_ >= first_) at = marked_at_ + limits_.keep_after_acked;
      // The oldest may reach its last day before that.
      at = std::min(at, now_ + limits_.keep_after_acked);
      next = absl::ToUnixMicros(more_ ? now_ : std::max(at, now_ + absl::Minutes(1)));
    }
    return tx_
        .Execute("UPDATE conversations SET retention_at = $2 WHERE conversation_key = $1",
                 {key_, next})
        .status();
  }

  Transaction& tx_;
  const Limits& limits_;
  const int64_t trim_limit_;
  const absl::Time now_;
  const int64_t key_;
  const int64_t head_;
  int64_t first_;
  int64_t marked_;
  absl::Time marked_at_;
  const bool has_group_;
  int64_t due_by_acks_ = 0;
  absl::Time newest_ = absl::UnixEpoch();
  bool more_ = false;
};

}  // namespace

absl::StatusOr<RetentionResult> SqlMessageStore::TrimSome(absl::Time deadline, absl::Time now) {
  RetentionResult result;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    result = RetentionResult();
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT conversation_key, head_sequence, first_sequence,"
                              " marked_sequence, marked_at, group_from FROM conversations"
                              " WHERE retention_at <= $1 ORDER BY retention_at, conversation_key"
                              " LIMIT $2 {skip_locked}",
                              {now, options_.trim_conversations}));
    for (const Row& row : rows) {
      TrimStep step(tx, options_.limits, options_.trim_messages, now, row);
      ASSIGN_OR_RETURN(const int64_t trimmed, step.Run());
      result.messages_trimmed += trimmed;
      result.more |= step.more();
    }
    result.conversations_examined = static_cast<int64_t>(rows.size());
    result.more |= result.conversations_examined >= options_.trim_conversations;
    ASSIGN_OR_RETURN(const int64_t answers, storage::TrimRequestLog(tx, now, kAnswersAtOnce));
    result.more |= answers >= kAnswersAtOnce;
    ASSIGN_OR_RETURN(const int64_t invitations,
                     TrimInvitations(tx, now - InvitationLimits().keep_after, kInvitationsAtOnce));
    result.more |= invitations >= kInvitationsAtOnce;
    return absl::OkStatus();
  }));
  return result;
}

}  // namespace handrail::messaging
