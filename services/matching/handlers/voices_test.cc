#include "services/matching/handlers/voices.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/matching/adapters/message_catalogue.h"
#include "services/matching/stores/ledger_test_env.h"

namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Language L(absl::string_view tag) { return Language::FromTag(tag); }

TEST(VoicesTest, AHeaderIsReadByItsWeights) {
  EXPECT_THAT(LanguagesOf("es-MX,es;q=0.9, fr ;q=0.5,*;q=0.1"),
              ElementsAre(L("es"), L("es"), L("fr")));
  EXPECT_THAT(LanguagesOf("de;q=0.2, fr, en;q=0, es; q=0.9, is;q=x, it;q=nan, pt;q=7"),
              ElementsAre(L("fr"), L("es"), L("de")));
  EXPECT_THAT(LanguagesOf(""), IsEmpty());
  EXPECT_THAT(LanguagesOf(";;,,=,\x01\xff"), IsEmpty());
  EXPECT_EQ(LanguagesOf(absl::StrCat(std::string(10'000, ','), "fr")).size(), 0u);
}

TEST(VoicesTest, TheHeaderComesBeforeTheProfileAndEnglishLast) {
  LedgerTestEnv env(storage::TestBackend::kSqliteMemory);
  MemberCache members(10);
  const Voices voices(BuiltInMessages(), members, *env.ledger);
  const MemberId id = MemberId::Random(env.random);
  MemberTraits newcomer = env.Newcomer(id);
  newcomer.newcomer->person.languages = {L("de"), L("fr")};
  ASSERT_TRUE(env.ledger->ApplyMember(absl::InfiniteFuture(), env.clock.Now(), newcomer).ok());
  const auto say = [&](const MemberId& member, std::vector<Language> asked) {
    return voices.For(env.As(member), std::move(asked)).Say(MatchReason::kLocality);
  };
  EXPECT_EQ(say(id, {}), BuiltInMessages().Say("reason.LOCALITY", std::vector<Language>{L("fr")}));
  EXPECT_EQ(say(id, {L("es")}),
            BuiltInMessages().Say("reason.LOCALITY", std::vector<Language>{L("es")}));
  EXPECT_EQ(say(MemberId::Random(env.random), {}), "You live in the same area.");
}

}  // namespace
}  // namespace handrail::matching
