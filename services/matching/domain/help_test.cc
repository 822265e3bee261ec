#include "services/matching/domain/help.h"

#include <functional>
#include <set>

#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/help_texts.h"

namespace handrail::matching {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using E = HelpEvent;
using S = HelpState;

TEST(HelpStateTest, TheTableIsWholeAndFinalStatesStay) {
  const std::vector<std::pair<E, S>> of_open = {{E::kAnswer, S::kAnswered},
                                                {E::kCancel, S::kCancelled},
                                                {E::kWithdraw, S::kCancelled},
                                                {E::kNobodyLeft, S::kUnanswered}};
  ASSERT_EQ(of_open.size(), static_cast<size_t>(kHelpEventCount));
  for (const auto& [event, next] : of_open) {
    EXPECT_EQ(Apply(S::kOpen, event), next);
    for (const S final : {S::kUnspecified, S::kAnswered, S::kCancelled, S::kUnanswered}) {
      EXPECT_EQ(Apply(final, event), std::nullopt);
    }
  }
}

TEST(HelpOptionsTest, TheDefaultsAreSoundAndEveryFaultIsNamed) {
  EXPECT_TRUE(HelpOptions().Validate().ok());
  HelpOptions bad;
  bad.sponsors_time = absl::ZeroDuration();
  bad.on_call_at_once = 0;
  bad.on_call_rounds = 99;
  bad.calls_per_hour = 0;
  bad.contact_length = absl::Hours(1000);
  const std::string text(bad.Validate().message());
  for (const char* part : {"a stage", "at once", "rounds", "an hour", "14 days", "is kept"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

class SuitsOnCallTest : public ::testing::Test {
 protected:
  SuitsOnCallTest() {
    SystemRandom random;
    for (MemberTraits* member : {&caller, &helper}) {
      member->member = MemberId::Random(random);
      member->standing = Standing::kGood;
      member->consents_to_matching = member->consents_to_health_data = true;
    }
    caller.newcomer.emplace();
    caller.newcomer->philosophies = {Philosophy::kTwelveStepAa};
    helper.sponsor.emplace();
    helper.sponsor->programs = {SponsorProgram{}};
    helper.sponsor->programs[0].philosophy = Philosophy::kTwelveStepAa;
    for (PersonTraits* person : {&caller.newcomer->person, &helper.sponsor->person}) {
      person->adult_attested = true;
      person->gender = Gender::kWoman;
      person->languages = {Language::FromTag("en")};
    }
  }
  bool Suits() const { return SuitsOnCall(caller, helper, BuiltInPrograms()); }
  PersonTraits& asks() { return caller.newcomer->person; }
  PersonTraits& gives() { return helper.sponsor->person; }

  MemberTraits caller;
  MemberTraits helper;
};

TEST_F(SuitsOnCallTest, TwoWithNothingBetweenThemSuit) {
  EXPECT_TRUE(Suits());
  EXPECT_TRUE(SharesProgram(caller, helper));
}

TEST_F(SuitsOnCallTest, EachRuleAloneForbidsIt) {
  const std::vector<std::pair<const char*, std::function<void(MemberTraits&, MemberTraits&)>>>
      rules = {
          {"suspended caller", [](auto& a, auto&) { a.standing = Standing::kSuspended; }},
          {"suspended helper", [](auto&, auto& b) { b.standing = Standing::kSuspended; }},
          {"no consent of the caller", [](auto& a, auto&) { a.consents_to_health_data = false; }},
          {"no consent of the helper", [](auto&, auto& b) { b.consents_to_matching = false; }},
          {"a minor calls", [](auto& a, auto&) { a.newcomer->person.adult_attested = false; }},
          {"a minor helps", [](auto&, auto& b) { b.sponsor->person.adult_attested = false; }},
          {"no sponsor's side", [](auto&, auto& b) { b.sponsor.reset(); }},
          {"oneself", [](auto& a, auto& b) { b.member = a.member; }},
          {"another gender, in a program whose default is the same",
           [](auto&, auto& b) { b.sponsor->person.gender = Gender::kMan; }},
          {"a gender that was not said",
           [](auto&, auto& b) { b.sponsor->person.gender = Gender::kUnspecified; }},
          {"no language",
           [](auto&, auto& b) { b.sponsor->person.languages = {Language::FromTag("es")}; }},
          {"access", [](auto& a, auto&) { a.newcomer->access_needs = {AccessNeed::kTextOnly}; }},
          {"medication", [](auto& a, auto&) { a.newcomer->requires_medication_support = true; }},
      };
  for (const auto& [name, change] : rules) {
    MemberTraits a = caller;
    MemberTraits b = helper;
    change(a, b);
    EXPECT_FALSE(SuitsOnCall(a, b, BuiltInPrograms())) << name;
  }
}

TEST_F(SuitsOnCallTest, AnyGenderOnlyWhenBothChoseIt) {
  gives().gender = Gender::kMan;
  asks().gender_preference.rule = GenderRule::kAny;
  EXPECT_FALSE(Suits());
  gives().gender_preference.rule = GenderRule::kAny;
  EXPECT_TRUE(Suits());
  asks().gender_preference.rule = GenderRule::kExplicitSet;
  asks().gender_preference.genders = {Gender::kNonBinary};
  EXPECT_FALSE(Suits());
  asks().gender_preference.genders = {Gender::kMan};
  EXPECT_TRUE(Suits());
  caller.newcomer->philosophies = {Philosophy::kCelebrateRecovery};  // binds everybody
  EXPECT_FALSE(Suits());
}

TEST_F(SuitsOnCallTest, WhatWasNotSaidIsNeutralAndAnotherProgramNoObstacle) {
  asks().languages.clear();
  EXPECT_TRUE(Suits());
  caller.newcomer->philosophies = {Philosophy::kSmart};
  EXPECT_TRUE(Suits());
  EXPECT_FALSE(SharesProgram(caller, helper));
}

TEST_F(SuitsOnCallTest, ASponsorMayCallToo) {
  caller.sponsor = helper.sponsor;
  caller.newcomer.reset();
  EXPECT_TRUE(Suits());
}

TEST(HelpTextsTest, ALanguageIsFoundByItsPrimarySubtagElseEnglish) {
  EXPECT_EQ(HelpLanguageOf("es-MX"), "es");
  EXPECT_EQ(HelpLanguageOf("FR"), "fr");
  for (const char* other : {"", "de", "english", "\xff"}) EXPECT_EQ(HelpLanguageOf(other), "en");
}

TEST(HelpTextsTest, EveryTextIsItsOwnInEveryLanguage) {
  std::set<absl::string_view> all;
  for (int i = 0; i < kHelpTextCount; ++i) {
    for (const absl::string_view language : kHelpLanguages) {
      EXPECT_TRUE(all.insert(TextOf(static_cast<HelpText>(i), language)).second) << i << language;
    }
  }
  EXPECT_EQ(TextOf(HelpText::kAnswered, "xx"), TextOf(HelpText::kAnswered, "en"));
}

TEST(HelpTextsTest, NothingBlamesAnybody) {
  for (int i = 0; i < kHelpTextCount; ++i) {
    for (const char* word : {"reject", "refus", "clean", "addict", "abuse", "fail"}) {
      EXPECT_THAT(std::string(TextOf(static_cast<HelpText>(i), "en")), Not(HasSubstr(word)));
    }
  }
}

TEST(HelpTextsTest, WhoeverIsToldThatNobodyCameIsPointedToTheLines) {
  for (const HelpText text :
       {HelpText::kNobody, HelpText::kUnavailable, HelpText::kLimited, HelpText::kConsentRequired,
        HelpText::kSuspended, HelpText::kUnanswered}) {
    EXPECT_THAT(std::string(TextOf(text, "en")), HasSubstr("lines below"));
    EXPECT_THAT(std::string(TextOf(text, "es")), HasSubstr("líneas de abajo"));
    EXPECT_THAT(std::string(TextOf(text, "fr")), HasSubstr("lignes ci-dessous"));
  }
}

}  // namespace
}  // namespace handrail::matching
