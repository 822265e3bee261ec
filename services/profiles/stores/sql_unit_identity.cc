// Members, devices, challenges, first answers and the cipher of a unit.
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "common/storage/request_log.h"
#include "services/profiles/stores/sql_unit.h"

namespace handrail::profiles {
namespace {

using storage::Blob;
using storage::Row;
using storage::Rows;

constexpr SealedColumn kPublicKeyColumn = {"devices", "sealed_public_key"};
constexpr SealedColumn kAnswerColumn = {"request_log", "answer"};

Blob ToBlob(absl::string_view bytes) { return Blob{std::string(bytes)}; }

absl::Status CorruptError() {
  return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
      .Message("a stored row cannot be read");
}

// What names an answer's row: the method and the request id.
std::string AnswerRow(const Call& call) { return absl::StrCat(call.method, "\n", call.request_id); }

}  // namespace

absl::StatusOr<const crypto::MemberKey*> SqlUnit::KeyOf(const MemberId& member) {
  if (key_.has_value() && key_member_ == member) return &*key_;
  ASSIGN_OR_RETURN(
      const Rows rows,
      transaction_.Query("SELECT wrapped_key FROM member_keys WHERE member_id = $1", {member}));
  if (rows.empty()) return CorruptError();
  ASSIGN_OR_RETURN(key_, cipher_.Unwrap(member, rows.front().Bytes(0)));
  key_member_ = member;
  return &*key_;
}

absl::StatusOr<storage::Value> SqlUnit::Seal(const MemberId& member, const SealedColumn& column,
                                             absl::string_view row, absl::string_view plain) {
  ASSIGN_OR_RETURN(const crypto::MemberKey* key, KeyOf(member));
  return storage::Value(Blob{cipher_.Seal(*key, column, row, plain)});
}

absl::StatusOr<std::string> SqlUnit::Open(const MemberId& member, const SealedColumn& column,
                                          absl::string_view row, absl::string_view sealed) {
  ASSIGN_OR_RETURN(const crypto::MemberKey* key, KeyOf(member));
  return cipher_.Open(*key, column, row, sealed);
}

absl::StatusOr<std::optional<std::string>> SqlUnit::FindAnswer(const Call& call) {
  ASSIGN_OR_RETURN(std::optional<std::string> sealed, storage::FindAnswer(transaction_, call));
  if (!sealed.has_value()) return sealed;
  ASSIGN_OR_RETURN(std::string answer,
                   Open(call.who.member, kAnswerColumn, AnswerRow(call), *sealed));
  return std::optional<std::string>(std::move(answer));
}

absl::Status SqlUnit::RecordAnswer(const Call& call, absl::Time now, absl::string_view answer) {
  ASSIGN_OR_RETURN(const crypto::MemberKey* key, KeyOf(call.who.member));
  return storage::RecordAnswer(transaction_, call, now,
                               cipher_.Seal(*key, kAnswerColumn, AnswerRow(call), answer));
}

absl::StatusOr<bool> SqlUnit::UseChallenge(absl::string_view challenge, absl::Time expire_time) {
  ASSIGN_OR_RETURN(const int64_t inserted,
                   transaction_.Execute("INSERT INTO used_challenges (challenge, expires_at) "
                                        "VALUES ($1, $2) ON CONFLICT DO NOTHING",
                                        {ToBlob(challenge), expire_time}));
  return inserted == 1;
}

absl::Status SqlUnit::InsertMember(const Member& member) {
  RETURN_IF_ERROR(transaction_
                      .Execute("INSERT INTO members (member_id, version, standing, created_at) "
                               "VALUES ($1, $2, $3, $4)",
                               {member.id, member.version, static_cast<int>(member.standing),
                                member.create_time})
                      .status());
  return transaction_
      .Execute("INSERT INTO member_keys (member_id, wrapped_key) VALUES ($1, $2)",
               {member.id, ToBlob(cipher_.CreateWrappedKey(member.id))})
      .status();
}

namespace {

absl::StatusOr<std::optional<Member>> ReadMember(const absl::StatusOr<Rows>& rows) {
  RETURN_IF_ERROR(rows.status());
  if (rows->empty()) return std::optional<Member>();
  const Row& row = rows->front();
  return std::optional<Member>(
      Member{row.Id<MemberId>(0), row.Int(1), static_cast<Standing>(row.Int(2)), row.Time(3)});
}

}  // namespace

absl::StatusOr<std::optional<Member>> SqlUnit::FindMember(const MemberId& id) {
  return ReadMember(transaction_.Query(
      "SELECT member_id, version, standing, created_at FROM members WHERE member_id = $1", {id}));
}

absl::StatusOr<std::optional<Member>> SqlUnit::LockMember(const MemberId& id) {
  if (mode_ == Mode::kRead) return FindMember(id);
  return ReadMember(
      transaction_.Query("SELECT member_id, version, standing, created_at FROM members "
                         "WHERE member_id = $1 {for_update}",
                         {id}));
}

absl::Status SqlUnit::BumpVersion(const MemberId& id, absl::Time now,
                                  absl::Span<const Receiver> receivers) {
  ASSIGN_OR_RETURN(const Rows rows, transaction_.Query("UPDATE members SET version = version + 1 "
                                                       "WHERE member_id = $1 RETURNING version",
                                                       {id}));
  if (rows.empty()) return CorruptError();
  for (const Receiver receiver : receivers) {
    RETURN_IF_ERROR(
        UpsertOutbox(receiver, OutboxEntry::Kind::kMember, id, rows.front().Int(0), now));
  }
  return absl::OkStatus();
}

absl::Status SqlUnit::UpsertOutbox(Receiver receiver, OutboxEntry::Kind kind, const RawId& subject,
                                   int64_t version, absl::Time now) {
  return transaction_
      .Execute(
          "INSERT INTO outbox (receiver, kind, subject, version, created_at, due_at, attempts) "
          "VALUES ($1, $2, $3, $4, $5, $5, 0) "
          "ON CONFLICT (receiver, kind, subject) DO UPDATE SET "
          "version = excluded.version, due_at = excluded.due_at, attempts = 0",
          {static_cast<int>(receiver), static_cast<int>(kind), subject, version, now})
      .status();
}

absl::StatusOr<bool> SqlUnit::InsertDevice(const Device& device) {
  ASSIGN_OR_RETURN(const storage::Value sealed,
                   Seal(device.member, kPublicKeyColumn, device.id.Bytes(), device.public_key));
  ASSIGN_OR_RETURN(const int64_t inserted,
                   transaction_.Execute(
                       "INSERT INTO devices (device_id, member_id, key_index, "
                       "sealed_public_key, created_at) VALUES ($1, $2, $3, $4, $5) "
                       "ON CONFLICT (key_index) DO NOTHING",
                       {device.id, device.member, ToBlob(cipher_.PublicKeyIndex(device.public_key)),
                        sealed, device.create_time}));
  return inserted == 1;
}

absl::StatusOr<Device> SqlUnit::ReadDevice(const Row& row) {
  Device device;
  device.id = row.Id<DeviceId>(0);
  device.member = row.Id<MemberId>(1);
  device.create_time = row.Time(3);
  if (!row.IsNull(4)) device.revoke_time = row.Time(4);
  ASSIGN_OR_RETURN(device.public_key,
                   Open(device.member, kPublicKeyColumn, device.id.Bytes(), row.Bytes(2)));
  return device;
}

absl::StatusOr<std::optional<Device>> SqlUnit::FindDevice(const DeviceId& id) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      transaction_.Query("SELECT device_id, member_id, sealed_public_key, created_at, revoked_at "
                         "FROM devices WHERE device_id = $1",
                         {id}));
  if (rows.empty()) return std::optional<Device>();
  ASSIGN_OR_RETURN(Device device, ReadDevice(rows.front()));
  return std::optional<Device>(std::move(device));
}

absl::StatusOr<std::optional<Device>> SqlUnit::FindDeviceByKey(absl::string_view public_key) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      transaction_.Query("SELECT device_id, member_id, sealed_public_key, created_at, revoked_at "
                         "FROM devices WHERE key_index = $1",
                         {ToBlob(cipher_.PublicKeyIndex(public_key))}));
  if (rows.empty()) return std::optional<Device>();
  ASSIGN_OR_RETURN(Device device, ReadDevice(rows.front()));
  // A keyed hash does not collide; if it did, nobody would be signed in as another.
  if (!crypto::ConstantTimeEquals(device.public_key, public_key)) return CorruptError();
  return std::optional<Device>(std::move(device));
}

absl::StatusOr<Page<Device>> SqlUnit::ListDevices(const MemberId& member, const PageRequest& page) {
  const PageCursor after = page.after.value_or(PageCursor{absl::InfinitePast(), ""});
  ASSIGN_OR_RETURN(
      const Rows rows,
      transaction_.Query("SELECT device_id, member_id, sealed_public_key, created_at, revoked_at "
                         "FROM devices WHERE member_id = $1 AND (created_at, device_id) > ($2, $3) "
                         "ORDER BY created_at, device_id LIMIT $4",
                         {member, after.time, ToBlob(after.id), page.limit + 1}));
  return MakePage<Device>(
      rows, page.limit, [this](const Row& row) { return ReadDevice(row); },
      [](const Device& device) {
        return PageCursor{device.create_time, std::string(device.id.Bytes())};
      });
}

absl::StatusOr<int> SqlUnit::CountActiveDevices(const MemberId& member) {
  ASSIGN_OR_RETURN(const Rows rows,
                   transaction_.Query("SELECT COUNT(*) FROM devices "
                                      "WHERE member_id = $1 AND revoked_at IS NULL",
                                      {member}));
  return static_cast<int>(rows.front().Int(0));
}

absl::StatusOr<int> SqlUnit::CountDevicesSince(const MemberId& member, absl::Time since) {
  ASSIGN_OR_RETURN(const Rows rows, transaction_.Query("SELECT COUNT(*) FROM devices "
                                                       "WHERE member_id = $1 AND created_at > $2",
                                                       {member, since}));
  return static_cast<int>(rows.front().Int(0));
}

absl::Status SqlUnit::SetDeviceRevoked(const DeviceId& id, absl::Time revoke_time) {
  return transaction_
      .Execute("UPDATE devices SET revoked_at = $2 WHERE device_id = $1", {id, revoke_time})
      .status();
}

absl::StatusOr<Page<Revocation>> SqlUnit::ListRevocations(absl::Time since,
                                                          const PageRequest& page) {
  const PageCursor after = page.after.value_or(PageCursor{absl::InfinitePast(), ""});
  ASSIGN_OR_RETURN(const Rows rows,
                   transaction_.Query("SELECT device_id, revoked_at FROM devices "
                                      "WHERE revoked_at IS NOT NULL AND revoked_at >= $1 "
                                      "AND (revoked_at, device_id) > ($2, $3) "
                                      "ORDER BY revoked_at, device_id LIMIT $4",
                                      {since, after.time, ToBlob(after.id), page.limit + 1}));
  return MakePage<Revocation>(
      rows, page.limit,
      [](const Row& row) -> absl::StatusOr<Revocation> {
        return Revocation{row.Id<DeviceId>(0), row.Time(1)};
      },
      [](const Revocation& revocation) {
        return PageCursor{revocation.revoke_time, std::string(revocation.device.Bytes())};
      });
}

}  // namespace handrail::profiles
