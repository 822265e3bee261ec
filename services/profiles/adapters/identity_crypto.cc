#include "services/profiles/adapters/identity_crypto.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/crypto/base64url.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/hash.h"
#include "common/crypto/token.h"

namespace handrail::profiles {
namespace {

constexpr size_t kTokenIdBytes = 12;

}  // namespace

crypto::SecretKey DeriveKey(const crypto::KeyRing& ring, absl::string_view purpose) {
  std::string bytes = crypto::HmacSha256(ring.index_key().Reveal(),
                                         absl::StrCat("handrail-derived-key-v1\n", purpose));
  crypto::SecretKey key = *crypto::SecretKey::FromBytes(bytes);  // HMAC-SHA-256 gives 32 bytes
  crypto::Wipe(bytes);
  return key;
}

SodiumIdentityCrypto::SodiumIdentityCrypto(const crypto::KeyRing& ring, const SigningKeys& keys,
                                           const OperatorList& operators, const Clock& clock,
                                           Random& random, TokenOptions options)
    : challenge_key_(DeriveKey(ring, "profiles/challenge")),
      keys_(keys),
      operators_(operators),
      clock_(clock),
      random_(random),
      options_(std::move(options)) {}

bool SodiumIdentityCrypto::IsSignedBy(absl::string_view public_key, absl::string_view message,
                                      absl::string_view signature) const {
  const absl::StatusOr<crypto::VerifyKey> key = crypto::VerifyKey::FromBytes(public_key);
  return key.ok() && key->Verify(message, signature);
}

std::string SodiumIdentityCrypto::ChallengeMac(absl::string_view text) const {
  return crypto::HmacSha256(challenge_key_.Reveal(), text);
}

absl::StatusOr<AccessToken> SodiumIdentityCrypto::IssueToken(const Device& device) {
  std::string token_id(kTokenIdBytes, '\0');
  random_.Fill(token_id.data(), token_id.size());
  crypto::TokenClaims claims;
  claims.audience = options_.audience;
  claims.member = device.member;
  claims.device = device.id;
  claims.role = operators_.RoleOf(device);
  // Tokens count in whole seconds.
  claims.issued_at = absl::FromUnixSeconds(absl::ToUnixSeconds(clock_.Now()));
  claims.not_before = absl::InfinitePast();
  claims.expires_at = claims.issued_at + options_.life;
  claims.token_id = crypto::Base64UrlEncode(token_id);
  return AccessToken{Secret<std::string>(keys_.Sign(claims)), claims.expires_at, device.member,
                     device.id};
}

}  // namespace handrail::profiles
