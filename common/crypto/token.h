#ifndef HANDRAIL_COMMON_CRYPTO_TOKEN_H_
#define HANDRAIL_COMMON_CRYPTO_TOKEN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/mutex.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/key_set.h"

namespace handrail::crypto {

inline constexpr size_t kMaxTokenBytes = 4096;

// What an access token says. Times have whole seconds.
struct TokenClaims {
  enum class Role { kMember, kStaff, kOperator };
  std::string issuer;    // iss; the signer puts its own
  std::string audience;  // aud
  MemberId member;       // sub, 32 hexadecimal digits
  DeviceId device;       // dev, 32 hexadecimal digits
  Role role = Role::kMember;
  absl::Time issued_at;   // iat
  absl::Time not_before;  // nbf; InfinitePast when the token has none
  absl::Time expires_at;  // exp
  std::string token_id;   // jti
  // Not in the token: how long ago it expired when it was verified; zero while it is valid.
  absl::Duration expired_for = absl::ZeroDuration();
};

// Makes access tokens: compact JWTs (RFC 7519) signed with EdDSA (RFC 8037). Thread-safe.
class TokenSigner {
 public:
  // INVALID_ARGUMENT / CONFIGURATION_INVALID for an issuer that is empty, longer than 256 bytes or
  // not printable ASCII, or an invalid key id.
  static absl::StatusOr<TokenSigner> Create(absl::string_view issuer, absl::string_view key_id,
                                            SigningKey key);

  std::string Sign(const TokenClaims& claims) const;
  const std::string& key_id() const { return key_id_; }
  const VerifyKey& verify_key() const { return key_.verify_key(); }

 private:
  TokenSigner(std::string issuer, std::string key_id, SigningKey key);
  std::string issuer_;
  std::string key_id_;
  SigningKey key_;
};

struct TokenVerifierOptions {
  std::string issuer;    // exact
  std::string audience;  // exact
  absl::Duration skew = absl::Seconds(60);
  absl::Duration max_lifetime = absl::Hours(24);  // of a token, from iat to exp
  size_t cache_limit = 16384;                     // verified tokens remembered
};

// Checks access tokens, strictly (security §3): the algorithm is a property of the key and the
// header must say exactly EdDSA; kid names the key exactly; a header with any other parameter than
// alg, kid and typ is refused, so jku, x5u, jwk, x5c and crit are; issuer and audience are exact.
// Thread-safe. Remembers tokens that it has verified until the keys change; their times are checked
// at each call.
class TokenVerifier {
 public:
  TokenVerifier(TokenVerifierOptions options, const Clock& clock);

  // Replaces the keys and forgets every verified token.
  void SetKeys(KeySet keys);

  // UNAUTHENTICATED / TOKEN_INVALID, or TOKEN_EXPIRED when all but the time is right.
  absl::StatusOr<TokenClaims> Verify(absl::string_view token) const;
  // Takes tokens that expired at most `grace` ago as well, and says how long in `expired_for`: for
  // safety calls while no new token can be had.
  absl::StatusOr<TokenClaims> VerifyAllowingExpired(absl::string_view token,
                                                    absl::Duration grace) const;

 private:
  using Cache = std::unordered_map<std::string, TokenClaims>;  // by SHA-256 of the token

  absl::StatusOr<TokenClaims> VerifiedClaims(absl::string_view token) const;
  bool FindCached(const std::string& hash, TokenClaims& claims) const;
  void Remember(const std::string& hash, const TokenClaims& claims, int64_t generation) const;

  const TokenVerifierOptions options_;
  const Clock& clock_;
  mutable Mutex mutex_;
  std::shared_ptr<const KeySet> keys_ ABSL_GUARDED_BY(mutex_);
  int64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;  // of the keys
  // Two halves: when the newer is full the older is dropped. Bounded, and no list to keep.
  mutable Cache newer_ ABSL_GUARDED_BY(mutex_);
  mutable Cache older_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace handrail::crypto

#endif  // HANDRAIL_COMMON_CRYPTO_TOKEN_H_
