#ifndef HANDRAIL_COMMON_CRYPTO_TOKEN_TEST_UTIL_H_
#define HANDRAIL_COMMON_CRYPTO_TOKEN_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/base64url.h"
#include "common/crypto/token.h"
#include "common/testing/seeded_random.h"
#include "common/testing/simulated_clock.h"

namespace handrail::crypto {

class TokenTestBase : public ::testing::Test {
 protected:
  TokenTestBase() { verifier_.SetKeys({{"k1", signer_.verify_key()}}); }

  static SigningKey Key(char fill) { return *SigningKey::FromSeed(std::string(32, fill)); }
  static TokenSigner Signer(absl::string_view issuer = "https://handrail.example",
                            absl::string_view key_id = "k1", char fill = 'a') {
    return *TokenSigner::Create(issuer, key_id, Key(fill));
  }
  TokenClaims Claims() {
    TokenClaims claims;
    claims.audience = "handrail";
    claims.member = member_;
    claims.device = device_;
    claims.issued_at = clock_.Now();
    claims.expires_at = clock_.Now() + absl::Minutes(10);
    claims.token_id = "t-1";
    return claims;
  }
  // A token with any header and payload, rightly signed by the known key.
  static std::string Forge(absl::string_view header, absl::string_view payload) {
    std::string token = absl::StrCat(Base64UrlEncode(header), ".", Base64UrlEncode(payload));
    const std::string signature = Key('a').Sign(token);
    return absl::StrCat(token, ".", Base64UrlEncode(signature));
  }
  static std::string GoodHeader() { return R"({"alg":"EdDSA","kid":"k1","typ":"at+jwt"})"; }
  std::string GoodPayload() {
    const int64_t now = absl::ToUnixSeconds(clock_.Now());
    return absl::StrCat(R"({"iss":"https://handrail.example","aud":"handrail","sub":")",
                        member_.ToString(), R"(","dev":")", device_.ToString(),
                        R"(","role":"member","iat":)", now, R"(,"exp":)", now + 600,
                        R"(,"jti":"t-1"})");
  }
  void ExpectInvalid(absl::string_view token, absl::string_view what = "") {
    const auto claims = verifier_.VerifyAllowingExpired(token, absl::Hours(1));
    EXPECT_EQ(claims.status().code(), absl::StatusCode::kUnauthenticated) << what;
    EXPECT_TRUE(HasReason(claims.status(), reason::kTokenInvalid)) << what << claims.status();
  }

  testing::SimulatedClock clock_;
  testing::SeededRandom random_{5};
  MemberId member_ = MemberId::Random(random_);
  DeviceId device_ = DeviceId::Random(random_);
  TokenSigner signer_ = Signer();
  TokenVerifierOptions options_{.issuer = "https://handrail.example", .audience = "handrail"};
  TokenVerifier verifier_{options_, clock_};
};

}  // namespace handrail::crypto

#endif  // HANDRAIL_COMMON_CRYPTO_TOKEN_TEST_UTIL_H_
