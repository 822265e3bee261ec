// Everything that must not pass as an access token.

#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "common/crypto/hash.h"
#include "common/crypto/token_test_util.h"

namespace handrail::crypto {
namespace {

using TokenForgeryTest = TokenTestBase;

TEST_F(TokenForgeryTest, TheHelperMakesGoodTokens) {
  const auto claims = verifier_.Verify(Forge(GoodHeader(), GoodPayload()));
  ASSERT_TRUE(claims.ok()) << claims.status();
  EXPECT_TRUE(verifier_.Verify(Forge(R"({"alg":"EdDSA","kid":"k1"})", GoodPayload())).ok());
  EXPECT_TRUE(
      verifier_.Verify(Forge(R"({"typ":"JWT","alg":"EdDSA","kid":"k1"})", GoodPayload())).ok());
}

TEST_F(TokenForgeryTest, EveryBitCounts) {
  const std::string token = signer_.Sign(Claims());
  ASSERT_TRUE(verifier_.Verify(token).ok());
  for (size_t bit = 0; bit < 8 * token.size(); ++bit) {
    std::string changed = token;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    ExpectInvalid(changed, absl::StrCat("bit ", bit));
  }
}

TEST_F(TokenForgeryTest, EveryLengthCounts) {
  const std::string token = signer_.Sign(Claims());
  for (size_t size = 0; size < token.size(); ++size) ExpectInvalid(token.substr(0, size));
  for (const char* more : {"A", "=", "==", ".", ".A", "\n", " "}) {
    ExpectInvalid(token + more, more);
    ExpectInvalid(more + token, more);
  }
  ExpectInvalid(token + std::string(1, '\0'));
  ExpectInvalid(std::string(kMaxTokenBytes + 1, 'A'));
}

TEST_F(TokenForgeryTest, ATokenHasAtMost4KiB) {
  // Rightly signed, and still refused.
  const std::string payload = absl::StrReplaceAll(
      GoodPayload(),
      {{R"("jti":"t-1")", absl::StrCat(R"("jti":")", std::string(3000, 'x'), "\"")}});
  const std::string token = Forge(GoodHeader(), payload);
  ASSERT_GT(token.size(), kMaxTokenBytes);
  ExpectInvalid(token);
}

TEST_F(TokenForgeryTest, TheAlgorithmIsAPropertyOfTheKey) {
  for (const char* algorithm :
       {"none", "None", "", "HS256", "ES256", "RS256", "Ed25519", "eddsa", "EDDSA", "EdDSA "}) {
    const std::string header =
        absl::StrCat(R"({"alg":")", algorithm, R"(","kid":"k1","typ":"at+jwt"})");
    ExpectInvalid(Forge(header, GoodPayload()), algorithm);
    // Without a signature, as for `none`.
    const std::string unsigned_token =
        absl::StrCat(Base64UrlEncode(header), ".", Base64UrlEncode(GoodPayload()));
    ExpectInvalid(unsigned_token + ".", algorithm);
    ExpectInvalid(unsigned_token, algorithm);
    // The public key taken for an HMAC secret.
    ExpectInvalid(
        absl::StrCat(unsigned_token, ".",
                     Base64UrlEncode(HmacSha256(signer_.verify_key().bytes(), unsigned_token))),
        algorithm);
  }
}

TEST_F(TokenForgeryTest, RefusesHeaders) {
  const char* const headers[] = {"",
                                 "{",
                                 "[]",
                                 "null",
                                 "1",
                                 "\"EdDSA\"",
                                 "{}",
                                 R"({"alg":"EdDSA"})",
                                 R"({"kid":"k1"})",
                                 R"({"alg":null,"kid":"k1"})",
                                 R"({"alg":["EdDSA"],"kid":"k1"})",
                                 R"({"alg":"EdDSA","kid":1})",
                                 R"({"alg":"EdDSA","kid":""})",
                                 R"({"alg":"EdDSA","kid":"K1"})",
                                 R"({"alg":"EdDSA","kid":"k1 "})",
                                 R"({"alg":"EdDSA","kid":"k1\u0000"})",
                                 R"({"alg":"EdDSA","kid":"unknown"})",
                                 R"({"alg":"EdDSA","kid":"k1","typ":"jwt"})",
                                 R"({"alg":"EdDSA","kid":"k1","typ":"dpop+jwt"})",
                                 R"({"alg":"EdDSA","kid":"k1","typ":null})",
                                 R"({"alg":"EdDSA","kid":"k1","typ":""})",
                                 R"({"alg":"EdDSA","kid":"k1","jku":"https://evil.example/keys"})",
                                 R"({"alg":"EdDSA","kid":"k1","x5u":"https://evil.example/cert"})",
                                 R"({"alg":"EdDSA","kid":"k1","jwk":{"kty":"OKP"}})",
                                 R"({"alg":"EdDSA","kid":"k1","x5c":[]})",
                                 R"({"alg":"EdDSA","kid":"k1","crit":["exp"]})",
                                 R"({"alg":"EdDSA","kid":"k1","b64":false})",
                                 R"({"alg":"EdDSA","kid":"k1","zip":"DEF"})",
                                 R"({"alg":"EdDSA","kid":"k1"} x)",
                                 "{\"alg\":\"EdDSA\",\"kid\":\"k1\xff\"}"};
  for (const char* header : headers) ExpectInvalid(Forge(header, GoodPayload()), header);
}

TEST_F(TokenForgeryTest, RefusesPayloads) {
  const std::string good = GoodPayload();
  const std::string now = absl::StrCat(absl::ToUnixSeconds(clock_.Now()));
  const std::string iat = absl::StrCat("\"iat\":", now);
  const std::string exp = absl::StrCat("\"exp\":", absl::ToUnixSeconds(clock_.Now()) + 600);
  const auto with = [&](const std::string& from, const std::string& to) {
    EXPECT_NE(good.find(from), std::string::npos) << from;
    return absl::StrReplaceAll(good, {{from, to}});
  };
  const std::string sub = absl::StrCat("\"sub\":\"", member_.ToString(), "\"");
  const std::string payloads[] = {
      "",
      "null",
      "[]",
      "{}",
      "{",
      std::string(2000, '['),
      good + "x",
      with("\"iss\":", "\"issx\":"),
      with("\"aud\":", "\"audx\":"),
      with("\"sub\":", "\"subx\":"),
      with("\"dev\":", "\"devx\":"),
      with("\"role\":", "\"rolex\":"),
      with("\"iat\":", "\"iatx\":"),
      with("\"exp\":", "\"expx\":"),
      with("\"jti\":", "\"jtix\":"),
      with("\"member\"", "\"admin\""),
      with("\"member\"", "\"Member\""),
      with("\"member\"", "1"),
      with("\"handrail\"", "[\"handrail\"]"),
      with("\"handrail\"", "null"),
      with(sub, R"("sub":"short")"),
      with(sub, R"("sub":"")"),
      with(sub, absl::StrCat("\"sub\":\"", std::string(32, 'G'), "\"")),
      with(iat, absl::StrCat("\"iat\":\"", now, "\"")),
      with(iat, absl::StrCat(iat, ".5")),
      with(iat, "\"iat\":-1"),
      with(iat, "\"iat\":1e9"),
      with(iat, "\"iat\":null"),
      with(exp, "\"exp\":0"),
      with(exp, "\"exp\":18446744073709551615"),
      with(exp, "\"exp\":99999999999999999999999"),
      with(exp, "\"exp\":253402300800"),
      with(exp, absl::StrCat("\"exp\":", now)),  // expires as it is issued
      with(exp, absl::StrCat(exp, ",\"nbf\":\"soon\"")),
      with(exp, absl::StrCat("\"exp\":", absl::ToUnixSeconds(clock_.Now()) + 86401))};
  for (const std::string& payload : payloads) {
    ExpectInvalid(Forge(GoodHeader(), payload), payload.substr(0, 300));
  }
}

TEST_F(TokenForgeryTest, PartsOfTwoTokensDoNotMix) {
  TokenClaims other = Claims();
  other.member = MemberId::Random(random_);
  const std::string a = signer_.Sign(Claims());
  const std::string b = signer_.Sign(other);
  const auto split = [](const std::string& token) {
    const size_t dot = token.rfind('.');
    return std::make_pair(token.substr(0, dot), token.substr(dot + 1));
  };
  ExpectInvalid(absl::StrCat(split(a).first, ".", split(b).second));
  ExpectInvalid(absl::StrCat(split(b).first, ".", split(a).second));
}

}  // namespace
}  // namespace handrail::crypto
