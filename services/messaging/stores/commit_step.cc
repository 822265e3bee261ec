#include "services/messaging/stores/commit_step.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/stores/commit_digest.h"
#include "services/messaging/stores/group_reset.h"
#include "services/messaging/stores/reading_spans.h"
#include "services/messaging/stores/refusals.h"
#include "services/messaging/stores/room.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Blob;
using storage::Row;
using storage::Rows;
using storage::Transaction;

// Retention first looks at a conversation this long after its first message, as for a send.
constexpr absl::Duration kFirstRetentionLook = absl::Hours(1);

absl::Status NotFound() {
  return Error(StatusCode::kNotFound, reason::kNotFound).Message("no such conversation");
}

absl::Status ChangeInvalid(absl::string_view cause) {
  return Error(StatusCode::kFailedPrecondition, reason::kGroupChangeInvalid)
      .Message("who is added, removed or welcomed does not fit the group as it is")
      .Detail("cause", cause);
}

// A device of a member of the conversation.
struct DeviceRow {
  MemberId member;
  bool revoked = false;
  bool departed = false;  // its member has left
  bool live = false;      // reads what comes
  bool in_group = false;
  bool can_send = false;
  int64_t end = 0;      // the last that it could read before the commit
  int64_t acked = 0;    // acknowledged, or before its start
  int64_t reached = 0;  // or given up
  absl::Time last_seen_at;
};

class CommitRun {
 public:
  CommitRun(Transaction& tx, const Limits& limits, const GroupLimits& group_limits, absl::Time now,
            const CommitBundle& bundle, Committed& committed)
      : tx_(tx),
        limits_(limits),
        group_limits_(group_limits),
        now_(now),
        bundle_(bundle),
        committed_(committed),
        key_(KeyOf(bundle.conversation)) {}

  absl::Status Run() {
    committed_ = Committed();
    RETURN_IF_ERROR(LockConversation());
    RETURN_IF_ERROR(LoadDevices());
    RETURN_IF_ERROR(FindCommitter());
    ASSIGN_OR_RETURN(const bool repeated, Repeat());
    if (repeated) return absl::OkStatus();
    RETURN_IF_ERROR(CheckOpen());
    // Before anything that depends on the epoch is judged: who lost is told so, and not that what
    // the winner did does not fit.
    RETURN_IF_ERROR(bundle_.replaces.has_value() ? Reset() : TakeEpoch());
    RETURN_IF_ERROR(CheckChange());
    RETURN_IF_ERROR(CheckWelcomes());
    RETURN_IF_ERROR(CheckRoom());
    RETURN_IF_ERROR(StoreCommit());
    RETURN_IF_ERROR(ChangeDevices());
    RETURN_IF_ERROR(StoreWelcomes());
    RETURN_IF_ERROR(StoreGroupInfo());
    committed_ = {head_ + 1, bundle_.epoch + 1, generation_, now_, WakeUps()};
    return absl::OkStatus();
  }

 private:
  absl::Status LockConversation();
  absl::Status LoadDevices();
  absl::Status FindCommitter();
  // Gives the first answer again. False when there was none.
  absl::StatusOr<bool> Repeat();
  absl::Status CheckOpen();
  absl::Status TakeEpoch();
  // Ends the group that there is: what follows is the first commit of another.
  absl::Status Reset();
  bool MayCommit() const;
  absl::Status CheckChange();
  absl::Status CheckWelcomes();
  absl::Status CheckRoom();
  absl::Status StoreCommit();
  absl::Status ChangeDevices();
  absl::Status Join(const DeviceId& device, const DeviceRow& row);
  absl::Status StoreWelcomes();
  absl::Status StoreGroupInfo();
  std::vector<WakeUp> WakeUps() const;

  bool IsFirst() const { return group_id_.empty() || bundle_.replaces.has_value(); }
  bool IsRemoved(const DeviceId& device) const {
    return std::binary_search(bundle_.removed.begin(), bundle_.removed.end(), device);
  }
  // Reads on over the commit, so that what waits for it counts.
  bool KeepsReading(const DeviceId& device) const {
    if (IsRemoved(device) || (bundle_.external && device == bundle_.device)) return false;
    return !IsFirst() || device == bundle_.device ||
           std::binary_search(bundle_.added.begin(), bundle_.added.end(), device);
  }
  absl::Status EndReading(const DeviceId& device, int64_t sequence);
  absl::Time NextLook() const;

  Transaction& tx_;
  const Limits& limits_;
  const GroupLimits& group_limits_;
  const absl::Time now_;
  const CommitBundle& bundle_;
  Committed& committed_;
  const int64_t key_;
  bool open_ = false;
  int64_t head_ = 0;  // before the commit
  int64_t first_ = 1;
  int64_t kept_bytes_ = 0;
  absl::Time retention_at_;
  int64_t epoch_ = 0;
  int64_t generation_ = 0;
  std::string group_id_;
  std::map<DeviceId, DeviceRow> devices_;
  const DeviceRow* committer_ = nullptr;
};

absl::Status CommitRun::LockConversation() {
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx_.Query("SELECT conversation_id, state, head_sequence, first_sequence,"
                " retention_at, epoch, group_id, generation, kept_bytes FROM conversations"
                " WHERE conversation_key = $1 {for_update}",
                {key_}));
  if (rows.empty() || rows.front().Id<ConversationId>(0) != bundle_.conversation) {
    return absl::OkStatus();  // without devices, so that the caller is looked for
  }
  const Row& row = rows.front();
  open_ = row.Int(1) == static_cast<int64_t>(ConversationState::kOpen);
  head_ = row.Int(2);
  first_ = row.Int(3);
  retention_at_ = row.Time(4);
  epoch_ = row.Int(5);
  if (!row.IsNull(6)) group_id_ = std::string(row.Bytes(6));
  generation_ = row.Int(7);
  kept_bytes_ = row.Int(8);
  return absl::OkStatus();
}

absl::Status CommitRun::LoadDevices() {
  // Devices are revoked under the rows of all conversations of their member: here they stand still.
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx_.Query("SELECT d.device_id, d.member_id, v.revoked, d.end_sequence, d.in_group,"
                " d.can_send, d.acked_sequence, d.skipped_sequence, v.last_seen_at,"
                " d.departed"
                " FROM conversation_devices d JOIN conversations c"
                " ON c.conversation_key = d.conversation_key JOIN devices v"
                " ON v.device_id = d.device_id"
                " WHERE c.conversation_key = $1 AND c.conversation_id = $2",
                {key_, bundle_.conversation}));
  for (const Row& row : rows) {
    DeviceRow& device = devices_[row.Id<DeviceId>(0)];
    device.member = row.Id<MemberId>(1);
    device.revoked = row.Bool(2);
    device.live = row.IsNull(3);
    device.in_group = row.Bool(4);
    device.can_send = row.Bool(5);
    device.end = device.live ? head_ : row.Int(3);
    device.acked = row.Int(6);
    device.reached = std::max(row.Int(6), row.Int(7));
    device.last_seen_at = row.Time(8);
    device.departed = row.Bool(9);
  }
  return absl::OkStatus();
}

absl::Status CommitRun::FindCommitter() {
  const auto found = devices_.find(bundle_.device);
  if (found != devices_.end()) {
    if (found->second.member != bundle_.member) return NotFound();
    committer_ = &found->second;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const Rows rows,
                   tx_.Query("SELECT 1 FROM devices WHERE device_id = $1", {bundle_.device}));
  if (!rows.empty()) return NotFound();
  return Error(StatusCode::kNotFound, kDeviceUnknown).Message("no such conversation");
}

absl::StatusOr<bool> CommitRun::Repeat() {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx_.Query("SELECT m.conversation_key, m.sequence, m.created_at, g.epoch,"
                             " g.digest, g.generation FROM messages m LEFT JOIN group_commits g"
                             " ON g.conversation_key = m.conversation_key"
                             " AND g.sequence = m.sequence"
                             " WHERE m.message_id = $1 AND m.sender_key = $2",
                             {bundle_.commit_id, KeyOf(bundle_.member)}));
  if (rows.empty()) return false;
  const Row& row = rows.front();
  if (row.Int(0) != key_ || row.IsNull(3) || row.Bytes(4) != absl::string_view(DigestOf(bundle_))) {
    return Error(StatusCode::kFailedPrecondition, reason::kRequestIdReused)
        .Message("this commit_id was used with another commit or message")
        .ToStatus();
  }
  committed_ = {row.Int(1), row.Int(3) + 1, row.Int(5), row.Time(2), {}};
  return true;
}

absl::Status CommitRun::CheckOpen() {
  if (committer_->revoked) {
    return DeviceRemoved();
  }
  if (committer_->departed) return ConversationIsClosed();
  if (!committer_->can_send) {
    return Error(StatusCode::kFailedPrecondition, reason::kMemberSuspended)
        .Message("sending is suspended for this member");
  }
  return open_ ? absl::OkStatus() : ConversationIsClosed();
}

absl::Time CommitRun::NextLook() const {
  return first_ > head_ ? std::min(retention_at_, now_ + kFirstRetentionLook) : retention_at_;
}

absl::Status CommitRun::Reset() {
  ASSIGN_OR_RETURN(const bool taken, TakeGeneration(tx_, bundle_, head_ + 1, NextLook()));
  if (!taken) return ResetConflict(epoch_, head_, generation_);
  RETURN_IF_ERROR(CheckResetAgreed(tx_, key_));
  RETURN_IF_ERROR(EndGroup(tx_, bundle_, generation_, head_, now_));
  ++generation_;
  for (auto& [device, row] : devices_) row.in_group = false;
  return absl::OkStatus();
}

// C3: the one place where an epoch is given to a commit.
absl::Status CommitRun::TakeEpoch() {
  ASSIGN_OR_RETURN(
      const int64_t taken,
      tx_.Execute("UPDATE conversations SET epoch = epoch + 1, head_sequence = $3, group_id = $4,"
                  " group_from = COALESCE(group_from, $3), retention_at = $5,"
                  " kept_bytes = kept_bytes + $6"
                  " WHERE conversation_key = $1 AND epoch = $2"
                  " AND (group_id IS NULL OR group_id = $4)",
                  {key_, bundle_.epoch, head_ + 1, Blob{bundle_.group_id}, NextLook(),
                   static_cast<int64_t>(bundle_.commit.size())}));
  if (taken == 1) return absl::OkStatus();
  // Of a group that has ended: its epochs say nothing of this one's.
  const bool ended = generation_ > 0 && bundle_.epoch > 0 && bundle_.group_id != group_id_;
  if (bundle_.epoch != epoch_ && !ended) return EpochConflict(epoch_, head_);
  return Error(StatusCode::kFailedPrecondition, reason::kGroupMismatch)
      .Message("this commit is of another group");
}

bool CommitRun::MayCommit() const {
  // Who starts the group anew may have lost it.
  if (bundle_.replaces.has_value()) return true;
  if (IsFirst()) return committer_->live && !bundle_.external;
  return bundle_.external || (committer_->live && committer_->in_group);
}

absl::Status CommitRun::CheckChange() {
  if (!MayCommit()) {
    return DeviceNotInGroup();
  }
  for (const DeviceId& device : bundle_.removed) {
    const auto found = devices_.find(device);
    if (found == devices_.end() || !found->second.in_group) {
      return ChangeInvalid("a removed device is not in the group");
    }
  }
  for (const DeviceId& device : bundle_.added) {
    const auto found = devices_.find(device);
    if (found == devices_.end() || found->second.revoked || found->second.departed) {
      return ChangeInvalid("an added device is no device of a member");
    }
    if (found->second.in_group && !IsRemoved(device)) {
      return ChangeInvalid("an added device is in the group already");
    }
  }
  size_t in_group = committer_->in_group ? 0 : 1;
  for (const auto& [device, row] : devices_) in_group += row.in_group ? 1 : 0;
  if (in_group + bundle_.added.size() - bundle_.removed.size() <= group_limits_.devices) {
    return absl::OkStatus();
  }
  return ChangeInvalid("the group would have too many devices");
}

absl::Status CommitRun::CheckWelcomes() {
  storage::Args args = {bundle_.device, key_};
  for (const WelcomeFor& welcome : bundle_.welcomes) {
    for (const std::string& reference : welcome.references) args.emplace_back(Blob{reference});
  }
  if (args.size() == 2) return absl::OkStatus();
  // Those named and no others: a device may hold thousands of claims, and the row is locked.
  const size_t named_count = PaddedCount(args.size() - 2);
  const storage::Value last = args.back();
  args.resize(2 + named_count, last);
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx_.Query(absl::StrCat("SELECT i.target_device, i.reference FROM key_claim_items i"
                             " JOIN key_claims k ON k.device_id = i.device_id"
                             " AND k.claim_id = i.claim_id WHERE i.device_id = $1"
                             " AND k.conversation_key = $2 AND i.reference IN (",
                             Parameters(3, named_count), ")"),
                args));
  absl::flat_hash_map<std::string, DeviceId> owners;
  for (const Row& row : rows) owners[std::string(row.Bytes(1))] = row.Id<DeviceId>(0);
  for (const WelcomeFor& welcome : bundle_.welcomes) {
    std::vector<DeviceId> named;
    for (const std::string& reference : welcome.references) {
      const auto owner = owners.find(reference);
      if (owner == owners.end()) {
        return ChangeInvalid("a Welcome names a key package that this device has not claimed");
      }
      named.push_back(owner->second);
    }
    if (!std::is_permutation(named.begin(), named.end(), welcome.devices.begin(),
                             welcome.devices.end())) {
      return ChangeInvalid("a Welcome names key packages of other devices");
    }
  }
  return absl::OkStatus();
}

absl::Status CommitRun::CheckRoom() {
  const Kept kept{head_ + 1 - first_, kept_bytes_};
  if (IsKeptFull(limits_, kept, bundle_.commit)) return KeptFull();
  for (const auto& [device, row] : devices_) {
    if (!row.live || !KeepsReading(device)) continue;
    if (row.last_seen_at <= now_ - limits_.silent_after) continue;
    if (head_ + 1 <= row.reached + limits_.backlog_messages) continue;
    return BacklogFull();
  }
  return absl::OkStatus();
}

absl::Status CommitRun::StoreCommit() {
  RETURN_IF_ERROR(
      tx_.Execute("INSERT INTO messages (conversation_key, sequence, sender_key, sender_device,"
                  " message_id, created_at, payload) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                  {key_, head_ + 1, KeyOf(bundle_.member), bundle_.device, bundle_.commit_id, now_,
                   Blob{bundle_.commit}})
          .status());
  return tx_
      .Execute(
          "INSERT INTO group_commits (conversation_key, sequence, generation, epoch, digest)"
          " VALUES ($1, $2, $3, $4, $5)",
          {key_, head_ + 1, generation_, bundle_.epoch, Blob{DigestOf(bundle_)}})
      .status();
}

absl::Status CommitRun::EndReading(const DeviceId& device, int64_t sequence) {
  return tx_
      .Execute(
          "UPDATE conversation_devices SET in_group = 0,"
          " end_sequence = COALESCE(end_sequence, $3)"
          " WHERE conversation_key = $1 AND device_id = $2",
          {key_, device, sequence})
      .status();
}

absl::Status CommitRun::Join(const DeviceId& device, const DeviceRow& row) {
  // What was said before there was a group, and waits for a device, is not taken from it: it reads
  // on from there, and meets the commit in its place.
  if (IsFirst() && row.live && row.reached < head_) {
    return tx_
        .Execute(
            "UPDATE conversation_devices SET in_group = 1"
            " WHERE conversation_key = $1 AND device_id = $2",
            {key_, device})
        .status();
  }
  RETURN_IF_ERROR(KeepReadingSpan(tx_, key_, device, head_));
  // What it could read when it was in the group before, and has not acknowledged, it can decrypt no
  // more: it finds a Gap from there to its new start (C6).
  if (row.acked < row.end) {
    return tx_
        .Execute(
            "UPDATE conversation_devices SET in_group = 1, skipped_sequence = $3,"
            " read_from = $3 + 1, end_sequence = NULL"
            " WHERE conversation_key = $1 AND device_id = $2",
            {key_, device, head_ + 1})
        .status();
  }
  return tx_
      .Execute(
          "UPDATE conversation_devices SET in_group = 1, start_sequence = $3 + 1,"
          " acked_sequence = $3, end_sequence = NULL"
          " WHERE conversation_key = $1 AND device_id = $2",
          {key_, device, head_ + 1})
      .status();
}

absl::Status CommitRun::ChangeDevices() {
  for (const DeviceId& device : bundle_.removed) {
    RETURN_IF_ERROR(EndReading(device, head_ + 1));
    RETURN_IF_ERROR(
        tx_.Execute("DELETE FROM group_welcomes WHERE conversation_key = $1 AND device_id = $2",
                    {key_, device})
            .status());
  }
  for (const DeviceId& device : bundle_.added) {
    RETURN_IF_ERROR(Join(device, devices_.at(device)));
  }
  if (bundle_.external) return Join(bundle_.device, *committer_);
  if (!IsFirst()) return absl::OkStatus();
  if (!committer_->live) RETURN_IF_ERROR(Join(bundle_.device, *committer_));
  RETURN_IF_ERROR(tx_.Execute("UPDATE conversation_devices SET in_group = 1"
                              " WHERE conversation_key = $1 AND device_id = $2",
                              {key_, bundle_.device})
                      .status());
  return tx_
      .Execute(
          "UPDATE conversation_devices SET end_sequence = $2"
          " WHERE conversation_key = $1 AND end_sequence IS NULL AND in_group = 0",
          {key_, head_})
      .status();
}

absl::Status CommitRun::StoreWelcomes() {
  // One that joined by itself needs none that may still wait.
  if (bundle_.external) {
    return tx_
        .Execute("DELETE FROM group_welcomes WHERE conversation_key = $1 AND device_id = $2",
                 {key_, bundle_.device})
        .status();
  }
  for (const WelcomeFor& welcome : bundle_.welcomes) {
    for (const DeviceId& device : welcome.devices) {
      RETURN_IF_ERROR(
          tx_.Execute("INSERT INTO group_welcomes (conversation_key, device_id, sequence, epoch,"
                      " created_at, message) VALUES ($1, $2, $3, $4, $5, $6)",
                      {key_, device, head_ + 1, bundle_.epoch + 1, now_, Blob{welcome.message}})
              .status());
    }
  }
  return absl::OkStatus();
}

absl::Status CommitRun::StoreGroupInfo() {
  RETURN_IF_ERROR(
      tx_.Execute("DELETE FROM group_infos WHERE conversation_key = $1", {key_}).status());
  return tx_
      .Execute("INSERT INTO group_infos (conversation_key, epoch, message) VALUES ($1, $2, $3)",
               {key_, bundle_.epoch + 1, Blob{bundle_.group_info}})
      .status();
}

std::vector<WakeUp> CommitRun::WakeUps() const {
  std::vector<WakeUp> wake_ups;
  for (const auto& [device, row] : devices_) {
    const bool added = std::binary_search(bundle_.added.begin(), bundle_.added.end(), device);
    if (row.live || added || device == bundle_.device) {
      wake_ups.push_back({device, bundle_.conversation});
    }
  }
  return wake_ups;
}

}  // namespace

absl::Status RunCommit(Transaction& tx, const Limits& limits, const GroupLimits& group_limits,
                       absl::Time now, const CommitBundle& bundle, Committed& committed) {
  return CommitRun(tx, limits, group_limits, now, bundle, committed).Run();
}

}  // namespace handrail::messaging
