#include "services/messaging/stores/device_log.h"

#include <utility>

#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/stores/refusals.h"

namespace handrail::messaging {
namespace {

using storage::Blob;
using storage::Row;
using storage::Rows;
using storage::Transaction;

std::string NoHash() { return std::string(kDeviceLogHashBytes, '\0'); }

std::string HashOf(const MemberId& member, const DeviceLogEntry& entry) {
  return crypto::Sha256(DeviceLogHashInput(member, entry));
}

// Of the columns entry_index, kind, device_id, public_key, created_at, previous_hash, hash.
DeviceLogEntry EntryOf(const Row& row) {
  DeviceLogEntry entry;
  entry.index = row.Int(0);
  entry.kind = static_cast<DeviceLogKind>(row.Int(1));
  entry.device = row.Id<DeviceId>(2);
  entry.public_key = std::string(row.Bytes(3));
  entry.create_time = row.Time(4);
  entry.previous_hash = std::string(row.Bytes(5));
  entry.hash = std::string(row.Bytes(6));
  return entry;
}

struct Head {
  int64_t index = 0;
  std::string hash = NoHash();
};

absl::StatusOr<Head> HeadOf(Transaction& tx, const MemberId& member) {
  ASSIGN_OR_RETURN(const Rows rows, tx.Query("SELECT entry_index, hash FROM device_log"
                                             " WHERE member_id = $1"
                                             " ORDER BY entry_index DESC LIMIT 1",
                                             {member}));
  if (rows.empty()) return Head();
  return Head{rows.front().Int(0), std::string(rows.front().Bytes(1))};
}

// The key with which a device was added last.
absl::StatusOr<std::string> LoggedKey(Transaction& tx, const MemberId& member,
                                      const DeviceId& device) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT public_key FROM device_log WHERE member_id = $1"
                            " AND device_id = $2 ORDER BY entry_index DESC LIMIT 1",
                            {member, device}));
  if (rows.empty()) return absl::InternalError("a device that is logged has no entry");
  return std::string(rows.front().Bytes(0));
}

absl::Status AddEntry(Transaction& tx, absl::Time now, const MemberId& member, DeviceLogKind kind,
                      const DeviceId& device, const std::string& key, Head& head) {
  DeviceLogEntry entry{head.index + 1, kind, device, key, now, head.hash, ""};
  entry.hash = HashOf(member, entry);
  RETURN_IF_ERROR(tx.Execute("INSERT INTO device_log (member_id, entry_index, kind, device_id,"
                             " public_key, created_at, previous_hash, hash)"
                             " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                             {member, entry.index, static_cast<int>(kind), device, Blob{key}, now,
                              Blob{entry.previous_hash}, Blob{entry.hash}})
                      .status());
  head = {entry.index, std::move(entry.hash)};
  return tx
      .Execute("UPDATE devices SET logged = $2 WHERE device_id = $1",
               {device, kind == DeviceLogKind::kAdded})
      .status();
}

absl::Status CheckCaller(Transaction& tx, const MemberId& member, const DeviceId& device) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx.Query("SELECT member_id, revoked FROM devices WHERE device_id = $1", {device}));
  if (rows.empty() || rows.front().Id<MemberId>(0) != member) {
    return Error(absl::StatusCode::kNotFound, kDeviceUnknown).Message("this device is not known");
  }
  return rows.front().Bool(1) ? DeviceRemoved() : absl::OkStatus();
}

absl::Status CheckMaySee(Transaction& tx, const MemberId& member, const MemberId& of) {
  if (member == of) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT 1 FROM conversation_members a JOIN conversation_members b"
                            " ON b.conversation_key = a.conversation_key AND b.member_id = $2"
                            " JOIN conversations c ON c.conversation_key = a.conversation_key"
                            " WHERE a.member_id = $1 AND a.left_at IS NULL AND b.left_at IS NULL"
                            " AND c.state = 1 LIMIT 1",
                            {member, of}));
  if (!rows.empty()) return absl::OkStatus();
  return Error(absl::StatusCode::kNotFound, reason::kNotFound).Message("no such member");
}

}  // namespace

absl::Status LogDevices(Transaction& tx, absl::Time now, const MemberId& member,
                        const std::map<DeviceId, std::string>& keys) {
  ASSIGN_OR_RETURN(const Rows changed,
                   tx.Query("SELECT device_id, revoked FROM devices WHERE member_id = $1"
                            " AND revoked = logged ORDER BY revoked DESC, device_id",
                            {member}));
  if (changed.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(Head head, HeadOf(tx, member));
  for (const Row& row : changed) {
    const DeviceId device = row.Id<DeviceId>(0);
    if (row.Bool(1)) {
      ASSIGN_OR_RETURN(const std::string key, LoggedKey(tx, member, device));
      RETURN_IF_ERROR(AddEntry(tx, now, member, DeviceLogKind::kRevoked, device, key, head));
    } else if (const auto key = keys.find(device); key != keys.end()) {
      RETURN_IF_ERROR(AddEntry(tx, now, member, DeviceLogKind::kAdded, device, key->second, head));
    }
  }
  return absl::OkStatus();
}

absl::Status ForgetDeviceLog(Transaction& tx, const MemberId& member) {
  RETURN_IF_ERROR(tx.Execute("DELETE FROM device_log WHERE member_id = $1", {member}).status());
  return tx.Execute("UPDATE devices SET logged = 0 WHERE member_id = $1 AND logged = 1", {member})
      .status();
}

absl::StatusOr<int64_t> CountBrokenDeviceLogEntries(Transaction& tx) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT entry_index, kind, device_id, public_key, created_at,"
                            " previous_hash, hash, member_id FROM device_log"
                            " ORDER BY member_id, entry_index",
                            {}));
  int64_t broken = 0;
  Head before;
  for (const Row& row : rows) {
    const DeviceLogEntry entry = EntryOf(row);
    if (entry.index == 1) before = Head();
    const bool follows = entry.index == before.index + 1 && entry.previous_hash == before.hash;
    if (!follows || entry.hash != HashOf(row.Id<MemberId>(7), entry)) ++broken;
    before = {entry.index, entry.hash};
  }
  return broken;
}

absl::StatusOr<DeviceLogPage> SqlDeviceLogStore::List(absl::Time deadline, const MemberId& member,
                                                      const DeviceId& device, const MemberId& of,
                                                      int64_t after_index, int64_t limit) {
  DeviceLogPage page;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    page = DeviceLogPage();
    RETURN_IF_ERROR(CheckCaller(tx, member, device));
    RETURN_IF_ERROR(CheckMaySee(tx, member, of));
    ASSIGN_OR_RETURN(Head head, HeadOf(tx, of));
    page.head_index = head.index;
    page.head_hash = std::move(head.hash);
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT entry_index, kind, device_id, public_key, created_at,"
                              " previous_hash, hash FROM device_log WHERE member_id = $1"
                              " AND entry_index > $2 ORDER BY entry_index LIMIT $3",
                              {of, after_index, limit}));
    for (const Row& row : rows) page.entries.push_back(EntryOf(row));
    ASSIGN_OR_RETURN(const Rows unsaid,
                     tx.Query("SELECT (SELECT COUNT(*) FROM devices WHERE member_id = $1"
                              "  AND revoked = logged)"
                              " + (SELECT COUNT(*) FROM members WHERE member_id = $1"
                              "  AND version = 0)",
                              {of}));
    page.incomplete = unsaid.front().Int(0) > 0;
    return absl::OkStatus();
  }));
  return page;
}

}  // namespace handrail::messaging
