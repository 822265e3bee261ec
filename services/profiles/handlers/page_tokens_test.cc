#include "services/profiles/handlers/page_tokens.h"

#include "common/base/status.h"
#include "common/testing/seeded_random.h"
#include "gtest/gtest.h"

namespace handrail::profiles {
namespace {

class PageTokensTest : public ::testing::Test {
 protected:
  Call CallOf(const char* method) {
    Call call;
    call.method = method;
    call.who.kind = Principal::Kind::kMember;
    call.who.member = MemberId::Random(random_);
    return call;
  }

  ::handrail::testing::SeededRandom random_{2};
  PageTokens tokens_{crypto::SecretKey::Generate(random_)};
  Call call_ = CallOf("/a/List");
};

TEST_F(PageTokensTest, SizesAreCut) {
  EXPECT_EQ(tokens_.Read(call_, "", 0, "")->limit, 50);
  EXPECT_EQ(tokens_.Read(call_, "", 7, "")->limit, 7);
  EXPECT_EQ(tokens_.Read(call_, "", 1000, "")->limit, 100);
  EXPECT_FALSE(tokens_.Read(call_, "", 7, "")->after.has_value());
}

TEST_F(PageTokensTest, ATokenIsGoodForItsCallerMethodAndFilterOnly) {
  const PageCursor cursor{absl::FromUnixMicros(1234567), std::string(16, '\0')};
  const std::string token = tokens_.Write(call_, "filter", cursor);
  EXPECT_EQ(tokens_.Read(call_, "filter", 0, token)->after, cursor);
  Call other_method = call_;
  other_method.method = "/b/List";
  const Call other_caller = CallOf("/a/List");
  for (const auto& result :
       {tokens_.Read(other_method, "filter", 0, token),
        tokens_.Read(other_caller, "filter", 0, token), tokens_.Read(call_, "other", 0, token),
        tokens_.Read(call_, "filter", 0, token + "A"), tokens_.Read(call_, "filter", 0, "x")}) {
    EXPECT_EQ(ReasonOf(result.status()), reason::kPageTokenInvalid);
  }
  EXPECT_EQ(tokens_.Write(call_, "filter", std::nullopt), "");
}

}  // namespace
}  // namespace handrail::profiles
