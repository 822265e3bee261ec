#ifndef HANDRAIL_SERVICES_PROFILES_DOMAIN_IDENTITY_H_
#define HANDRAIL_SERVICES_PROFILES_DOMAIN_IDENTITY_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "services/profiles/domain/peers.h"
#include "services/profiles/domain/store.h"

namespace handrail::profiles {

struct IdentityOptions {
  // Part of what a device signs, so that a signature means nothing on another deployment.
  std::string deployment = "handrail";
  absl::Duration challenge_life = absl::Seconds(60);
  int devices_limit = 16;  // of one member, not revoked
  // Added by one member in 24 hours, revoked since or not: others go on knowing them, and every
  // conversation of the member keeps a row of each.
  int devices_a_day = 32;
};

// Proves who calls without knowing who they are. Thread-safe.
//
// A challenge is not stored: it carries its expiry, randomness and a MAC over both, the deployment
// and the public key. So asking for one costs no write and no look-up, and known and unknown keys
// cannot be told apart. Only a challenge that came back with a valid signature is remembered, in
// the transaction that acts on it, until it would have expired: it is good for one use.
class Identity {
 public:
  // `changed` is called after a commit that other services must hear of.
  Identity(Store& store, IdentityCrypto& crypto, const Clock& clock, Random& random,
           IdentityOptions options, std::function<void()> changed);

  Challenge CreateChallenge(const Call& call, absl::string_view public_key);

  // Registers the first device of a new member, or finds the member of a key that is known, and
  // signs it in. UNAUTHENTICATED / CHALLENGE_INVALID, SIGNATURE_INVALID (also for a revoked key).
  absl::StatusOr<SignedInDevice> RegisterDevice(const Call& call, const DeviceProof& proof);

  // UNAUTHENTICATED / CHALLENGE_INVALID, SIGNATURE_INVALID (a wrong signature, an unknown device
  // and a revoked one alike).
  absl::StatusOr<AccessToken> CreateToken(const Call& call, const DeviceProof& proof);

  // UNAUTHENTICATED / CHALLENGE_INVALID, SIGNATURE_INVALID; RESOURCE_EXHAUSTED / QUEUE_FULL;
  // ALREADY_EXISTS / CONSTRAINT_VIOLATED for a key that belongs to a member already.
  absl::StatusOr<Device> AddDevice(const Call& call, const DeviceProof& proof);

  // Oldest first, revoked ones too.
  absl::StatusOr<Page<Device>> ListDevices(const Call& call, const PageRequest& page);

  // Revoking a revoked device returns it as it is. NOT_FOUND.
  absl::StatusOr<Device> RevokeDevice(const Call& call, const DeviceId& id);

 private:
  std::string SigningContext() const;
  std::string ChallengeBytes(absl::string_view head, absl::string_view public_key) const;
  // When the challenge expires. UNAUTHENTICATED / CHALLENGE_INVALID, SIGNATURE_INVALID.
  absl::StatusOr<absl::Time> CheckProof(const DeviceProof& proof) const;
  // UNAUTHENTICATED / CHALLENGE_INVALID when the challenge was used before.
  static absl::Status UseChallenge(Unit& unit, const DeviceProof& proof, absl::Time expire_time);
  absl::StatusOr<Device> InsertDevice(Unit& unit, const MemberId& member,
                                      absl::string_view public_key, absl::Time now);

  Store& store_;
  IdentityCrypto& crypto_;
  const Clock& clock_;
  Random& random_;
  const IdentityOptions options_;
  const std::function<void()> changed_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_DOMAIN_IDENTITY_H_
