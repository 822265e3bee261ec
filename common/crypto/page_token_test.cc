#include "common/crypto/page_token.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/crypto/base64url.h"
#include "common/testing/seeded_random.h"

namespace handrail::crypto {
namespace {

class PageTokenTest : public ::testing::Test {
 protected:
  void ExpectInvalid(absl::string_view token, absl::string_view caller = "member",
                     absl::string_view question = "ListOffers") {
    const auto cursor = codec_.Parse(token, caller, question);
    EXPECT_EQ(cursor.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(HasReason(cursor.status(), reason::kPageTokenInvalid));
  }
  testing::SeededRandom random_{11};
  PageTokenCodec codec_{SecretKey::Generate(random_)};
};

TEST_F(PageTokenTest, ComesBack) {
  for (const std::string& cursor : {std::string(), std::string("c"), std::string("a\0b\xff", 4),
                                    std::string(kMaxPageCursorBytes, 'x')}) {
    const std::string token = codec_.Make("member", "ListOffers", cursor);
    const auto parsed = codec_.Parse(token, "member", "ListOffers");
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, cursor);
  }
}

TEST_F(PageTokenTest, BelongsToOneCallerAndOneQuestion) {
  const std::string token = codec_.Make("member", "ListOffers", "cursor");
  ExpectInvalid(token, "other");
  ExpectInvalid(token, "member", "ListPairings");
  ExpectInvalid(token, "memberL", "istOffers");
  const PageTokenCodec other(SecretKey::Generate(random_));
  EXPECT_FALSE(other.Parse(token, "member", "ListOffers").ok());
}

TEST_F(PageTokenTest, EveryBitCounts) {
  const std::string token = codec_.Make("member", "ListOffers", "cursor");
  for (size_t bit = 0; bit < 8 * token.size(); ++bit) {
    std::string changed = token;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    ExpectInvalid(changed);
  }
  for (size_t size = 0; size < token.size(); ++size) ExpectInvalid(token.substr(0, size));
  ExpectInvalid(token + "A");
  ExpectInvalid(token + "=");
  ExpectInvalid(std::string(100000, 'A'));
  // A cursor in the clear, as someone would try who guesses the form.
  ExpectInvalid(Base64UrlEncode("cursor"));
}

}  // namespace
}  // namespace handrail::crypto
