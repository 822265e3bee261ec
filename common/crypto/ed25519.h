#ifndef HANDRAIL_COMMON_CRYPTO_ED25519_H_
#define HANDRAIL_COMMON_CRYPTO_ED25519_H_

#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/random.h"
#include "common/crypto/secret_key.h"

namespace handrail::crypto {

inline constexpr size_t kEd25519KeyBytes = 32;
inline constexpr size_t kEd25519SeedBytes = 32;
inline constexpr size_t kEd25519SignatureBytes = 64;

// The public half of an Ed25519 key (RFC 8032), by libsodium. Cheap to copy, thread-safe.
class VerifyKey {
 public:
  // INVALID_ARGUMENT / FIELD_INVALID unless `bytes` is the one 32-byte encoding of a point of the
  // prime-order group: points of small order, under which one signature fits many messages, and
  // encodings that are not canonical are refused.
  static absl::StatusOr<VerifyKey> FromBytes(absl::string_view bytes);

  // False for every signature that is not exactly one of this key over `message`, whatever its
  // length. One message and key have one signature that is accepted: S is checked to be reduced.
  bool Verify(absl::string_view message, absl::string_view signature) const;
  absl::string_view bytes() const {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }
  friend bool operator==(const VerifyKey&, const VerifyKey&) = default;

 private:
  VerifyKey() = default;
  std::array<unsigned char, kEd25519KeyBytes> bytes_{};
};

// The private half, in guarded memory. Moves only. Const operations are thread-safe.
class SigningKey {
 public:
  static SigningKey Generate(Random& random);
  // INVALID_ARGUMENT / CONFIGURATION_INVALID unless there are 32 bytes.
  static absl::StatusOr<SigningKey> FromSeed(absl::string_view seed);

  // 64 bytes; deterministic.
  std::string Sign(absl::string_view message) const;
  const VerifyKey& verify_key() const { return verify_key_; }
  // The 32 bytes to store; a word to grep for.
  absl::string_view RevealSeed() const;

 private:
  SigningKey(GuardedBytes secret, VerifyKey verify_key)
      : secret_(std::move(secret)), verify_key_(verify_key) {}
  GuardedBytes secret_;  // seed and public key, as libsodium wants it
  VerifyKey verify_key_;
};

}  // namespace handrail::crypto

#endif  // HANDRAIL_COMMON_CRYPTO_ED25519_H_
