#include "services/profiles/domain/identity.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/profiles/domain/member_guard.h"

namespace handrail::profiles {
namespace {

// A challenge is a head, 4 bytes of expiry (seconds since 1970, big-endian) and 12 random bytes,
// and a MAC cut to 16 bytes.
constexpr size_t kExpiryBytes = 4;
constexpr size_t kHeadBytes = 16;
constexpr size_t kMacBytes = 16;
constexpr size_t kChallengeBytes = kHeadBytes + kMacBytes;

absl::Status ChallengeError() {
  return Error(absl::StatusCode::kUnauthenticated, reason::kChallengeInvalid)
      .Message("the challenge is unknown, used or expired; ask for another");
}

absl::Status SignatureError() {
  return Error(absl::StatusCode::kUnauthenticated, reason::kSignatureInvalid)
      .Message("the signature is not of a device that may sign in");
}

bool EqualInConstantTime(absl::string_view a, absl::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

std::string EncodeExpiry(absl::Time expire_time) {
  const auto seconds = static_cast<uint32_t>(absl::ToUnixSeconds(expire_time));
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>((seconds >> shift) & 0xff));
  }
  return bytes;
}

absl::Time DecodeExpiry(absl::string_view head) {
  uint32_t seconds = 0;
  for (size_t i = 0; i < kExpiryBytes; ++i) {
    seconds = (seconds << 8) | static_cast<unsigned char>(head[i]);
  }
  return absl::FromUnixSeconds(seconds);
}

}  // namespace

Identity::Identity(Store& store, IdentityCrypto& crypto, const Clock& clock, Random& random,
                   IdentityOptions options, std::function<void()> changed)
    : store_(store),
      crypto_(crypto),
      clock_(clock),
      random_(random),
      options_(std::move(options)),
      changed_(std::move(changed)) {}

std::string Identity::SigningContext() const {
  return absl::StrCat("handrail-signin-v1:", options_.deployment, "\n");
}

std::string Identity::ChallengeBytes(absl::string_view head, absl::string_view public_key) const {
  // Every part but the last has a fixed length, so that no two inputs read alike.
  const std::string mac = crypto_.ChallengeMac(
      absl::StrCat("handrail-challenge-v1\n", head, public_key, options_.deployment));
  return absl::StrCat(head, absl::string_view(mac).substr(0, kMacBytes));
}

Challenge Identity::CreateChallenge(const Call&, absl::string_view public_key) {
  // Whole seconds, because that is what the challenge can carry.
  const absl::Time expire_time =
      absl::FromUnixSeconds(absl::ToUnixSeconds(clock_.Now() + options_.challenge_life));
  std::string head = EncodeExpiry(expire_time);
  head.resize(kHeadBytes);
  random_.Fill(head.data() + kExpiryBytes, kHeadBytes - kExpiryBytes);
  return Challenge{ChallengeBytes(head, public_key), SigningContext(), expire_time};
}

absl::StatusOr<absl::Time> Identity::CheckProof(const DeviceProof& proof) const {
  if (proof.challenge.size() != kChallengeBytes) return ChallengeError();
  const absl::string_view head = absl::string_view(proof.challenge).substr(0, kHeadBytes);
  if (!EqualInConstantTime(ChallengeBytes(head, proof.public_key), proof.challenge)) {
    return ChallengeError();
  }
  const absl::Time expire_time = DecodeExpiry(head);
  if (clock_.Now() >= expire_time) return ChallengeError();
  if (!crypto_.IsSignedBy(proof.public_key, absl::StrCat(SigningContext(), proof.challenge),
                          proof.signature)) {
    return SignatureError();
  }
  return expire_time;
}

absl::Status Identity::UseChallenge(Unit& unit, const DeviceProof& proof, absl::Time expire_time) {
  ASSIGN_OR_RETURN(const bool unused, unit.UseChallenge(proof.challenge, expire_time));
  return unused ? absl::OkStatus() : ChallengeError();
}

absl::StatusOr<Device> Identity::InsertDevice(Unit& unit, const MemberId& member,
                                              absl::string_view public_key, absl::Time now) {
  Device device{DeviceId::Random(random_), member, std::string(public_key), now, std::nullopt};
  ASSIGN_OR_RETURN(const bool inserted, unit.InsertDevice(device));
  if (!inserted) {
    // Another call registered the key since this unit looked; run again, it will be found.
    return Error(absl::StatusCode::kAborted, reason::kDatabaseConflict)
        .Message("the device is being registered by another call");
  }
  RETURN_IF_ERROR(unit.BumpVersion(member, now, kReceivers));
  return device;
}

absl::StatusOr<SignedInDevice> Identity::RegisterDevice(const Call& call,
                                                        const DeviceProof& proof) {
  ASSIGN_OR_RETURN(const absl::Time expire_time, CheckProof(proof));
  const absl::Time now = clock_.Now();
  Device device;
  bool is_new = false;
  RETURN_IF_ERROR(store_.Write(call.deadline, [&](Unit& unit) -> absl::Status {
    is_new = false;
    RETURN_IF_ERROR(UseChallenge(unit, proof, expire_time));
    ASSIGN_OR_RETURN(const std::optional<Device> known, unit.FindDeviceByKey(proof.public_key));
    if (known.has_value()) {
      device = *known;
      return absl::OkStatus();
    }
    is_new = true;
    // Version 0 is never seen: registering the device makes it 1.
    const Member member{MemberId::Random(random_), 0, Standing::kGood, now};
    RETURN_IF_ERROR(unit.InsertMember(member));
    ASSIGN_OR_RETURN(device, InsertDevice(unit, member.id, proof.public_key, now));
    return absl::OkStatus();
  }));
  if (device.revoke_time.has_value()) return SignatureError();
  if (is_new) changed_();
  ASSIGN_OR_RETURN(AccessToken token, crypto_.IssueToken(device));
  return SignedInDevice{std::move(device), std::move(token)};
}

absl::StatusOr<AccessToken> Identity::CreateToken(const Call& call, const DeviceProof& proof) {
  ASSIGN_OR_RETURN(const absl::Time expire_time, CheckProof(proof));
  std::optional<Device> device;
  // The challenge is used up whether the device is known or not: the same cost, the same answer.
  RETURN_IF_ERROR(store_.Write(call.deadline, [&](Unit& unit) -> absl::Status {
    RETURN_IF_ERROR(UseChallenge(unit, proof, expire_time));
    ASSIGN_OR_RETURN(device, unit.FindDeviceByKey(proof.public_key));
    return absl::OkStatus();
  }));
  if (!device.has_value() || device->revoke_time.has_value()) return SignatureError();
  return crypto_.IssueToken(*device);
}

absl::StatusOr<Device> Identity::AddDevice(const Call& call, const DeviceProof& proof) {
  const absl::Time now = clock_.Now();
  // Judged inside, after the look for a first answer: a repetition may come when the challenge has
  // expired.
  const absl::StatusOr<absl::Time> expire_time = CheckProof(proof);
  absl::StatusOr<Device> device =
      WriteOnce<Device>(store_, call, now, [&](Unit& unit) -> absl::StatusOr<Device> {
        RETURN_IF_ERROR(expire_time.status());
        RETURN_IF_ERROR(UseChallenge(unit, proof, *expire_time));
        ASSIGN_OR_RETURN(const std::optional<Device> known, unit.FindDeviceByKey(proof.public_key));
        if (known.has_value()) {
          return Error(absl::StatusCode::kAlreadyExists, reason::kConstraintViolated)
              .Message("this key belongs to a member already");
        }
        ASSIGN_OR_RETURN(const int active, unit.CountActiveDevices(call.who.member));
        if (active >= options_.devices_limit) {
          return Error(absl::StatusCode::kResourceExhausted, reason::kQueueFull)
              .Message("a member may have no more devices; revoke one first")
              .Detail("limit", absl::StrCat(options_.devices_limit));
        }
        ASSIGN_OR_RETURN(const int today,
                         unit.CountDevicesSince(call.who.member, now - absl::Hours(24)));
        if (today >= options_.devices_a_day) {
          return Error(absl::StatusCode::kResourceExhausted, reason::kRateLimited)
              .Message("this member has added too many devices within a day")
              .Detail("limit", absl::StrCat(options_.devices_a_day))
              .RetryAfter(absl::Hours(1));
        }
        return InsertDevice(unit, call.who.member, proof.public_key, now);
      });
  if (device.ok()) changed_();
  return device;
}

absl::StatusOr<Page<Device>> Identity::ListDevices(const Call& call, const PageRequest& page) {
  return ReadOwn<Page<Device>>(store_, call,
                               [&](Unit& unit) { return unit.ListDevices(call.who.member, page); });
}

absl::StatusOr<Device> Identity::RevokeDevice(const Call& call, const DeviceId& id) {
  const absl::Time now = clock_.Now();
  absl::StatusOr<Device> device =
      WriteOnce<Device>(store_, call, now, [&](Unit& unit) -> absl::StatusOr<Device> {
        ASSIGN_OR_RETURN(std::optional<Device> found, unit.FindDevice(id));
        if (!found.has_value() || found->member != call.who.member) return NotFoundError();
        if (found->revoke_time.has_value()) return *found;
        found->revoke_time = now;
        RETURN_IF_ERROR(unit.SetDeviceRevoked(id, now));
        RETURN_IF_ERROR(unit.BumpVersion(call.who.member, now, kReceivers));
        return *found;
      });
  if (device.ok()) changed_();
  return device;
}

}  // namespace handrail::profiles
