#include "services/messaging/stores/group_reset.h"

#include "common/base/status.h"
#include "services/messaging/stores/invalid_commits.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Blob;
using storage::Rows;
using storage::Transaction;

// So many ids of groups that have ended are remembered of a conversation.
constexpr int64_t kEndedKept = 64;
// As many may do it without asking: there is nobody else to ask.
constexpr int64_t kMembersAlone = 2;

}  // namespace

absl::StatusOr<bool> TakeGeneration(Transaction& tx, const CommitBundle& bundle, int64_t sequence,
                                    absl::Time look) {
  ASSIGN_OR_RETURN(
      const int64_t taken,
      tx.Execute(
          "UPDATE conversations SET epoch = 1, head_sequence = $3, group_id = $4,"
          " generation = generation + 1, revision = revision + 1, retention_at = $5,"
          " kept_bytes = kept_bytes + $7"
          " WHERE conversation_key = $1 AND epoch = $2 AND group_id = $6",
          {KeyOf(bundle.conversation), bundle.replaces->epoch, sequence, Blob{bundle.group_id},
           look, Blob{bundle.replaces->group_id}, static_cast<int64_t>(bundle.commit.size())}));
  return taken == 1;
}

absl::Status CheckResetAgreed(Transaction& tx, int64_t conversation_key) {
  ASSIGN_OR_RETURN(const Rows rows, tx.Query("SELECT COUNT(*) FROM conversation_members"
                                             " WHERE conversation_key = $1 AND left_at IS NULL",
                                             {conversation_key}));
  if (rows.front().Int(0) <= kMembersAlone) return absl::OkStatus();
  ASSIGN_OR_RETURN(const bool due, IsAnyResetDue(tx, conversation_key));
  if (due) return absl::OkStatus();
  return Error(StatusCode::kFailedPrecondition, reason::kGroupResetNotAgreed)
      .Message("most devices of the members get on with this group");
}

absl::Status EndGroup(Transaction& tx, const CommitBundle& bundle, int64_t generation, int64_t head,
                      absl::Time now) {
  const int64_t key = KeyOf(bundle.conversation);
  RETURN_IF_ERROR(tx.Execute("INSERT INTO ended_groups (conversation_key, generation, group_id,"
                             " epoch, ended_sequence, ended_at) VALUES ($1, $2, $3, $4, $5, $6)",
                             {key, generation, Blob{bundle.replaces->group_id},
                              bundle.replaces->epoch, head, now})
                      .status());
  RETURN_IF_ERROR(
      tx.Execute("DELETE FROM ended_groups WHERE conversation_key = $1 AND generation <= $2",
                 {key, generation - kEndedKept})
          .status());
  ASSIGN_OR_RETURN(const Rows known,
                   tx.Query("SELECT 1 FROM ended_groups WHERE conversation_key = $1"
                            " AND group_id = $2",
                            {key, Blob{bundle.group_id}}));
  if (!known.empty()) {
    return Error(StatusCode::kFailedPrecondition, reason::kGroupChangeInvalid)
        .Message("the new group has the id of one that has ended")
        .Detail("cause", "the group's id was used before");
  }
  RETURN_IF_ERROR(
      tx.Execute("UPDATE conversation_devices SET in_group = 0 WHERE conversation_key = $1", {key})
          .status());
  RETURN_IF_ERROR(
      tx.Execute("DELETE FROM invalid_commits WHERE conversation_key = $1", {key}).status());
  return tx.Execute("DELETE FROM group_welcomes WHERE conversation_key = $1", {key}).status();
}

}  // namespace handrail::messaging
