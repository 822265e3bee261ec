#include "common/crypto/ed25519.h"

#include <sodium.h>

#include <cstdlib>
#include <cstring>

#include "common/base/status.h"

namespace handrail::crypto {
namespace {

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

absl::StatusOr<VerifyKey> VerifyKey::FromBytes(absl::string_view bytes) {
  EnsureSodium();
  if (bytes.size() != kEd25519KeyBytes) return FieldError("public_key", "must have 32 bytes");
  // On the curve, canonical, of prime order: not of small order, nor with a part of small order.
  if (crypto_core_ed25519_is_valid_point(Bytes(bytes)) != 1) {
    return FieldError("public_key", "is not a valid Ed25519 key");
  }
  VerifyKey key;
  std::memcpy(key.bytes_.data(), bytes.data(), kEd25519KeyBytes);
  return key;
}

bool VerifyKey::Verify(absl::string_view message, absl::string_view signature) const {
  return signature.size() == kEd25519SignatureBytes &&
         crypto_sign_verify_detached(Bytes(signature), Bytes(message), message.size(),
                                     bytes_.data()) == 0;
}

SigningKey SigningKey::Generate(Random& random) {
  GuardedBytes seed(kEd25519SeedBytes);
  random.Fill(seed.data(), seed.size());
  auto key = FromSeed({reinterpret_cast<const char*>(seed.data()), seed.size()});
  if (!key.ok()) std::abort();  // every 32 bytes are a seed
  return *std::move(key);
}

absl::StatusOr<SigningKey> SigningKey::FromSeed(absl::string_view seed) {
  EnsureSodium();
  if (seed.size() != kEd25519SeedBytes) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
        .Message("the seed of a signing key must have 32 bytes");
  }
  GuardedBytes secret(crypto_sign_SECRETKEYBYTES);
  std::string public_bytes(kEd25519KeyBytes, '\0');
  crypto_sign_seed_keypair(reinterpret_cast<unsigned char*>(public_bytes.data()), secret.data(),
                           Bytes(seed));
  ASSIGN_OR_RETURN(VerifyKey verify_key, VerifyKey::FromBytes(public_bytes));
  return SigningKey(std::move(secret), verify_key);
}

std::string SigningKey::Sign(absl::string_view message) const {
  std::string signature(kEd25519SignatureBytes, '\0');
  crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.data()), nullptr, Bytes(message),
                       message.size(), secret_.data());
  return signature;
}

absl::string_view SigningKey::RevealSeed() const {
  return {reinterpret_cast<const char*>(secret_.data()), kEd25519SeedBytes};
}

}  // namespace handrail::crypto
