#include "services/messaging/stores/remains.h"

#include <map>
#include <set>
#include <vector>

#include "common/base/macros.h"
#include "services/messaging/domain/messages.h"
#include "services/messaging/stores/device_log.h"

namespace handrail::messaging {
namespace {

using storage::Row;
using storage::Rows;
using storage::Transaction;

constexpr int kErased = static_cast<int>(Standing::kErased);

// Whose rows one step found to be left over; in the order in which members are locked everywhere.
struct Found {
  std::map<MemberId, std::vector<DeviceId>> with_tokens;  // and the devices that are revoked
  std::vector<DeviceId> nobodys;
  std::set<MemberId> erased;
  bool push_ended = false;
  bool log_ended = false;
  DeviceId push_after;
  MemberId log_after;
};

absl::Status FindTokens(Transaction& tx, const DeviceId& after, int limit, Found& found) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT p.device_id, v.member_id, v.revoked FROM push_devices p"
                            " LEFT JOIN devices v ON v.device_id = p.device_id"
                            " WHERE p.device_id > $1 ORDER BY p.device_id LIMIT $2",
                            {after, limit}));
  for (const Row& row : rows) {
    found.push_after = row.Id<DeviceId>(0);
    if (row.IsNull(1)) {
      found.nobodys.push_back(found.push_after);
    } else if (row.Bool(2)) {
      found.with_tokens[row.Id<MemberId>(1)].push_back(found.push_after);
    }
  }
  found.push_ended = rows.size() < static_cast<size_t>(limit);
  return absl::OkStatus();
}

absl::Status FindErased(Transaction& tx, const MemberId& after, int limit, Found& found) {
  ASSIGN_OR_RETURN(const Rows logs, tx.Query("SELECT l.member_id, m.standing FROM device_log l"
                                             " LEFT JOIN members m ON m.member_id = l.member_id"
                                             " WHERE l.entry_index = 1 AND l.member_id > $1"
                                             " ORDER BY l.member_id LIMIT $2",
                                             {after, limit}));
  for (const Row& row : logs) {
    found.log_after = row.Id<MemberId>(0);
    if (!row.IsNull(1) && row.Int(1) == kErased) found.erased.insert(found.log_after);
  }
  found.log_ended = logs.size() < static_cast<size_t>(limit);
  // These are few, all of them together.
  ASSIGN_OR_RETURN(const Rows reports,
                   tx.Query("SELECT q.reporter FROM report_queue q JOIN members m"
                            " ON m.member_id = q.reporter WHERE m.standing = $1"
                            " ORDER BY q.reporter LIMIT $2",
                            {kErased, limit}));
  for (const Row& row : reports) found.erased.insert(row.Id<MemberId>(0));
  return absl::OkStatus();
}

// What profiles says of a member must not cross this, or a device that is taken back loses a token
// that it has just left.
absl::StatusOr<bool> LockMember(Transaction& tx, const MemberId& member) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx.Query("SELECT standing FROM members WHERE member_id = $1 {for_update}", {member}));
  return !rows.empty() && rows.front().Int(0) == kErased;
}

absl::Status TrimTokens(Transaction& tx, const Found& found, RemainsTrim& trim) {
  for (const auto& [member, devices] : found.with_tokens) {
    RETURN_IF_ERROR(LockMember(tx, member).status());
    for (const DeviceId& device : devices) {
      ASSIGN_OR_RETURN(const int64_t removed,
                       tx.Execute("DELETE FROM push_devices WHERE device_id = $1 AND EXISTS"
                                  " (SELECT 1 FROM devices v WHERE v.device_id = $1"
                                  "  AND v.revoked = 1)",
                                  {device}));
      trim.tokens += removed;
    }
  }
  for (const DeviceId& device : found.nobodys) {
    ASSIGN_OR_RETURN(const int64_t removed,
                     tx.Execute("DELETE FROM push_devices WHERE device_id = $1 AND NOT EXISTS"
                                " (SELECT 1 FROM devices v WHERE v.device_id = $1)",
                                {device}));
    trim.tokens += removed;
  }
  return absl::OkStatus();
}

absl::Status TrimErased(Transaction& tx, const Found& found, RemainsTrim& trim) {
  for (const MemberId& member : found.erased) {
    ASSIGN_OR_RETURN(const bool erased, LockMember(tx, member));
    if (!erased) continue;
    RETURN_IF_ERROR(ForgetDeviceLog(tx, member));
    RETURN_IF_ERROR(tx.Execute("DELETE FROM report_queue WHERE reporter = $1", {member}).status());
    ++trim.members;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RemainsTrim> SqlRemainsStore::TrimRemains(absl::Time deadline) {
  Found found;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    found = Found();
    RETURN_IF_ERROR(FindTokens(tx, push_after_, batch_, found));
    return FindErased(tx, log_after_, batch_, found);
  }));
  RemainsTrim trim;
  if (!found.with_tokens.empty() || !found.nobodys.empty()) {
    RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
      trim.tokens = 0;
      return TrimTokens(tx, found, trim);
    }));
  }
  if (!found.erased.empty()) {
    RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
      trim.members = 0;
      return TrimErased(tx, found, trim);
    }));
  }
  push_after_ = found.push_ended ? DeviceId() : found.push_after;
  log_after_ = found.log_ended ? MemberId() : found.log_after;
  trim.more = !found.push_ended || !found.log_ended;
  return trim;
}

}  // namespace handrail::messaging
