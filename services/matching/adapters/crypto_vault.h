#ifndef HANDRAIL_SERVICES_MATCHING_ADAPTERS_CRYPTO_VAULT_H_
#define HANDRAIL_SERVICES_MATCHING_ADAPTERS_CRYPTO_VAULT_H_

#include <array>
#include <memory>
#include <string>

#include "common/base/random.h"
#include "common/crypto/vault.h"
#include "services/matching/stores/seal.h"

namespace handrail::matching {

// MemberVault over the service's key ring. Thread-safe. Both must outlive it.
class CryptoVault final : public MemberVault {
 public:
  CryptoVault(const crypto::KeyRing& ring, Random& random) : ring_(ring), random_(random) {}

  absl::StatusOr<std::string> NewKey(const MemberId& member) override;
  absl::StatusOr<std::string> Seal(const MemberId& member, absl::string_view wrapped_key,
                                   absl::string_view place, const RawId& row,
                                   absl::string_view plaintext) override;
  absl::StatusOr<std::string> Open(const MemberId& member, absl::string_view wrapped_key,
                                   absl::string_view place, const RawId& row,
                                   absl::string_view sealed) override;

 private:
  const crypto::KeyRing& ring_;
  Random& random_;
};

// PoolNames by AES-128 on one block: the pool's key, zero padded, under a key derived from the
// ring's index key. Thread-safe.
class CipherPoolNames final : public PoolNames {
 public:
  explicit CipherPoolNames(const crypto::KeyRing& ring);

  std::string Opaque(const PoolKey& pool) const override;
  absl::StatusOr<PoolKey> Reveal(absl::string_view opaque) const override;

 private:
  std::array<unsigned char, 16> key_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_CRYPTO_VAULT_H_
