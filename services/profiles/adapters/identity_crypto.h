#ifndef HANDRAIL_SERVICES_PROFILES_ADAPTERS_IDENTITY_CRYPTO_H_
#define HANDRAIL_SERVICES_PROFILES_ADAPTERS_IDENTITY_CRYPTO_H_

#include <string>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/crypto/secret_key.h"
#include "common/crypto/vault.h"
#include "services/profiles/adapters/operator_list.h"
#include "services/profiles/adapters/signing_keys.h"
#include "services/profiles/domain/peers.h"

namespace handrail::profiles {

// A key for one purpose, drawn from the index key of the ring: the same on every replica and after
// every rotation of the ring's master keys.
crypto::SecretKey DeriveKey(const crypto::KeyRing& ring, absl::string_view purpose);

struct TokenOptions {
  std::string audience = "handrail";
  absl::Duration life = absl::Minutes(10);
};

// Ed25519, HMAC and tokens for the identity domain. References outlive this. Thread-safe.
class SodiumIdentityCrypto final : public IdentityCrypto {
 public:
  SodiumIdentityCrypto(const crypto::KeyRing& ring, const SigningKeys& keys,
                       const OperatorList& operators, const Clock& clock, Random& random,
                       TokenOptions options);

  bool IsSignedBy(absl::string_view public_key, absl::string_view message,
                  absl::string_view signature) const override;
  std::string ChallengeMac(absl::string_view text) const override;
  absl::StatusOr<AccessToken> IssueToken(const Device& device) override;

 private:
  const crypto::SecretKey challenge_key_;
  const SigningKeys& keys_;
  const OperatorList& operators_;
  const Clock& clock_;
  Random& random_;
  const TokenOptions options_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_ADAPTERS_IDENTITY_CRYPTO_H_
