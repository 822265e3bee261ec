#include "services/messaging/stores/sql_push_store.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/stores/refusals.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Args;
using storage::Row;
using storage::Rows;
using storage::Transaction;

// The lease of a replica that is gone for so long is nobody's business any more.
constexpr absl::Duration kForgetReplicaAfter = absl::Hours(1);

// The row stays, with what was spent of the budget: a device that comes and goes gets no more
// pushes than one that stays.
constexpr absl::string_view kForgetToken =
    "UPDATE push_devices SET token = NULL, push_id = NULL, claimed_until = 0, pushed_at = NULL,"
    " refused_until = 0";

// Locks the device, so that what profiles says of it does not cross this.
absl::Status CheckDevice(Transaction& tx, const MemberId& member, const DeviceId& device) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT revoked FROM devices WHERE device_id = $1 AND member_id = $2"
                            " {for_update}",
                            {device, member}));
  if (rows.empty()) {
    return Error(StatusCode::kNotFound, kDeviceUnknown).Message("no such device");
  }
  if (rows.front().Bool(0)) return DeviceRemoved();
  return absl::OkStatus();
}

// The devices as parameters, padded by repeating the last.
void AddPadded(absl::Span<const DeviceId> devices, Args& args) {
  const size_t count = PaddedCount(devices.size());
  for (size_t i = 0; i < count; ++i) args.emplace_back(devices[std::min(i, devices.size() - 1)]);
}

PushStanding StandingOf(const Row& row) {
  PushStanding standing;
  standing.device = row.Id<DeviceId>(0);
  standing.token = std::string(row.Text(1));
  if (!row.IsNull(2)) standing.pushed_at = row.Time(2);
  standing.pushed = {row.Int(3), row.Int(4), row.Int(5)};
  standing.budget_at = row.Time(6);
  standing.claimed_until = row.Time(7);
  standing.refused_until = row.Time(8);
  standing.mark.generation = row.Int(9);
  if (!row.IsNull(10)) standing.stream_at = row.Id<ReplicaId>(10);
  return standing;
}

// What waits for each: a message that somebody else sent, whom no block parts from them, in a
// conversation that is open to the device. A commit alone is nothing to wake anybody for.
absl::Status LoadMarks(Transaction& tx, absl::Span<const DeviceId> devices,
                       absl::flat_hash_map<DeviceId, PushStanding*>& standings) {
  Args args;
  AddPadded(devices, args);
  constexpr absl::string_view kOpen =
      "c.state = 1 AND c.blocked = 0 AND d.departed = 0 AND d.end_sequence IS NULL";
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx.Query(absl::StrCat("SELECT d.device_id, CAST(SUM(d.acked_sequence) AS {int}),"
                            " CAST(SUM(COALESCE(d.end_sequence, c.head_sequence)) AS {int}),"
                            " CAST(MAX(CASE WHEN ",
                            kOpen,
                            " AND c.head_sequence > d.acked_sequence AND EXISTS (SELECT 1"
                            "  FROM messages m WHERE m.conversation_key = d.conversation_key"
                            "  AND m.sequence > d.acked_sequence"
                            "  AND m.sequence > d.skipped_sequence"
                            "  AND m.sender_key <> p.member_key AND NOT EXISTS (SELECT 1"
                            "   FROM group_commits g"
                            "   WHERE g.conversation_key = m.conversation_key"
                            "   AND g.sequence = m.sequence) AND NOT EXISTS (SELECT 1"
                            "   FROM conversation_members s JOIN blocks b"
                            "   ON (b.low_member_id = s.member_id"
                            "    AND b.high_member_id = d.member_id)"
                            "   OR (b.low_member_id = d.member_id"
                            "    AND b.high_member_id = s.member_id)"
                            "   WHERE s.conversation_key = m.conversation_key"
                            "   AND s.member_key = m.sender_key)) THEN 1 ELSE 0 END) AS {int})"
                            " FROM conversation_devices d"
                            " JOIN conversations c ON c.conversation_key = d.conversation_key"
                            " JOIN conversation_members p"
                            " ON p.conversation_key = d.conversation_key"
                            " AND p.member_id = d.member_id"
                            " WHERE d.device_id IN (",
                            Parameters(1, args.size()), ") GROUP BY d.device_id"),
               args));
  for (const Row& row : rows) {
    PushStanding& standing = *standings.at(row.Id<DeviceId>(0));
    standing.mark.acked = row.Int(1);
    standing.mark.head = row.Int(2);
    standing.unread = row.Int(3) > 0;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<PushId>> ClaimOne(Transaction& tx, const PushClaim& claim) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx.Query("UPDATE push_devices SET claimed_until = $2, budget_at = $3,"
               " push_id = CASE WHEN push_id IS NOT NULL AND push_generation = $4"
               "  AND push_acked = $5 THEN push_id ELSE $6 END,"
               " push_generation = $4, push_acked = $5"
               " WHERE device_id = $1 AND claimed_until = $7 AND token = $8 RETURNING push_id",
               {claim.device, claim.until, claim.budget_after, claim.mark.generation,
                claim.mark.acked, claim.fresh_id, claim.claimed_until, claim.token}));
  if (rows.empty()) return std::optional<PushId>();
  return std::optional<PushId>(rows.front().Id<PushId>(0));
}

}  // namespace

absl::Status SqlPushStore::Register(absl::Time deadline, const MemberId& member,
                                    const DeviceId& device, const std::string& token) {
  return database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    RETURN_IF_ERROR(CheckDevice(tx, member, device));
    return tx
        .Execute(
            "INSERT INTO push_devices (device_id, token) VALUES ($1, $2)"
            " ON CONFLICT (device_id) DO UPDATE SET token = excluded.token, push_id = NULL,"
            " pushed_at = NULL, refused_until = 0, claimed_until = 0"
            " WHERE push_devices.token IS NULL OR push_devices.token <> excluded.token",
            {device, token})
        .status();
  });
}

absl::Status SqlPushStore::Unregister(absl::Time deadline, const MemberId& member,
                                      const DeviceId& device) {
  return database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    RETURN_IF_ERROR(CheckDevice(tx, member, device));
    return tx.Execute(absl::StrCat(kForgetToken, " WHERE device_id = $1"), {device}).status();
  });
}

absl::Status SqlPushStore::RenewLease(absl::Time deadline, absl::Time now,
                                      const ReplicaId& replica) {
  return database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    RETURN_IF_ERROR(tx.Execute("INSERT INTO replicas (replica_id, renewed_at) VALUES ($1, $2)"
                               " ON CONFLICT (replica_id) DO UPDATE"
                               " SET renewed_at = excluded.renewed_at",
                               {replica, now})
                        .status());
    return tx.Execute("DELETE FROM replicas WHERE renewed_at < $1", {now - kForgetReplicaAfter})
        .status();
  });
}

absl::Status SqlPushStore::EndLease(absl::Time deadline, const ReplicaId& replica) {
  return database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    return tx.Execute("DELETE FROM replicas WHERE replica_id = $1", {replica}).status();
  });
}

absl::Status SqlPushStore::EndStreams(absl::Time deadline, const ReplicaId& replica,
                                      absl::Span<const EndedStream> streams) {
  return database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    for (const EndedStream& stream : streams) {
      RETURN_IF_ERROR(tx.Execute("UPDATE devices SET stream_replica = NULL WHERE device_id = $1"
                                 " AND generation = $2 AND stream_replica = $3",
                                 {stream.device, stream.generation, replica})
                          .status());
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<PushStanding>> SqlPushStore::Look(absl::Time deadline, absl::Time now,
                                                             absl::Span<const DeviceId> devices) {
  std::vector<PushStanding> standings;
  if (devices.empty()) return standings;
  Args args = {now - limits_.lease};
  AddPadded(devices, args);
  const std::string text = absl::StrCat(
      "SELECT p.device_id, p.token, p.pushed_at, p.pushed_generation, p.pushed_acked,"
      " p.pushed_head, p.budget_at, p.claimed_until, p.refused_until, v.generation, r.replica_id"
      " FROM push_devices p JOIN devices v ON v.device_id = p.device_id"
      " LEFT JOIN replicas r ON r.replica_id = v.stream_replica AND r.renewed_at > $1"
      " WHERE v.revoked = 0 AND p.token IS NOT NULL AND p.device_id IN (",
      Parameters(2, args.size() - 1), ")");
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    standings.clear();
    ASSIGN_OR_RETURN(const Rows rows, tx.Query(text, args));
    for (const Row& row : rows) standings.push_back(StandingOf(row));
    absl::flat_hash_map<DeviceId, PushStanding*> by_device;
    std::vector<DeviceId> with_token;
    for (PushStanding& standing : standings) {
      by_device[standing.device] = &standing;
      with_token.push_back(standing.device);
    }
    return with_token.empty() ? absl::OkStatus() : LoadMarks(tx, with_token, by_device);
  }));
  return standings;
}

absl::StatusOr<std::vector<DeviceId>> SqlPushStore::ListDevices(absl::Time deadline,
                                                                const DeviceId& after,
                                                                int64_t limit) {
  std::vector<DeviceId> devices;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    devices.clear();
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT device_id FROM push_devices WHERE device_id > $1"
                              " AND token IS NOT NULL ORDER BY device_id LIMIT $2",
                              {after, limit}));
    for (const Row& row : rows) devices.push_back(row.Id<DeviceId>(0));
    return absl::OkStatus();
  }));
  return devices;
}

absl::StatusOr<std::vector<std::optional<PushId>>> SqlPushStore::Claim(
    absl::Time deadline, absl::Span<const PushClaim> claims) {
  std::vector<std::optional<PushId>> ids;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    ids.clear();
    for (const PushClaim& claim : claims) {
      ASSIGN_OR_RETURN(auto id, ClaimOne(tx, claim));
      ids.push_back(id);
    }
    return absl::OkStatus();
  }));
  return ids;
}

absl::Status SqlPushStore::Settle(absl::Time deadline, absl::Time now, const PushClaim& claim,
                                  PushOutcome outcome, absl::Time refused_until) {
  return database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    const auto settle = [&](absl::string_view change, Args args) {
      args.insert(args.begin(), {claim.device, claim.until});
      return tx
          .Execute(absl::StrCat("UPDATE push_devices SET claimed_until = 0, ", change,
                                " WHERE device_id = $1 AND claimed_until = $2"),
                   args)
          .status();
    };
    switch (outcome) {
      case PushOutcome::kSent:
        return settle(
            "push_id = NULL, pushed_at = $3, pushed_generation = $4,"
            " pushed_acked = $5, pushed_head = $6",
            {now, claim.mark.generation, claim.mark.acked, claim.mark.head});
      case PushOutcome::kRefused: return settle("refused_until = $3", {refused_until});
      case PushOutcome::kFailed: return settle("budget_at = $3", {claim.budget_before});
      case PushOutcome::kGone:
        return tx
            .Execute(absl::StrCat(kForgetToken, " WHERE device_id = $1 AND token = $2"),
                     {claim.device, claim.token})
            .status();
    }
    return absl::OkStatus();
  });
}

}  // namespace handrail::messaging
