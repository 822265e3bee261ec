// Access tokens. The first byte says what the rest is: even, a whole token as an app would send it;
// odd, a header and a payload with a line break between them, which are encoded and rightly signed,
// so that what stands behind the signature is reached.

#include "absl/strings/str_cat.h"
#include "common/crypto/base64url.h"
#include "common/crypto/token.h"
#include "common/testing/fuzzing.h"
#include "common/testing/simulated_clock.h"

namespace handrail::crypto {
namespace {

struct World {
  World() { verifier.SetKeys({{"k1", key.verify_key()}}); }

  testing::SimulatedClock clock;
  SigningKey key = *SigningKey::FromSeed(std::string(32, 'a'));
  TokenVerifierOptions options{.issuer = "https://handrail.example", .audience = "handrail"};
  TokenVerifier verifier{options, clock};
};

std::string Forge(const SigningKey& key, absl::string_view text) {
  const size_t end = text.find('\n');
  const absl::string_view payload =
      end == absl::string_view::npos ? absl::string_view() : text.substr(end + 1);
  std::string token =
      absl::StrCat(Base64UrlEncode(text.substr(0, end)), ".", Base64UrlEncode(payload));
  const std::string signature = key.Sign(token);
  return absl::StrCat(token, ".", Base64UrlEncode(signature));
}

void Try(const World& world, const std::string& token) {
  const auto claims = world.verifier.VerifyAllowingExpired(token, absl::Hours(1));
  if (!claims.ok()) {
    FUZZ_CHECK(claims.status().code() == absl::StatusCode::kUnauthenticated);
    return;
  }
  FUZZ_CHECK(token.size() <= kMaxTokenBytes);
  FUZZ_CHECK(claims->issuer == world.options.issuer);
  FUZZ_CHECK(claims->audience == world.options.audience);
  FUZZ_CHECK(!claims->token_id.empty());
  FUZZ_CHECK(claims->expires_at > claims->issued_at);
  FUZZ_CHECK(claims->expires_at - claims->issued_at <= world.options.max_lifetime);
  FUZZ_CHECK(claims->issued_at <= world.clock.Now() + world.options.skew);
  FUZZ_CHECK(claims->expired_for <= absl::Hours(1));
  // The second time it comes out of the cache.
  FUZZ_CHECK(world.verifier.VerifyAllowingExpired(token, absl::Hours(1)).ok());
  FUZZ_CHECK(world.verifier.Verify(token).ok() == (claims->expired_for == absl::ZeroDuration()));
  // The same bytes spelled otherwise, or other bytes, are another token.
  std::string other = token;
  other.back() = other.back() == 'A' ? 'B' : 'A';
  FUZZ_CHECK(!world.verifier.Verify(other).ok());
  FUZZ_CHECK(!world.verifier.Verify(token + "=").ok());
}

}  // namespace
}  // namespace handrail::crypto

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail;
  static const crypto::World world;
  if (size == 0) return 0;
  const absl::string_view text = testing::FuzzText(data + 1, size - 1);
  crypto::Try(world, data[0] % 2 == 0 ? std::string(text) : crypto::Forge(world.key, text));
  return 0;
}
