// What is kept and for how long (C6). A message goes 24 hours after every counting device has
// acknowledged it, or 30 days after it came; a device that had not taken it finds a Gap.
#include <algorithm>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"
#include "common/storage/request_log.h"
#include "services/messaging/stores/group_remains.h"
#include "services/messaging/stores/schema.h"
#include "services/messaging/stores/sql_invitation_store.h"
#include "services/messaging/stores/sql_message_store.h"

namespace handrail::messaging {
namespace {

using storage::Args;
using storage::Row;
using storage::Rows;
using storage::Transaction;

constexpr int64_t kNever = std::numeric_limits<int64_t>::max() / 4;
constexpr absl::Duration kLookAgain = absl::Hours(1);
constexpr int64_t kAnswersAtOnce = 500;
// The bytes of so many messages are counted anew at each look; of more, when they near the bound.
constexpr int64_t kCountedAnew = 1000;
constexpr int64_t kInvitationsAtOnce = 500;

constexpr absl::string_view kFindMessages =
    "SELECT sequence, created_at, length(payload) FROM messages WHERE conversation_key = $1"
    " AND sequence >= $2 ORDER BY sequence LIMIT $3";

// How far one member's devices are that count; see ReachedByAll.
struct Reached {
  std::optional<int64_t> heard;
  std::optional<int64_t> silent;
  std::optional<int64_t> outside;
};

// One conversation, its row locked: what the step found out about it, and what becomes of it.
class TrimmedConversation {
 public:
  TrimmedConversation(const Limits& limits, int64_t trim_limit, absl::Time now, const Row& row)
      : limits_(limits),
        trim_limit_(trim_limit),
        now_(now),
        key_(row.Int(0)),
        head_(row.Int(1)),
        old_first_(row.Int(2)),
        marked_(row.Int(3)),
        marked_at_(row.Time(4)),
        has_group_(!row.IsNull(5)),
        is_closed_(row.Int(6) == static_cast<int64_t>(ConversationState::kClosed)),
        find_messages_{key_, old_first_, trim_limit_ + 1} {}

  int64_t key() const { return key_; }
  storage::Question MessagesQuestion() const { return {kFindMessages, find_messages_}; }
  void AddCommits() { has_commits_ = true; }
  void AddMember(const MemberId& member) { reached_.try_emplace(member); }
  // A device that is not revoked: whose, what it has, when it was seen, where it stopped reading.
  void AddDevice(const Row& device) {
    const auto member = reached_.find(device.Id<MemberId>(1));
    if (member == reached_.end()) return;
    Reached& reached = member->second;
    const int64_t position = std::max(device.Int(2), device.Int(3));
    const bool outside = !device.IsNull(5);
    if (outside && position >= device.Int(5)) return;
    std::optional<int64_t>& slot = outside                                         ? reached.outside
                                   : device.Time(4) <= now_ - limits_.silent_after ? reached.silent
                                                                                   : reached.heard;
    slot = std::min(slot.value_or(position), position);
  }

  // What goes, from the oldest on and bounded; then what will go next.
  void Decide(const Rows& messages) {
    const bool mark_is_due = marked_ >= old_first_ && marked_at_ <= now_ - limits_.keep_after_acked;
    const int64_t due_by_acks = mark_is_due ? marked_ : 0;
    first_ = old_first_;
    for (const Row& message : messages) {
      const bool due =
          message.Int(0) <= due_by_acks || message.Time(1) <= now_ - limits_.keep_at_most;
      if (!due) break;
      if (message.Int(0) - old_first_ >= trim_limit_) {
        more_ = true;
        break;
      }
      first_ = message.Int(0) + 1;
      newest_ = std::max(newest_, message.Time(1));
      bytes_ += message.Int(2);
    }
    Mark();
    Schedule();
  }

  absl::Status Store(Transaction& tx) const {
    if (trimmed() > 0) RETURN_IF_ERROR(Remove(tx));
    // Replicas of a version that does not count bytes may have written beside one that does.
    RETURN_IF_ERROR(tx.Later(
        "UPDATE conversations SET marked_sequence = $2, marked_at = $3, retention_at = $4,"
        " first_sequence = $5,"
        " trimmed_at = CASE WHEN $5 > first_sequence THEN $6 ELSE trimmed_at END,"
        " trimmed_newest_at = CASE WHEN $5 > first_sequence THEN $7 ELSE trimmed_newest_at END,"
        " kept_bytes = CASE WHEN kept_bytes - $8 > $9 OR CAST($10 AS {int}) = 1"
        "  THEN (SELECT COALESCE(SUM(length(payload)), 0) FROM messages"
        "   WHERE messages.conversation_key = $1)"
        "  WHEN kept_bytes > $8 THEN kept_bytes - $8 ELSE 0 END WHERE conversation_key = $1",
        {key_, marked_, marked_at_, next_, first_, now_, newest_, bytes_, limits_.stored_bytes / 2,
         head_ + 1 - first_ <= kCountedAnew}));
    const bool over = is_closed_ && trimmed() > 0 && first_ > head_;
    return over ? ForgetGroupWhenOver(tx, key_) : absl::OkStatus();
  }

  int64_t trimmed() const { return first_ - old_first_; }
  bool more() const { return more_; }

 private:
  // Notes how far every counting device is. A note is good for trimming once it has stood for as
  // long as a message is kept after it was acknowledged, so the next one waits for that.
  void Mark() {
    if (marked_ >= first_) return;
    const int64_t reached = ReachedByAll();
    if (reached < first_) return;
    marked_ = reached;
    marked_at_ = now_;
  }

  // What every counting device of every member who takes part has. A silent device does not count
  // when its member has another that does: somebody's only phone may be in a locker for weeks, and
  // then what was sent to them waits the full time. A member without any device keeps everything
  // waiting, too; but not when there is a group: none of theirs is in it, and whichever joins reads
  // from its start on. Then only what a device outside it could read from before keeps waiting.
  int64_t ReachedByAll() const {
    int64_t reached_by_all = head_;
    for (const auto& [member, reached] : reached_) {
      const int64_t by_none = has_group_ ? reached.outside.value_or(head_) : 0;
      reached_by_all =
          std::min(reached_by_all, reached.heard.value_or(reached.silent.value_or(by_none)));
    }
    return reached_by_all;
  }

  void Schedule() {
    next_ = kNever;
    if (first_ > head_) return;
    absl::Time at = now_ + kLookAgain;
    if (marked_ >= first_) at = marked_at_ + limits_.keep_after_acked;
    // The oldest may reach its last day before that.
    at = std::min(at, now_ + limits_.keep_after_acked);
    next_ = absl::ToUnixMicros(more_ ? now_ : std::max(at, now_ + absl::Minutes(1)));
  }

  absl::Status Remove(Transaction& tx) const {
    RETURN_IF_ERROR(tx.Later(
        "DELETE FROM messages WHERE conversation_key = $1 AND sequence >= $2 AND sequence < $3",
        {key_, old_first_, first_}));
    if (!has_commits_) return absl::OkStatus();
    RETURN_IF_ERROR(
        tx.Later("DELETE FROM group_commits WHERE conversation_key = $1"
                 " AND sequence < $2",
                 {key_, first_}));
    return tx.Later(
        "DELETE FROM invalid_commits WHERE conversation_key = $1"
        " AND sequence < $2",
        {key_, first_});
  }

  const Limits& limits_;
  const int64_t trim_limit_;
  const absl::Time now_;
  const int64_t key_;
  const int64_t head_;
  const int64_t old_first_;
  int64_t marked_;
  absl::Time marked_at_;
  const bool has_group_;
  const bool is_closed_;
  const storage::Args find_messages_;
  absl::flat_hash_map<MemberId, Reached> reached_;  // of those who take part

  bool has_commits_ = false;

  int64_t first_ = 0;
  int64_t bytes_ = 0;
  int64_t next_ = 0;
  absl::Time newest_ = absl::UnixEpoch();
  bool more_ = false;
};

// Several conversations at once, whose rows are locked: they are asked about together and written
// together, which are a few round trips for all of them (decision 56).
class TrimStep {
 public:
  TrimStep(Transaction& tx, const SqlMessageStore::Options& options, absl::Time now,
           const Rows& rows)
      : tx_(tx) {
    for (const Row& row : rows) {
      conversations_.emplace_back(options.limits, options.trim_messages, now, row);
    }
    for (TrimmedConversation& conversation : conversations_) {
      by_key_.emplace(conversation.key(), &conversation);
    }
  }

  absl::Status Run(RetentionResult& result) {
    RETURN_IF_ERROR(Ask());
    for (const TrimmedConversation& conversation : conversations_) {
      RETURN_IF_ERROR(conversation.Store(tx_));
      result.messages_trimmed += conversation.trimmed();
      result.more |= conversation.more();
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Ask() {
    Args keys;
    for (const TrimmedConversation& conversation : conversations_) {
      keys.emplace_back(conversation.key());
    }
    const storage::Value last = keys.back();
    keys.resize(PaddedCount(keys.size()), last);
    const std::string in = absl::StrCat(" IN (", Parameters(1, keys.size()), ")");
    const std::string members = absl::StrCat(
        "SELECT conversation_key, member_id FROM conversation_members"
        " WHERE conversation_key",
        in, " AND left_at IS NULL");
    const std::string devices = absl::StrCat(
        "SELECT c.conversation_key, c.member_id, c.acked_sequence, c.skipped_sequence,"
        " d.last_seen_at, c.end_sequence FROM conversation_devices c"
        " JOIN devices d ON d.device_id = c.device_id WHERE c.conversation_key",
        in, " AND d.revoked = 0");
    const std::string commits = absl::StrCat(
        "SELECT DISTINCT conversation_key FROM group_commits WHERE conversation_key", in);
    std::vector<storage::Question> questions = {{members, keys}, {devices, keys}, {commits, keys}};
    const size_t before = questions.size();
    for (const TrimmedConversation& conversation : conversations_) {
      questions.push_back(conversation.MessagesQuestion());
    }
    ASSIGN_OR_RETURN(const std::vector<Rows> answers, tx_.QueryAll(questions));
    for (const Row& row : answers[0]) by_key_.at(row.Int(0))->AddMember(row.Id<MemberId>(1));
    for (const Row& row : answers[1]) by_key_.at(row.Int(0))->AddDevice(row);
    for (const Row& row : answers[2]) by_key_.at(row.Int(0))->AddCommits();
    for (size_t i = 0; i < conversations_.size(); ++i) {
      conversations_[i].Decide(answers[before + i]);
    }
    return absl::OkStatus();
  }

  Transaction& tx_;
  std::deque<TrimmedConversation> conversations_;
  absl::flat_hash_map<int64_t, TrimmedConversation*> by_key_;
};

}  // namespace

absl::StatusOr<RetentionResult> SqlMessageStore::TrimSome(absl::Time deadline, absl::Time now) {
  RetentionResult result;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    result = RetentionResult();
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT conversation_key, head_sequence, first_sequence,"
                              " marked_sequence, marked_at, group_from, state FROM conversations"
                              " WHERE retention_at <= $1 ORDER BY retention_at, conversation_key"
                              " LIMIT $2 {skip_locked}",
                              {now, options_.trim_conversations}));
    if (!rows.empty()) RETURN_IF_ERROR(TrimStep(tx, options_, now, rows).Run(result));
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
