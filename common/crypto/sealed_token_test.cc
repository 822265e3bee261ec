#include "common/crypto/sealed_token.h"

#include <string>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace handrail::crypto {
namespace {

class SealedTokenTest : public ::testing::Test {
 protected:
  SystemRandom random_;
  const std::string key_ = std::string(32, 'k');
  SealedTokenCodec codec_{*SecretKey::FromBytes(key_), "test"};
};

TEST_F(SealedTokenTest, OpensForItsHolderAndPurposeOnly) {
  const std::string token = codec_.Make("ada", "content", random_);
  EXPECT_EQ(codec_.Open("ada", token), "content");
  EXPECT_EQ(codec_.Open("bob", token), std::nullopt);
  EXPECT_EQ(codec_.Open("", token), std::nullopt);
  const SealedTokenCodec other(*SecretKey::FromBytes(key_), "another");
  EXPECT_EQ(other.Open("ada", token), std::nullopt);
  const SealedTokenCodec stranger(*SecretKey::FromBytes(std::string(32, 'x')), "test");
  EXPECT_EQ(stranger.Open("ada", token), std::nullopt);
}

TEST_F(SealedTokenTest, TwoTokensOfTheSameContentHaveNothingInCommon) {
  const std::string first = codec_.Make("ada", "content", random_);
  const std::string second = codec_.Make("ada", "content", random_);
  EXPECT_NE(first, second);
  size_t equal = 0;
  for (size_t i = 2; i < first.size(); ++i) equal += first[i] == second[i] ? 1 : 0;
  EXPECT_LT(equal, first.size() / 4);
  EXPECT_EQ(first.find("content"), std::string::npos);
}

TEST_F(SealedTokenTest, AnyChangedCharacterIsNoticed) {
  const std::string token = codec_.Make("ada", "content", random_);
  for (size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_EQ(codec_.Open("ada", changed), std::nullopt) << i;
  }
  for (size_t length = 0; length < token.size(); ++length) {
    EXPECT_EQ(codec_.Open("ada", token.substr(0, length)), std::nullopt) << length;
  }
  EXPECT_EQ(codec_.Open("ada", token + "A"), std::nullopt);
  EXPECT_EQ(codec_.Open("ada", std::string(10'000, 'A')), std::nullopt);
  EXPECT_EQ(codec_.Open("ada", "\xff\xfe not base64"), std::nullopt);
}

}  // namespace
}  // namespace handrail::crypto
