#include "services/matching/adapters/message_catalogue.h"

#include <fstream>
#include <map>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/testing/temporary_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/matching/adapters/messages_text.h"
#include "services/matching/domain/score.h"

namespace handrail::matching {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Language L(absl::string_view tag) { return Language::FromTag(tag); }

std::string Say(absl::string_view key, std::vector<Language> languages) {
  return BuiltInMessages().Say(key, languages);
}

TEST(MessageCatalogueTest, EveryLanguageIsWhole) {
  EXPECT_THAT(BuiltInMessages().Languages(), ElementsAre("en", "es", "fr"));
  for (const char* text : {kEnText, kEsText, kFrText}) {
    EXPECT_EQ(MessageCatalogue().Add(text, "built in"), absl::OkStatus());
  }
  for (const absl::string_view key : TextKeys()) {
    const std::string english = Say(key, {L("en")});
    for (const char* other : {"es", "fr"}) EXPECT_NE(Say(key, {L(other)}), english) << key;
  }
}

// safe-messaging: person-first language, in each language's own words.
TEST(MessageCatalogueTest, EverySentenceIsPeopleFirst) {
  const std::map<std::string, std::vector<std::string>> forbidden = {
      {"en",
       {"addict", "addicts", "alcoholic", "alcoholics", "clean", "dirty", "relapse", "reject",
        "rejected", "rejection", "abuse", "abuser", "junkie", "failed", "failure", "user",
        "habit"}},
      {"es",
       {"adicto",    "adicta",   "adictos", "adictas", "alcohólico", "alcohólica", "limpio",
        "limpia",    "sucio",    "sucia",   "recaída", "recaíste",   "rechazo",    "rechazado",
        "rechazada", "rechazar", "abuso",   "vicio",   "fracaso",    "drogadicto", "drogadicta"}},
      {"fr",
       {"toxicomane", "toxicomanes", "alcoolique", "alcooliques", "drogué", "droguée", "propre",
        "sale", "rechute", "rejet", "rejeté", "rejetée", "rejeter", "abus", "vice", "échec"}},
  };
  for (const auto& [language, words] : forbidden) {
    for (const absl::string_view key : TextKeys()) {
      const std::string text = Say(key, {L(language)});
      const std::vector<std::string> said =
          absl::StrSplit(absl::AsciiStrToLower(text), absl::ByAnyChar(" ,.;:!?'\""));
      for (const std::string& word : words) EXPECT_THAT(said, Not(Contains(word))) << text;
      EXPECT_EQ(text.back(), '.') << text;
    }
  }
}

TEST(MessageCatalogueTest, EveryReasonIsThereAndIsWhatTheCodeSaysInEnglish) {
  for (int i = 1; i < kMatchReasonCount; ++i) {
    const auto reason = static_cast<MatchReason>(i);
    EXPECT_EQ(Say(absl::StrCat("reason.", CodeOf(reason)), {L("en")}), TextOf(reason));
  }
}

TEST(MessageCatalogueTest, TheFirstLanguageThatIsThereIsSpokenElseEnglish) {
  EXPECT_THAT(Say("reason.LOCALITY", {L("de"), L("fr"), L("es")}), HasSubstr("région"));
  EXPECT_EQ(Say("reason.LOCALITY", {L("de")}), TextOf(MatchReason::kLocality));
  EXPECT_EQ(Say("reason.LOCALITY", {}), TextOf(MatchReason::kLocality));
  EXPECT_EQ(Say("no.such.key", {L("fr")}), "no.such.key");
}

TEST(MessageCatalogueTest, AnOperatorAddsALanguageWithAFolder) {
  testing::TemporaryDirectory directory;
  std::ofstream(directory.path() + "/de.textproto") << absl::StrReplaceAll(
      kEnText, {{"language: \"en\"", "language: \"de\""},
                {"You live in the same area.", "Ihr wohnt in derselben Gegend."}});
  std::ofstream(directory.path() + "/README") << "not one of them";
  MessageCatalogue catalogue = BuiltInMessages();
  ASSERT_EQ(catalogue.AddFolder(directory.path()), absl::OkStatus());
  EXPECT_THAT(catalogue.Languages(), ElementsAre("de", "en", "es", "fr"));
  const std::vector<Language> german = {L("de")};
  EXPECT_EQ(catalogue.Say("reason.LOCALITY", german), "Ihr wohnt in derselben Gegend.");
}

TEST(MessageCatalogueTest, PlaceholdersAreThoseOfTheEnglishText) {
  const std::string german =
      absl::StrReplaceAll(kEnText, {{"language: \"en\"", "language: \"de\""}});
  const auto with = [&german](absl::string_view text) {
    MessageCatalogue catalogue = BuiltInMessages();
    return catalogue.Add(absl::StrReplaceAll(german, {{"You live in the same area.", text}}),
                         "de.textproto");
  };
  EXPECT_EQ(with("Ihr wohnt in derselben Gegend."), absl::OkStatus());
  for (const char* wrong : {"Ihr wohnt in {place}.", "Ihr wohnt in {place."}) {
    EXPECT_THAT(with(wrong).message(),
                HasSubstr("reason.LOCALITY must have these placeholders: none"));
  }
  // Where English has some, in any order.
  const auto english = [](absl::string_view text) {
    return absl::StrReplaceAll(kEnText, {{"You live in the same area.", text}});
  };
  MessageCatalogue catalogue;
  ASSERT_EQ(catalogue.Add(english("{count} live in {place}."), "en"), absl::OkStatus());
  const auto in_german = [&german](absl::string_view text) {
    return absl::StrReplaceAll(german, {{"You live in the same area.", text}});
  };
  EXPECT_EQ(catalogue.Add(in_german("In {place} wohnen {count}."), "de"), absl::OkStatus());
  EXPECT_FALSE(catalogue.Add(in_german("In {place} wohnen viele."), "de").ok());
  EXPECT_FALSE(catalogue.Add(in_german("In {place} wohnen {count} {count}."), "de").ok());
}

TEST(MessageCatalogueTest, EveryFaultOfEveryFileIsNamed) {
  testing::TemporaryDirectory directory;
  std::ofstream(directory.path() + "/a.textproto")
      << "language: \"de-CH\" messages { key: \"reason.NONE\" text: \"\" }";
  std::ofstream(directory.path() + "/b.textproto") << "language: 5";
  std::ofstream(directory.path() + "/c.textproto")
      << kFrText << "messages { key: \"reason.LOCALITY\" text: \"x\" }";
  MessageCatalogue catalogue;
  const absl::Status status = catalogue.AddFolder(directory.path());
  EXPECT_TRUE(HasReason(status, reason::kConfigurationInvalid));
  EXPECT_THAT(
      status.message(),
      AllOf(HasSubstr("without a region"), HasSubstr("reason.NONE is no key"),
            HasSubstr("reason.NONE is not 1 to 300"), HasSubstr("reason.PATHWAY is missing"),
            HasSubstr("b.textproto: line 1"), HasSubstr("reason.LOCALITY is there twice")));
  EXPECT_EQ(catalogue.AddFolder(directory.path() + "/none").code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace handrail::matching
