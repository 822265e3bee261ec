#include "common/rpc/key_source.h"

#include <gtest/gtest.h>

#include <atomic>

#include "common/base/status.h"
#include "common/crypto/key_set.h"
#include "common/crypto/token.h"
#include "common/rpc/testing/test_host.h"
#include "common/testing/seeded_random.h"
#include "common/testing/simulated_clock.h"

namespace handrail::rpc {
namespace {

class KeySourceTest : public ::testing::Test {
 protected:
  // A key set of one new key, and the signer to it.
  std::string NewKey(const std::string& name) {
    auto key = crypto::SigningKey::Generate(random_);
    const crypto::KeySet set = {{name, key.verify_key()}};
    signers_.push_back(*crypto::TokenSigner::Create("issuer", name, std::move(key)));
    return crypto::EncodeKeySet(set);
  }
  std::string Token(size_t signer) {
    crypto::TokenClaims claims;
    claims.audience = "apps";
    claims.member = MemberId::Random(random_);
    claims.device = DeviceId::Random(random_);
    claims.issued_at = claims.not_before = clock_.Now();
    claims.expires_at = clock_.Now() + absl::Minutes(10);
    claims.token_id = "id";
    return signers_[signer].Sign(claims);
  }
  absl::string_view Reason(const std::string& token) {
    reason_ = ReasonOf(keys_.Check(token, absl::ZeroDuration()).status());
    return reason_;
  }

  handrail::testing::SimulatedClock clock_;
  handrail::testing::SeededRandom random_{1};
  KeySource keys_{clock_, "issuer", "apps"};
  RevocationSet revocations_{clock_};
  std::vector<crypto::TokenSigner> signers_;
  std::string reason_;
};

TEST_F(KeySourceTest, WithoutKeysNobodyCanBeCheckedAndThatIsNotTheirFault) {
  NewKey("a");
  const auto checked = keys_.Check(Token(0), absl::ZeroDuration());
  EXPECT_EQ(checked.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(DetailsOf(checked.status()).retry_after.has_value());
}

TEST_F(KeySourceTest, KeysRotate) {
  ASSERT_TRUE(keys_.Update(NewKey("a")).ok());
  EXPECT_EQ(Reason(Token(0)), "");
  ASSERT_TRUE(keys_.Update(NewKey("b")).ok());
  EXPECT_EQ(Reason(Token(0)), reason::kTokenInvalid);
  EXPECT_EQ(Reason(Token(1)), "");
}

TEST_F(KeySourceTest, ABadKeySetLeavesTheOneAtHand) {
  ASSERT_TRUE(keys_.Update(NewKey("a")).ok());
  EXPECT_FALSE(keys_.Update("{").ok());
  EXPECT_FALSE(keys_.Update(R"({"keys":[]})").ok());
  EXPECT_EQ(Reason(Token(0)), "");
}

TEST_F(KeySourceTest, RevocationsAreForgottenWhenNoTokenCanBeLeft) {
  const DeviceId device = DeviceId::Random(random_);
  revocations_.Add(device, clock_.Now());
  EXPECT_TRUE(revocations_.IsRevoked(device));
  clock_.Advance(absl::Hours(30));
  revocations_.Add(DeviceId::Random(random_), clock_.Now());
  EXPECT_FALSE(revocations_.IsRevoked(device));
  RevocationSet small(clock_, 100);
  for (int i = 0; i < 1000; ++i) {
    small.Add(DeviceId::Random(random_), clock_.Now() + absl::Seconds(i));
  }
  EXPECT_LE(small.size(), 100u);
}

TEST_F(KeySourceTest, TheRefresherReadsBothAndNoticesWhenItCannot) {
  const std::string key_set = NewKey("a");
  const DeviceId device = DeviceId::Random(random_);
  std::atomic<bool> up{true};
  std::atomic<int> failures{0};
  KeyRefresher::Sources sources;
  sources.keys = [&]() -> absl::StatusOr<std::string> {
    if (up) return key_set;
    ++failures;
    return Error(absl::StatusCode::kUnavailable, reason::kPeerUnavailable);
  };
  sources.revocations = [&](absl::Time) -> absl::StatusOr<std::vector<Revocation>> {
    if (up) return std::vector<Revocation>{{device, clock_.Now()}};
    return Error(absl::StatusCode::kUnavailable, reason::kPeerUnavailable);
  };
  KeyRefresher refresher(clock_, sources, keys_, revocations_);
  EXPECT_TRUE(testing::WaitUntil([&] { return keys_.SourceReachable(); }));
  EXPECT_TRUE(revocations_.IsRevoked(device));
  EXPECT_EQ(Reason(Token(0)), "");
  up = false;
  clock_.Advance(absl::Seconds(30));
  EXPECT_TRUE(testing::WaitUntil([&] { return failures > 0; }));
  EXPECT_TRUE(keys_.SourceReachable()) << "half a minute is no outage";
  clock_.Advance(absl::Seconds(31));
  EXPECT_FALSE(keys_.SourceReachable());
  up = true;
  EXPECT_TRUE(testing::WaitUntil([&] { return keys_.SourceReachable(); }));
  refresher.Stop();
}

}  // namespace
}  // namespace handrail::rpc
