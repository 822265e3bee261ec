#include "common/crypto/token.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "common/crypto/token_test_util.h"

namespace handrail::crypto {
namespace {

using TokenTest = TokenTestBase;

// RFC 8037 appendix A.4: the signature over "<header>.<payload>" that our tokens use.
TEST_F(TokenTest, SignsAsRfc8037) {
  const auto seed = Base64UrlDecode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
  const auto key = SigningKey::FromSeed(*seed);
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(Base64UrlEncode(key->verify_key().bytes()),
            "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
  EXPECT_EQ(Base64UrlEncode(key->Sign("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc")),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_"
            "MuM0KAg");
}

TEST_F(TokenTest, ComesBack) {
  for (const auto role :
       {TokenClaims::Role::kMember, TokenClaims::Role::kStaff, TokenClaims::Role::kOperator}) {
    TokenClaims given = Claims();
    given.role = role;
    given.not_before = clock_.Now();
    const std::string token = signer_.Sign(given);
    EXPECT_LT(token.size(), 600u);
    for (int i = 0; i < 2; ++i) {  // verified, then remembered
      const auto claims = verifier_.Verify(token);
      ASSERT_TRUE(claims.ok()) << claims.status();
      EXPECT_EQ(claims->issuer, "https://handrail.example");
      EXPECT_EQ(claims->audience, "handrail");
      EXPECT_EQ(claims->member, member_);
      EXPECT_EQ(claims->device, device_);
      EXPECT_EQ(claims->role, role);
      EXPECT_EQ(claims->issued_at, given.issued_at);
      EXPECT_EQ(claims->not_before, given.not_before);
      EXPECT_EQ(claims->expires_at, given.expires_at);
      EXPECT_EQ(claims->token_id, "t-1");
      EXPECT_EQ(claims->expired_for, absl::ZeroDuration());
    }
  }
}

TEST_F(TokenTest, RefusesBadSigners) {
  for (const char* issuer : {"", "a b", "a\n"}) {
    EXPECT_FALSE(TokenSigner::Create(issuer, "k1", Key('a')).ok());
  }
  EXPECT_FALSE(TokenSigner::Create(std::string(257, 'a'), "k1", Key('a')).ok());
  for (const char* key_id : {"", "a/b", "a b"}) {
    EXPECT_FALSE(TokenSigner::Create("iss", key_id, Key('a')).ok());
  }
}

TEST_F(TokenTest, ExpiryHasSixtySecondsOfSkew) {
  const std::string token = signer_.Sign(Claims());
  clock_.Advance(absl::Minutes(10) + absl::Seconds(59));
  EXPECT_TRUE(verifier_.Verify(token).ok());
  clock_.Advance(absl::Seconds(1));
  const auto expired = verifier_.Verify(token);
  EXPECT_EQ(expired.status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(HasReason(expired.status(), reason::kTokenExpired));
}

TEST_F(TokenTest, SafetyCallsMayUseATokenThatHasExpired) {
  const std::string token = signer_.Sign(Claims());
  clock_.Advance(absl::Minutes(40));
  const auto claims = verifier_.VerifyAllowingExpired(token, absl::Hours(1));
  ASSERT_TRUE(claims.ok()) << claims.status();
  EXPECT_EQ(claims->expired_for, absl::Minutes(30));
  clock_.Advance(absl::Minutes(30));
  EXPECT_TRUE(verifier_.VerifyAllowingExpired(token, absl::Hours(1)).ok());
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(HasReason(verifier_.VerifyAllowingExpired(token, absl::Hours(1)).status(),
                        reason::kTokenExpired));
}

TEST_F(TokenTest, AnExpiredTokenIsOnlyCalledSoWhenItIsRight) {
  std::string token = signer_.Sign(Claims());
  clock_.Advance(absl::Hours(3));
  EXPECT_TRUE(HasReason(verifier_.Verify(token).status(), reason::kTokenExpired));
  token[token.size() - 10] = token[token.size() - 10] == 'A' ? 'B' : 'A';
  EXPECT_TRUE(HasReason(verifier_.Verify(token).status(), reason::kTokenInvalid));
}

TEST_F(TokenTest, TokensOfTheFutureWaitForTheirTime) {
  TokenClaims claims = Claims();
  claims.issued_at = clock_.Now() + absl::Seconds(61);
  claims.expires_at = claims.issued_at + absl::Minutes(10);
  const std::string early = signer_.Sign(claims);
  ExpectInvalid(early);
  claims = Claims();
  claims.not_before = clock_.Now() + absl::Seconds(61);
  const std::string not_yet = signer_.Sign(claims);
  ExpectInvalid(not_yet);
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(verifier_.Verify(early).ok());
  EXPECT_TRUE(verifier_.Verify(not_yet).ok());
}

TEST_F(TokenTest, IssuerAndAudienceAreExact) {
  for (const char* issuer : {"https://handrail.example/", "https://handrail.exampl", "HTTPS://x"}) {
    ExpectInvalid(Signer(issuer).Sign(Claims()), issuer);
  }
  for (const char* audience : {"handrail2", "handrai", "Handrail", "handrail "}) {
    TokenClaims claims = Claims();
    claims.audience = audience;
    ExpectInvalid(signer_.Sign(claims), audience);
  }
}

TEST_F(TokenTest, KeysRotate) {
  const TokenSigner next = Signer("https://handrail.example", "k2", 'b');
  const std::string old_token = signer_.Sign(Claims());
  const std::string new_token = next.Sign(Claims());
  EXPECT_TRUE(verifier_.Verify(old_token).ok());
  ExpectInvalid(new_token);
  verifier_.SetKeys({{"k1", signer_.verify_key()}, {"k2", next.verify_key()}});
  EXPECT_TRUE(verifier_.Verify(old_token).ok());
  EXPECT_TRUE(verifier_.Verify(new_token).ok());
  // The old key is withdrawn: what it signed is no longer good, remembered or not.
  verifier_.SetKeys({{"k2", next.verify_key()}});
  ExpectInvalid(old_token);
  EXPECT_TRUE(verifier_.Verify(new_token).ok());
  // kid names the key exactly: the right key under another name is no key.
  ExpectInvalid(Signer("https://handrail.example", "k2", 'a').Sign(Claims()));
}

TEST_F(TokenTest, RemembersOnlySoMany) {
  options_.cache_limit = 8;
  TokenVerifier small(options_, clock_);
  small.SetKeys({{"k1", signer_.verify_key()}});
  std::vector<std::string> tokens;
  for (int i = 0; i < 100; ++i) {
    TokenClaims claims = Claims();
    claims.token_id = absl::StrCat("t-", i);
    tokens.push_back(signer_.Sign(claims));
  }
  for (int round = 0; round < 2; ++round) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      const auto claims = small.Verify(tokens[i]);
      ASSERT_TRUE(claims.ok());
      EXPECT_EQ(claims->token_id, absl::StrCat("t-", i));
    }
  }
}

TEST_F(TokenTest, ManyThreadsWhileKeysChange) {
  const TokenSigner next = Signer("https://handrail.example", "k2", 'b');
  const std::string token = signer_.Sign(Claims());
  std::atomic<bool> stop{false};
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      while (!stop) good += verifier_.Verify(token).ok();
    });
  }
  for (int i = 0; i < 200; ++i) {
    verifier_.SetKeys({{"k2", next.verify_key()}});
    EXPECT_FALSE(verifier_.Verify(token).ok()) << "remembered beyond its key";
    verifier_.SetKeys({{"k1", signer_.verify_key()}});
    EXPECT_TRUE(verifier_.Verify(token).ok());
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace handrail::crypto
