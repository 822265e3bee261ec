#include "services/messaging/stores/sql_group_store.h"

#include <memory>
#include <utility>

#include "common/base/status.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/stores/commit_step.h"
#include "services/messaging/stores/invalid_commits.h"
#include "services/messaging/stores/refusals.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Row;
using storage::Rows;
using storage::Transaction;

// Of 64 KiB each at most: about 1 MiB.
constexpr size_t kWelcomesAtOnce = 16;
constexpr int kAttemptsLimit = 3;

absl::Status DeviceUnknown() {
  return Error(StatusCode::kNotFound, kDeviceUnknown).Message("no such conversation");
}

// The caller's device takes part in the conversation: NOT_FOUND, NOT_FOUND / DEVICE_UNKNOWN,
// PERMISSION_DENIED / DEVICE_REVOKED.
absl::Status CheckTakesPart(Transaction& tx, const MemberId& member, const DeviceId& device,
                            const ConversationId& conversation) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT v.revoked FROM conversation_devices d JOIN conversations c"
                            " ON c.conversation_key = d.conversation_key"
                            " JOIN devices v ON v.device_id = d.device_id"
                            " WHERE c.conversation_key = $1 AND c.conversation_id = $2"
                            " AND d.device_id = $3 AND d.member_id = $4",
                            {KeyOf(conversation), conversation, device, member}));
  if (!rows.empty()) return rows.front().Bool(0) ? DeviceRemoved() : absl::OkStatus();
  ASSIGN_OR_RETURN(const Rows known,
                   tx.Query("SELECT 1 FROM devices WHERE device_id = $1", {device}));
  if (known.empty()) return DeviceUnknown();
  return Error(StatusCode::kNotFound, reason::kNotFound).Message("no such conversation");
}

// Those of `member` alone, once nobody can be added any more: whom the others have is none of its
// business then.
absl::Status LoadDevices(Transaction& tx, const MemberId& member, Group& group) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT d.device_id, d.member_id, d.in_group, d.end_sequence"
                            " FROM conversation_devices d JOIN devices v"
                            " ON v.device_id = d.device_id WHERE d.conversation_key = $1"
                            " AND (d.in_group = 1 OR (v.revoked = 0 AND d.departed = 0))"
                            " AND (d.member_id = $2 OR $3 = 1) ORDER BY d.device_id",
                            {KeyOf(group.conversation), member,
                             group.state == ConversationState::kOpen ? 1 : 0}));
  for (const Row& row : rows) {
    const bool in_group = row.Bool(2) && !group.group_id.empty();
    GroupDeviceState state = GroupDeviceState::kOutside;
    if (in_group) state = row.IsNull(3) ? GroupDeviceState::kInGroup : GroupDeviceState::kRevoked;
    group.devices.push_back({row.Id<DeviceId>(0), row.Id<MemberId>(1), state});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Committed> SqlGroupStore::Commit(absl::Time deadline, absl::Time now,
                                                const CommitBundle& bundle) {
  Committed committed;
  absl::Status status;
  // A message id that is used in another conversation at the same moment is found on the second
  // look, as it is by AppendBatcher.
  for (int attempt = 0; attempt < kAttemptsLimit; ++attempt) {
    status = database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
      return RunCommit(tx, limits_, group_limits_, now, bundle, committed);
    });
    if (!absl::IsAlreadyExists(status)) break;
  }
  RETURN_IF_ERROR(status);
  return committed;
}

absl::StatusOr<Group> SqlGroupStore::GetGroup(absl::Time deadline, const MemberId& member,
                                              const DeviceId& device,
                                              const ConversationId& conversation) {
  Group group;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    group = Group();
    RETURN_IF_ERROR(CheckTakesPart(tx, member, device, conversation));
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT c.group_id, c.epoch, c.head_sequence, i.message,"
                              " c.state, c.blocked, d.departed, c.generation"
                              " FROM conversations c"
                              " JOIN conversation_devices d"
                              " ON d.conversation_key = c.conversation_key AND d.device_id = $2"
                              " LEFT JOIN group_infos i"
                              " ON i.conversation_key = c.conversation_key AND i.epoch = c.epoch"
                              " WHERE c.conversation_key = $1",
                              {KeyOf(conversation), device}));
    const Row& row = rows.front();
    group.conversation = conversation;
    group.state = static_cast<ConversationState>(row.Int(4));
    const bool left = row.Bool(6);
    if (left) group.state = ConversationState::kClosed;
    if (left || row.Bool(5)) return absl::OkStatus();
    if (!row.IsNull(0)) group.group_id = std::string(row.Bytes(0));
    group.epoch = row.Int(1);
    group.head_sequence = row.Int(2);
    group.generation = row.Int(7);
    const bool open = group.state == ConversationState::kOpen;
    if (open && !row.IsNull(3)) group.group_info = std::string(row.Bytes(3));
    return LoadDevices(tx, member, group);
  }));
  return group;
}

absl::StatusOr<WelcomePage> SqlGroupStore::FetchWelcomes(absl::Time deadline,
                                                         const MemberId& member,
                                                         const DeviceId& device) {
  WelcomePage page;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    page = WelcomePage();
    ASSIGN_OR_RETURN(const Rows known,
                     tx.Query("SELECT revoked FROM devices WHERE device_id = $1 AND member_id = $2",
                              {device, member}));
    if (known.empty()) return DeviceUnknown();
    if (known.front().Bool(0)) return DeviceRemoved();
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT c.conversation_id, w.sequence, w.epoch, w.message,"
                              " w.created_at FROM group_welcomes w JOIN conversations c"
                              " ON c.conversation_key = w.conversation_key"
                              " WHERE w.device_id = $1 AND c.blocked = 0"
                              " ORDER BY w.created_at, w.conversation_key LIMIT $2",
                              {device, static_cast<int64_t>(kWelcomesAtOnce + 1)}));
    for (const Row& row : rows) {
      page.welcomes.push_back(
          std::make_shared<Welcome>(Welcome{row.Id<ConversationId>(0), row.Int(1), row.Int(2),
                                            std::string(row.Bytes(3)), row.Time(4)}));
    }
    page.has_more = page.welcomes.size() > kWelcomesAtOnce;
    if (page.has_more) page.welcomes.pop_back();
    return absl::OkStatus();
  }));
  return page;
}

absl::Status SqlGroupStore::AckWelcome(absl::Time deadline, const MemberId& member,
                                       const DeviceId& device, const ConversationId& conversation,
                                       int64_t sequence) {
  return database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    RETURN_IF_ERROR(CheckTakesPart(tx, member, device, conversation));
    return tx
        .Execute(
            "DELETE FROM group_welcomes WHERE conversation_key = $1 AND device_id = $2"
            " AND sequence <= $3",
            {KeyOf(conversation), device, sequence})
        .status();
  });
}

absl::StatusOr<ReportedCommit> SqlGroupStore::ReportInvalidCommit(const Call& call, absl::Time now,
                                                                  const InvalidCommit& commit) {
  ReportedCommit reported;
  RETURN_IF_ERROR(database_.Write(call.deadline, [&](Transaction& tx) -> absl::Status {
    return RunReport(tx, call, now, commit, reported);
  }));
  return reported;
}

}  // namespace handrail::messaging
