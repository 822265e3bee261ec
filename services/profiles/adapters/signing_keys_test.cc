#include "services/profiles/adapters/signing_keys.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/base/status.h"
#include "common/testing/seeded_random.h"
#include "common/testing/simulated_clock.h"
#include "common/testing/temporary_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace handrail::profiles {
namespace {

class SigningKeysTest : public ::testing::Test {
 protected:
  std::unique_ptr<SigningKeys> Open() {
    auto keys = SigningKeys::Open(options_, clock_);
    EXPECT_TRUE(keys.ok()) << keys.status();
    return keys.ok() ? *std::move(keys) : nullptr;
  }
  void Create() {
    ASSERT_TRUE(SigningKeys::CreateKey(options_.folder, clock_.Now(), random_).ok());
  }
  std::string Token(const SigningKeys& keys) {
    crypto::TokenClaims claims;
    claims.audience = "handrail";
    claims.member = MemberId::Random(random_);
    claims.device = DeviceId::Random(random_);
    claims.issued_at = clock_.Now();
    claims.not_before = absl::InfinitePast();
    claims.expires_at = clock_.Now() + absl::Minutes(10);
    claims.token_id = "id";
    return keys.Sign(claims);
  }
  // True when a service that holds exactly these published keys takes the token.
  bool Verifies(const crypto::KeySet& published, const std::string& token) {
    crypto::TokenVerifier verifier({.issuer = "handrail", .audience = "handrail"}, clock_);
    verifier.SetKeys(published);
    return verifier.Verify(token).ok();
  }
  std::string OnlyFile() {
    return std::filesystem::directory_iterator(options_.folder)->path().string();
  }

  ::handrail::testing::TemporaryDirectory directory_;
  ::handrail::testing::SimulatedClock clock_;
  ::handrail::testing::SeededRandom random_{11};
  SigningKeyOptions options_ = {.folder = directory_.File("keys")};
};

TEST_F(SigningKeysTest, WithoutAKeyItDoesNotOpenAndSaysWhatToDo) {
  const auto missing = SigningKeys::Open(options_, clock_);
  EXPECT_EQ(ReasonOf(missing.status()), reason::kConfigurationInvalid);
  std::filesystem::create_directory(options_.folder);
  const auto empty = SigningKeys::Open(options_, clock_);
  EXPECT_THAT(std::string(empty.status().message()), ::testing::HasSubstr("--create_keys"));
  EXPECT_FALSE(SigningKeys::HasKey(options_.folder));
}

TEST_F(SigningKeysTest, KeysAreWrittenForTheirOwnerAlone) {
  Create();
  struct stat status = {};
  ASSERT_EQ(stat(options_.folder.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  ASSERT_EQ(stat(OnlyFile().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_TRUE(SigningKeys::HasKey(options_.folder));
}

TEST_F(SigningKeysTest, AKeyThatOthersMayReadIsRefused) {
  Create();
  chmod(OnlyFile().c_str(), 0644);
  EXPECT_EQ(ReasonOf(SigningKeys::Open(options_, clock_).status()), reason::kConfigurationInvalid);
  chmod(OnlyFile().c_str(), 0640);
  EXPECT_FALSE(SigningKeys::Open(options_, clock_).ok());
  options_.file_policy = crypto::KeyFilePolicy::kGroupMayRead;
  EXPECT_TRUE(SigningKeys::Open(options_, clock_).ok());
}

TEST_F(SigningKeysTest, AFileThatIsNoKeyIsNamedWithoutItsContent) {
  Create();
  const std::string path = OnlyFile();
  std::ofstream(path) << "swordfish";
  const auto opened = SigningKeys::Open(options_, clock_);
  EXPECT_THAT(std::string(opened.status().message()), ::testing::HasSubstr(path));
  EXPECT_THAT(std::string(opened.status().message()),
              ::testing::Not(::testing::HasSubstr("swordfish")));
}

TEST_F(SigningKeysTest, TheFirstKeySignsAtOnce) {
  Create();
  const auto keys = Open();
  EXPECT_EQ(keys->Published().size(), 1u);
  EXPECT_TRUE(Verifies(keys->Published(), Token(*keys)));
}

TEST_F(SigningKeysTest, ANewKeyIsPublishedTwoMinutesBeforeItSigns) {
  Create();
  const auto keys = Open();
  const crypto::KeySet only_first = keys->Published();
  clock_.Advance(absl::Hours(24));
  Create();
  ASSERT_TRUE(keys->Refresh().ok());
  EXPECT_EQ(keys->Published().size(), 2u);
  // Services that have not read the new key yet still take every token.
  EXPECT_TRUE(Verifies(only_first, Token(*keys)));
  clock_.Advance(absl::Seconds(119));
  EXPECT_TRUE(Verifies(only_first, Token(*keys)));
  clock_.Advance(absl::Seconds(1));
  EXPECT_FALSE(Verifies(only_first, Token(*keys)));
  EXPECT_TRUE(Verifies(keys->Published(), Token(*keys)));
}

TEST_F(SigningKeysTest, AnOldKeyIsPublishedAsLongAsItsTokensCount) {
  Create();
  const auto keys = Open();
  const std::string old_token = Token(*keys);
  clock_.Advance(absl::Hours(24));
  Create();
  ASSERT_TRUE(keys->Refresh().ok());
  clock_.Advance(absl::Minutes(2) + absl::Hours(3));
  EXPECT_EQ(keys->Published().size(), 2u);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(keys->Published().size(), 1u);
  EXPECT_TRUE(Verifies(keys->Published(), Token(*keys)));
}

TEST_F(SigningKeysTest, RotationMakesAKeyOnlyWhenTheNewestIsOld) {
  Create();
  const auto keys = Open();
  ASSERT_TRUE(keys->RotateIfOlderThan(absl::Hours(24), random_).ok());
  EXPECT_EQ(keys->Published().size(), 1u);
  clock_.Advance(absl::Hours(24));
  ASSERT_TRUE(keys->RotateIfOlderThan(absl::Hours(24), random_).ok());
  ASSERT_TRUE(keys->RotateIfOlderThan(absl::Hours(24), random_).ok());
  EXPECT_EQ(keys->Published().size(), 2u);
}

TEST_F(SigningKeysTest, AFailedRefreshKeepsTheKeysHeld) {
  Create();
  const auto keys = Open();
  std::filesystem::remove_all(options_.folder);
  EXPECT_FALSE(keys->Refresh().ok());
  EXPECT_TRUE(Verifies(keys->Published(), Token(*keys)));
}

TEST_F(SigningKeysTest, AReplicaThatReadsTheSameFolderSignsWithTheSameKey) {
  Create();
  const auto one = Open();
  const auto other = Open();
  EXPECT_TRUE(Verifies(one->Published(), Token(*other)));
}

}  // namespace
}  // namespace handrail::profiles
