#ifndef HANDRAIL_COMMON_CRYPTO_SEALED_TOKEN_H_
#define HANDRAIL_COMMON_CRYPTO_SEALED_TOKEN_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "common/base/random.h"
#include "common/crypto/secret_key.h"

namespace handrail::crypto {

inline constexpr size_t kMaxSealedTokenBytes = 256;

// Tokens that say nothing to whoever holds them: XChaCha20-Poly1305 under one key of the service,
// in base64url. Two tokens of the same content have nothing in common. Thread-safe.
class SealedTokenCodec {
 public:
  // `purpose` keeps the tokens of one use apart from those of another.
  SealedTokenCodec(SecretKey key, absl::string_view purpose)
      : key_(std::move(key)), purpose_(purpose) {}

  // `holder` is whom it is made for; at most kMaxSealedTokenBytes of content. `random` must be fit
  // for keys (SystemRandom).
  std::string Make(absl::string_view holder, absl::string_view content, Random& random) const;
  // Nothing for anything that Make did not give for this holder and purpose.
  std::optional<std::string> Open(absl::string_view holder, absl::string_view token) const;

 private:
  std::string AssociatedData(absl::string_view holder) const;

  const SecretKey key_;
  const std::string purpose_;
};

}  // namespace handrail::crypto

#endif  // HANDRAIL_COMMON_CRYPTO_SEALED_TOKEN_H_
