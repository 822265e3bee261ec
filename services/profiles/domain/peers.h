#ifndef HANDRAIL_SERVICES_PROFILES_DOMAIN_PEERS_H_
#define HANDRAIL_SERVICES_PROFILES_DOMAIN_PEERS_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "services/profiles/domain/types.h"

namespace handrail::profiles {

// A service that keeps a copy of what it needs to know of members. Both calls are idempotent there:
// an older version than the one held is acknowledged and ignored. Thread-safe.
class MemberReceiver {
 public:
  using Done = std::function<void(absl::Status)>;

  virtual ~MemberReceiver() = default;

  // At most 100 members, each once. OK means that the receiver committed them.
  virtual absl::Status ApplyMembers(absl::Span<const MemberSnapshot> members,
                                    absl::Time deadline) = 0;
  // Calls `done` exactly once, by about `deadline`, on any thread, perhaps before it returns.
  virtual void ApplyBlock(const Block& block, absl::Time deadline, Done done) = 0;
};

// Cryptography that identity needs, so that the domain holds no key. Thread-safe.
class IdentityCrypto {
 public:
  virtual ~IdentityCrypto() = default;

  // True when `signature` is Ed25519 (RFC 8032) by `public_key` over `message`.
  virtual bool IsSignedBy(absl::string_view public_key, absl::string_view message,
                          absl::string_view signature) const = 0;
  // HMAC-SHA256 under a key that all replicas of the deployment share, 32 bytes.
  virtual std::string ChallengeMac(absl::string_view text) const = 0;
  // A token that names the member, the device and what the operator lets them do.
  virtual absl::StatusOr<AccessToken> IssueToken(const Device& device) = 0;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_DOMAIN_PEERS_H_
