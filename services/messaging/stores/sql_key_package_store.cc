#include "services/messaging/stores/sql_key_package_store.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/domain/mls_framing.h"
#include "services/messaging/stores/key_package_count.h"
#include "services/messaging/stores/refusals.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Blob;
using storage::Null;
using storage::Row;
using storage::Rows;
using storage::Transaction;
using storage::Value;

// As the schema says of `state`.
constexpr int kFree = 1;
constexpr int kClaimed = 2;
constexpr int kLastResort = 3;
constexpr int kReplaced = 4;

constexpr int64_t kTrimAtOnce = 500;

std::string ReferenceOf(const NewKeyPackage& package) {
  return crypto::Sha256(KeyPackageRefInput(package.body));
}

absl::Status NotFound() {
  return Error(StatusCode::kNotFound, reason::kNotFound).Message("no such conversation");
}

absl::Status Reused(absl::string_view text) {
  return Error(StatusCode::kFailedPrecondition, reason::kRequestIdReused).Message(text);
}

// NOT_FOUND / DEVICE_UNKNOWN, PERMISSION_DENIED / DEVICE_REVOKED.
absl::Status CheckDevice(Transaction& tx, const MemberId& member, const DeviceId& device) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx.Query("SELECT member_id, revoked FROM devices WHERE device_id = $1", {device}));
  if (rows.empty() || rows.front().Id<MemberId>(0) != member) {
    return Error(StatusCode::kNotFound, kDeviceUnknown).Message("this device is not known");
  }
  if (!rows.front().Bool(1)) return absl::OkStatus();
  return DeviceRemoved();
}

// The same, one step of a member at a time: before anything else is locked, as everywhere.
absl::Status LockDevice(Transaction& tx, const MemberId& member, const DeviceId& device) {
  RETURN_IF_ERROR(
      tx.Query("SELECT version FROM members WHERE member_id = $1 {for_update}", {member}).status());
  return CheckDevice(tx, member, device);
}

// Adds what is new of a device's packages, its member locked.
class PublishStep {
 public:
  PublishStep(Transaction& tx, absl::Time now, const DeviceId& device)
      : tx_(tx), now_(now), device_(device) {}

  absl::Status Add(absl::Span<const NewKeyPackage> packages) {
    ASSIGN_OR_RETURN(const Rows rows, tx_.Query("SELECT COALESCE(MAX(place), 0) FROM key_packages"
                                                " WHERE device_id = $1",
                                                {device_}));
    int64_t place = rows.front().Int(0);
    for (const NewKeyPackage& package : packages) {
      ASSIGN_OR_RETURN(const bool known, IsKnown(package));
      if (known) continue;
      RETURN_IF_ERROR(Insert(package, ++place, kFree));
    }
    return absl::OkStatus();
  }

  // One that was handed out as something else, or replaced, is not taken back into use.
  absl::Status SetLastResort(const NewKeyPackage& package) {
    ASSIGN_OR_RETURN(const bool known, IsKnown(package));
    if (known) return absl::OkStatus();
    RETURN_IF_ERROR(tx_.Execute("UPDATE key_packages SET state = $2, changed_at = $3"
                                " WHERE device_id = $1 AND state = $4",
                                {device_, kReplaced, now_, kLastResort})
                        .status());
    return Insert(package, 0, kLastResort);
  }

 private:
  absl::StatusOr<bool> IsKnown(const NewKeyPackage& package) {
    ASSIGN_OR_RETURN(const Rows rows,
                     tx_.Query("SELECT device_id FROM key_packages WHERE reference = $1",
                               {Blob{ReferenceOf(package)}}));
    if (rows.empty()) return false;
    if (rows.front().Id<DeviceId>(0) == device_) return true;
    return Reused("another device has published this key package");
  }

  absl::Status Insert(const NewKeyPackage& package, int64_t place, int state) {
    return tx_
        .Execute(
            "INSERT INTO key_packages (reference, device_id, place, state, changed_at,"
            " message, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            {Blob{ReferenceOf(package)}, device_, place, state, now_, Blob{package.message},
             package.expires_at})
        .status();
  }

  Transaction& tx_;
  const absl::Time now_;
  const DeviceId& device_;
};

struct Target {
  DeviceId device;
  MemberId member;
};

struct Claim {
  const MemberId& member;
  const DeviceId& device;
  const std::string& claim_id;
  const ConversationId& conversation;
  absl::Span<const DeviceId> wanted;
};

std::string Concatenated(absl::Span<const DeviceId> devices) {
  std::string bytes;
  for (const DeviceId& device : devices) {
    bytes.append(device.Bytes().data(), device.Bytes().size());
  }
  return bytes;
}

class ClaimStep {
 public:
  ClaimStep(Transaction& tx, absl::Time now, const KeyPackageLimits& limits, const Claim& claim,
            KeyPackageClaim& out)
      : tx_(tx), now_(now), limits_(limits), claim_(claim), out_(out) {}

  absl::Status Run() {
    out_ = KeyPackageClaim();
    RETURN_IF_ERROR(LockDevice(tx_, claim_.member, claim_.device));
    ASSIGN_OR_RETURN(const bool repeated, Repeat());
    if (repeated) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::vector<Target> targets, FindTargets());
    RETURN_IF_ERROR(CheckLimits(targets));
    RETURN_IF_ERROR(
        tx_.Execute("INSERT INTO key_claims (device_id, claim_id, member_id, conversation_key,"
                    " wanted, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
                    {claim_.device, claim_.claim_id, claim_.member, KeyOf(claim_.conversation),
                     Blob{Concatenated(claim_.wanted)}, now_})
            .status());
    for (const Target& target : targets) RETURN_IF_ERROR(Take(target));
    return absl::OkStatus();
  }

 private:
  // Gives the first answer again. False when there was none.
  absl::StatusOr<bool> Repeat() {
    ASSIGN_OR_RETURN(const Rows claims, tx_.Query("SELECT conversation_key, wanted FROM key_claims"
                                                  " WHERE device_id = $1 AND claim_id = $2",
                                                  {claim_.device, claim_.claim_id}));
    if (claims.empty()) return false;
    if (claims.front().Int(0) != KeyOf(claim_.conversation) ||
        claims.front().Bytes(1) != absl::string_view(Concatenated(claim_.wanted))) {
      return Reused("this claim_id was used for another claim");
    }
    ASSIGN_OR_RETURN(const Rows items,
                     tx_.Query("SELECT i.target_device, i.target_member, i.reference,"
                               " i.last_resort, p.message FROM key_claim_items i"
                               " LEFT JOIN key_packages p ON p.reference = i.reference"
                               " WHERE i.device_id = $1 AND i.claim_id = $2"
                               " ORDER BY i.target_device",
                               {claim_.device, claim_.claim_id}));
    for (const Row& item : items) {
      const Target target{item.Id<DeviceId>(0), item.Id<MemberId>(1)};
      if (item.IsNull(2) || item.IsNull(4)) {
        out_.without.push_back(target.device);
      } else {
        Give(target, item.Bytes(2), item.Bytes(4), item.Bool(3));
      }
    }
    return true;
  }

  // The caller takes part in the conversation and may speak there. Its device may be outside the
  // group: whoever starts that anew welcomes the others.
  absl::Status CheckConversation() {
    ASSIGN_OR_RETURN(const Rows rows,
                     tx_.Query("SELECT c.state, c.blocked, d.can_send FROM conversations c"
                               " JOIN conversation_devices d"
                               " ON d.conversation_key = c.conversation_key"
                               " WHERE c.conversation_key = $1 AND c.conversation_id = $2"
                               " AND d.device_id = $3 AND d.departed = 0"
                               " AND (d.end_sequence IS NULL OR c.group_id IS NOT NULL)",
                               {KeyOf(claim_.conversation), claim_.conversation, claim_.device}));
    if (rows.empty()) return NotFound();
    if (rows.front().Int(0) != static_cast<int>(ConversationState::kOpen) || rows.front().Bool(1)) {
      return ConversationIsClosed();
    }
    if (rows.front().Bool(2)) return absl::OkStatus();
    return Error(StatusCode::kFailedPrecondition, reason::kMemberSuspended)
        .Message("this account cannot send at the moment");
  }

  absl::StatusOr<std::vector<Target>> FindTargets() {
    RETURN_IF_ERROR(CheckConversation());
    ASSIGN_OR_RETURN(const Rows rows,
                     tx_.Query("SELECT d.device_id, d.member_id, d.in_group"
                               " FROM conversation_devices d JOIN devices v"
                               " ON v.device_id = d.device_id WHERE d.conversation_key = $1"
                               " AND v.revoked = 0 AND d.departed = 0 AND d.device_id <> $2"
                               " ORDER BY d.device_id",
                               {KeyOf(claim_.conversation), claim_.device}));
    std::vector<Target> targets;
    for (const Row& row : rows) {
      const Target target{row.Id<DeviceId>(0), row.Id<MemberId>(1)};
      if ((claim_.wanted.empty() && !row.Bool(2)) ||
          std::binary_search(claim_.wanted.begin(), claim_.wanted.end(), target.device)) {
        targets.push_back(target);
      }
    }
    if (!claim_.wanted.empty() && targets.size() != claim_.wanted.size()) return NotFound();
    return targets;
  }

  absl::Status CheckLimits(const std::vector<Target>& targets) {
    const absl::Time since = now_ - absl::Hours(1);
    std::vector<MemberId> members;
    for (const Target& target : targets) members.push_back(target.member);
    std::sort(members.begin(), members.end());
    int64_t all = static_cast<int64_t>(targets.size());
    ASSIGN_OR_RETURN(const Rows rows,
                     tx_.Query("SELECT target_member, COUNT(*) FROM key_claim_items"
                               " WHERE claimer = $1 AND created_at > $2 GROUP BY target_member",
                               {claim_.member, since}));
    for (const Row& row : rows) {
      all += row.Int(1);
      const auto same = std::equal_range(members.begin(), members.end(), row.Id<MemberId>(0));
      const int64_t asked = same.second - same.first;
      if (asked > 0 && row.Int(1) + asked > limits_.claims_per_pair) return TooMany();
    }
    return all > limits_.claims_per_member ? TooMany() : absl::OkStatus();
  }

  static absl::Status TooMany() {
    return Error(StatusCode::kResourceExhausted, reason::kRateLimited)
        .Message("too many key packages were claimed in the last hour")
        .RetryAfter(absl::Minutes(10));
  }

  absl::Status Take(const Target& target) {
    ASSIGN_OR_RETURN(
        const Rows free,
        tx_.Query(absl::StrCat("SELECT reference, message FROM key_packages"
                               " WHERE device_id = $1 AND state = 1 AND ",
                               kKeyPackageEnd, " > $2 ORDER BY place LIMIT 1 {skip_locked}"),
                  {target.device, now_ + limits_.lifetime_margin}));
    if (!free.empty()) {
      const Blob reference{std::string(free.front().Bytes(0))};
      RETURN_IF_ERROR(tx_.Execute("UPDATE key_packages SET state = $2, changed_at = $3"
                                  " WHERE reference = $1 AND state = 1",
                                  {reference, kClaimed, now_})
                          .status());
      Give(target, free.front().Bytes(0), free.front().Bytes(1), false);
      RETURN_IF_ERROR(Record(target, Value(reference), false));
      return NoteIfRunningLow(target.device);
    }
    // They may have ended by time alone, which nobody was told of.
    out_.running_low.push_back(target.device);
    // Only read, so that the second who finds the rest gone does not wait for the first.
    ASSIGN_OR_RETURN(const Rows last,
                     tx_.Query(absl::StrCat("SELECT reference, message FROM key_packages"
                                            " WHERE device_id = $1 AND ",
                                            kKeyPackageEnd, " > $2 AND state = 3"),
                               {target.device, now_ + limits_.lifetime_margin}));
    if (last.empty()) {
      out_.without.push_back(target.device);
      return Record(target, Value(Null()), false);
    }
    Give(target, last.front().Bytes(0), last.front().Bytes(1), true);
    return Record(target, Value(Blob{std::string(last.front().Bytes(0))}), true);
  }

  // At the mark already: another who claims at this moment does not see this one gone.
  absl::Status NoteIfRunningLow(const DeviceId& device) {
    ASSIGN_OR_RETURN(const KeyPackageCount left, CountKeyPackages(tx_, now_, limits_, device));
    if (left.available <= limits_.low_water) out_.running_low.push_back(device);
    return absl::OkStatus();
  }

  void Give(const Target& target, absl::string_view reference, absl::string_view message,
            bool last_resort) {
    out_.packages.push_back(
        {target.member, target.device, std::string(reference), std::string(message), last_resort});
  }

  absl::Status Record(const Target& target, const Value& reference, bool last_resort) {
    return tx_
        .Execute(
            "INSERT INTO key_claim_items (device_id, claim_id, target_device, target_member,"
            " claimer, created_at, reference, last_resort)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            {claim_.device, claim_.claim_id, target.device, target.member, claim_.member, now_,
             reference, last_resort})
        .status();
  }

  Transaction& tx_;
  const absl::Time now_;
  const KeyPackageLimits& limits_;
  const Claim& claim_;
  KeyPackageClaim& out_;
};

}  // namespace

absl::StatusOr<KeyPackageCount> SqlKeyPackageStore::Publish(
    absl::Time deadline, absl::Time now, const MemberId& member, const DeviceId& device,
    absl::Span<const NewKeyPackage> packages, const NewKeyPackage* last_resort) {
  KeyPackageCount count;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    RETURN_IF_ERROR(LockDevice(tx, member, device));
    PublishStep step(tx, now, device);
    RETURN_IF_ERROR(step.Add(packages));
    if (last_resort != nullptr) RETURN_IF_ERROR(step.SetLastResort(*last_resort));
    ASSIGN_OR_RETURN(count, CountKeyPackages(tx, now, limits_, device));
    if (count.available <= limits_.stored_per_device) return absl::OkStatus();
    return Error(StatusCode::kResourceExhausted, reason::kQueueFull)
        .Message("this device would have too many key packages that nobody has claimed")
        .Detail("limit", absl::StrCat(limits_.stored_per_device))
        .RetryAfter(absl::Hours(1));
  }));
  return count;
}

absl::StatusOr<KeyPackageCount> SqlKeyPackageStore::Count(absl::Time deadline, absl::Time now,
                                                          const MemberId& member,
                                                          const DeviceId& device) {
  KeyPackageCount count;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    RETURN_IF_ERROR(CheckDevice(tx, member, device));
    ASSIGN_OR_RETURN(count, CountKeyPackages(tx, now, limits_, device));
    return absl::OkStatus();
  }));
  return count;
}

absl::StatusOr<KeyPackageClaim> SqlKeyPackageStore::Claim(absl::Time deadline, absl::Time now,
                                                          const MemberId& member,
                                                          const DeviceId& device,
                                                          const std::string& claim_id,
                                                          const ConversationId& conversation,
                                                          absl::Span<const DeviceId> devices) {
  KeyPackageClaim out;
  const struct Claim claim { member, device, claim_id, conversation, devices };
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    return ClaimStep(tx, now, limits_, claim, out).Run();
  }));
  return out;
}

absl::StatusOr<KeyPackageTrim> SqlKeyPackageStore::Trim(absl::Time deadline, absl::Time now) {
  KeyPackageTrim trim;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    trim = KeyPackageTrim();
    const absl::Time claims_before = now - limits_.keep_claims;
    RETURN_IF_ERROR(tx.Execute("DELETE FROM key_claim_items WHERE (device_id, claim_id) IN"
                               " (SELECT device_id, claim_id FROM key_claims WHERE created_at < $1"
                               "  ORDER BY created_at, device_id, claim_id LIMIT $2)",
                               {claims_before, kTrimAtOnce})
                        .status());
    RETURN_IF_ERROR(tx.Execute("DELETE FROM key_claims WHERE (device_id, claim_id) IN"
                               " (SELECT device_id, claim_id FROM key_claims WHERE created_at < $1"
                               "  ORDER BY created_at, device_id, claim_id LIMIT $2)",
                               {claims_before, kTrimAtOnce})
                        .status());
    // A claim of the last resort can be asked for again, so its bytes go later.
    ASSIGN_OR_RETURN(
        trim.expired,
        tx.Execute(absl::StrCat("UPDATE key_packages SET state = $3, changed_at = $2,"
                                " message = CASE WHEN state = 1 THEN NULL ELSE message END"
                                " WHERE reference IN (SELECT reference FROM key_packages"
                                "  WHERE state IN (1, 3) AND ",
                                kKeyPackageEnd,
                                " <= $1 LIMIT $4 {skip_locked})"
                                " AND state IN (1, 3)"),
                   {now + limits_.lifetime_margin, now, kReplaced, kTrimAtOnce}));
    ASSIGN_OR_RETURN(trim.emptied,
                     tx.Execute("UPDATE key_packages SET message = NULL WHERE reference IN"
                                " (SELECT reference FROM key_packages WHERE state IN (2, 4)"
                                "  AND changed_at < $1 AND message IS NOT NULL LIMIT $2)",
                                {claims_before, kTrimAtOnce}));
    ASSIGN_OR_RETURN(trim.removed,
                     tx.Execute("DELETE FROM key_packages WHERE reference IN"
                                " (SELECT reference FROM key_packages WHERE state IN (2, 4)"
                                "  AND changed_at < $1 LIMIT $2)",
                                {now - limits_.keep_tombstones, kTrimAtOnce}));
    ASSIGN_OR_RETURN(const int64_t revoked,
                     tx.Execute("DELETE FROM key_packages WHERE reference IN"
                                " (SELECT p.reference FROM key_packages p"
                                "  JOIN devices d ON d.device_id = p.device_id"
                                "  WHERE d.revoked = 1 AND p.state IN (1, 3) LIMIT $1)",
                                {kTrimAtOnce}));
    trim.removed += revoked;
    return absl::OkStatus();
  }));
  return trim;
}

}  // namespace handrail::messaging
