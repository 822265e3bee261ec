#include "services/matching/adapters/crisis_table.h"

#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/testing/temporary_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/matching/adapters/crisis_text.h"
#include "services/matching/handlers/crisis_lines.h"

namespace handrail::matching {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const absl::CivilDay kToday(2026, 11, 22);

v1::CrisisHelp HelpIn(absl::string_view country, absl::string_view language = "en") {
  v1::CrisisHelp help;
  FillCrisisHelp(BuiltInCrisisTable(), country, language, &help);
  return help;
}

std::string Row(absl::string_view fields) {
  return absl::StrCat(
      "rows { country: \"US\" kind: CRISIS_LINE_KIND_EMERGENCY name: \"Here\" "
      "contacts { kind: CRISIS_CONTACT_KIND_CALL value: \"911\" } ",
      fields, " }\n");
}

absl::Status Parsed(absl::string_view text) {
  return ParseCrisisTable(text, "file", kToday).status();
}

TEST(CrisisTableTest, TheBuiltInTableHasNoFaults) {
  EXPECT_TRUE(ParseCrisisTable(kCrisisLinesText, "built in", kToday).ok())
      << ParseCrisisTable(kCrisisLinesText, "built in", kToday).status();
}

TEST(CrisisTableTest, EveryCountryHasAnEmergencyNumberFirst) {
  std::set<std::string> countries;
  for (const v1::CrisisRow& row : BuiltInCrisisTable().rows()) countries.insert(row.country());
  for (const char* expected : {"AU", "CA", "DE", "ES", "FR", "GB", "IE", "NZ", "US", "ZZ"}) {
    EXPECT_TRUE(countries.contains(expected)) << expected;
  }
  for (const std::string& country : countries) {
    const v1::CrisisHelp help = HelpIn(country);
    ASSERT_GT(help.lines_size(), 0) << country;
    EXPECT_EQ(help.lines(0).kind(), v1::CRISIS_LINE_KIND_EMERGENCY) << country;
    EXPECT_EQ(help.lines(0).contacts(0).kind(), v1::CRISIS_CONTACT_KIND_CALL) << country;
    for (int i = 1; i < help.lines_size(); ++i) {
      EXPECT_NE(help.lines(i).kind(), v1::CRISIS_LINE_KIND_EMERGENCY) << country;
    }
  }
}

TEST(CrisisTableTest, EachCountryHasTheNumberThatItIsKnownFor) {
  const std::vector<std::pair<const char*, const char*>> numbers = {
      {"US", "911"}, {"US", "988"},     {"CA", "911"},    {"CA", "988"},  {"GB", "999"},
      {"GB", "111"}, {"GB", "116 123"}, {"IE", "112"},    {"AU", "000"},  {"AU", "13 11 14"},
      {"NZ", "111"}, {"NZ", "1737"},    {"ES", "112"},    {"ES", "024"},  {"DE", "112"},
      {"FR", "112"}, {"FR", "3114"},    {"US", "435748"}, {"GB", "85258"}};
  for (const auto& [country, number] : numbers) {
    bool found = false;
    const v1::CrisisHelp help = HelpIn(country);
    for (const v1::CrisisLine& line : help.lines()) {
      for (const v1::CrisisContact& contact : line.contacts()) found |= contact.value() == number;
    }
    EXPECT_TRUE(found) << country << " " << number;
  }
}

TEST(CrisisTableTest, NoRetiredNumberIsShown) {
  for (const char* retired : {"0800 77 66 00", "01805", "1-800-273-8255", "1-833-456-4566"}) {
    for (const v1::CrisisRow& row : BuiltInCrisisTable().rows()) {
      for (const v1::CrisisContact& contact : row.contacts()) {
        EXPECT_THAT(contact.value(), Not(HasSubstr(retired))) << row.name();
      }
    }
  }
}

TEST(CrisisTableTest, ARowWithoutASourceIsMarked) {
  int unverified = 0;
  const v1::CrisisHelp help = HelpIn("GB");
  for (const v1::CrisisLine& line : help.lines()) {
    EXPECT_EQ(line.verification() == v1::CRISIS_VERIFICATION_NONE, line.source().empty());
    unverified += line.verification() == v1::CRISIS_VERIFICATION_NONE ? 1 : 0;
  }
  EXPECT_EQ(unverified, 1);  // FRANK
}

TEST(CrisisTableTest, ACountryIsTakenInEitherCase) {
  EXPECT_EQ(HelpIn("us").country(), "US");
  EXPECT_EQ(HelpIn(" Gb ").country(), "GB");
  EXPECT_EQ(HelpIn("uk").country(), "GB");
}

TEST(CrisisTableTest, AnUnknownCountryGetsLinesForEverywhereAndHowToFindOthers) {
  for (const char* country : {"", "XX", "ZZ", "nowhere", "日本", "'; DROP TABLE"}) {
    const v1::CrisisHelp help = HelpIn(country);
    EXPECT_THAT(help.country(), IsEmpty()) << country;
    ASSERT_GE(help.lines_size(), 2) << country;
    EXPECT_EQ(help.lines(0).contacts(0).value(), "112") << country;
    EXPECT_EQ(help.lines(1).kind(), v1::CRISIS_LINE_KIND_DIRECTORY) << country;
    EXPECT_THAT(help.text(),
                AllOf(HasSubstr("not an emergency service"), HasSubstr("lists below")));
  }
}

TEST(CrisisTableTest, TheTextsAreInTheLanguageAskedForElseEnglish) {
  EXPECT_EQ(HelpIn("US", "es-MX").language(), "es");
  EXPECT_THAT(HelpIn("US", "es-MX").text(), HasSubstr("no es un servicio de emergencias"));
  EXPECT_THAT(HelpIn("CA", "FR").text(), HasSubstr("n'est pas un service d'urgence"));
  for (const char* other : {"", "de", "xx-YY", "?"}) {
    EXPECT_EQ(HelpIn("US", other).language(), "en") << other;
  }
  const v1::CrisisHelp spanish = HelpIn("US", "es");
  bool found = false;
  for (const v1::CrisisLine& line : spanish.lines()) {
    found |= line.note() == "Orientación e información, no terapia. TTY 1-800-487-4889";
  }
  EXPECT_TRUE(found);
}

TEST(CrisisTableTest, EveryFaultOfAFileIsNamedAtOnce) {
  const absl::Status status = Parsed(
      "rows { country: \"us\" name: \"A\" }\n"
      "rows { country: \"DE\" kind: CRISIS_LINE_KIND_EMERGENCY name: \"B\" contacts { kind: "
      "CRISIS_CONTACT_KIND_CALL value: \"call me\" } verified_on { year: 2027 month: 1 day: 1 } }\n"
      "rows { country: \"DE\" kind: CRISIS_LINE_KIND_EMERGENCY name: \"B\" contacts { kind: "
      "CRISIS_CONTACT_KIND_WEB value: \"http://x.example\" } notes { language: \"es\" text: \"x\" "
      "} languages: \"?\" source: \"s\" verified_on { year: 2026 month: 2 day: 30 } }\n");
  EXPECT_TRUE(HasReason(status, reason::kConfigurationInvalid));
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("us \"A\": its country is not two capital letters"),
            HasSubstr("it has no known kind"), HasSubstr("it has not 1 to 8 contacts"),
            HasSubstr("DE \"B\": a number has other signs"),
            HasSubstr("verified_on lies in the future"), HasSubstr("dated and names no source"),
            HasSubstr("a page is no https address"), HasSubstr("first note is not in English")));
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("a language that is none"), HasSubstr("verified_on is no day"),
                    HasSubstr("DE \"B\" is there twice")));
}

TEST(CrisisTableTest, ATextThatIsNoTableIsNamedByItsLine) {
  EXPECT_THAT(std::string(Parsed("rows {\n  nonsense: 1\n}").message()), HasSubstr("line 2"));
}

TEST(CrisisTableTest, AnOperatorsFileReplacesAddsAndWithdraws) {
  testing::TemporaryDirectory folder;
  const std::string path = folder.path() + "/crisis.textproto";
  std::ofstream(path)
      << "rows { country: \"US\" kind: CRISIS_LINE_KIND_EMERGENCY name: "
         "\"Emergency services\" contacts { kind: CRISIS_CONTACT_KIND_CALL value: "
         "\"911\" } source: \"called\" verified_on { year: 2026 month: 11 day: 1 "
         "} }\n"
         "rows { country: \"NL\" kind: CRISIS_LINE_KIND_SUICIDE_CRISIS name: "
         "\"A line\" contacts { kind: CRISIS_CONTACT_KIND_CALL value: \"0800\" } }\n"
         "rows { country: \"GB\" name: \"FRANK (drugs)\" withdrawn: true }\n";
  const auto table = LoadCrisisTable(path, kToday);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->rows_size(), BuiltInCrisisTable().rows_size());  // one more, one less
  v1::CrisisHelp help;
  FillCrisisHelp(*table, "US", "en", &help);
  EXPECT_EQ(help.lines(0).verification(), v1::CRISIS_VERIFICATION_DATED);
  FillCrisisHelp(*table, "NL", "en", &help);
  EXPECT_EQ(help.country(), "NL");
  help.Clear();
  FillCrisisHelp(*table, "GB", "en", &help);
  for (const v1::CrisisLine& line : help.lines()) EXPECT_NE(line.name(), "FRANK (drugs)");
}

TEST(CrisisTableTest, AFileCannotTakeEverythingAwayNorWithdrawWhatIsNotThere) {
  v1::CrisisTable base;
  *base.add_rows() = BuiltInCrisisTable().rows(BuiltInCrisisTable().rows_size() - 1);
  ASSERT_EQ(base.rows(0).country(), "ZZ");
  v1::CrisisTable rows;
  rows.add_rows()->set_country("ZZ");
  rows.mutable_rows(0)->set_name(base.rows(0).name());
  rows.mutable_rows(0)->set_withdrawn(true);
  *rows.add_rows() = rows.rows(0);
  rows.mutable_rows(1)->set_name("never was");
  EXPECT_THAT(std::string(OverrideCrisisTable(base, rows, "file").status().message()),
              AllOf(HasSubstr("there is no such row"), HasSubstr("no row is left for everywhere")));
}

TEST(CrisisTableTest, AFileThatIsNotThereSaysSo) {
  EXPECT_THAT(std::string(LoadCrisisTable("/nowhere/x", kToday).status().message()),
              HasSubstr("cannot be read"));
}

TEST(CrisisTableTest, TheAgeIsThatOfTheDatedRows) {
  const auto table = ParseCrisisTable(
      Row("source: \"s\" verified_on { year: 2026 month: 11 day: 1 }") +
          "rows { country: \"US\" kind: CRISIS_LINE_KIND_DIRECTORY name: \"Old\" contacts { kind: "
          "CRISIS_CONTACT_KIND_CALL value: \"12\" } source: \"s\" verified_on { year: 2026 month: "
          "5 "
          "day: 25 } }\n"
          "rows { country: \"US\" kind: CRISIS_LINE_KIND_DIRECTORY name: \"None\" contacts { kind: "
          "CRISIS_CONTACT_KIND_CALL value: \"12\" } }\n",
      "file", kToday);
  ASSERT_TRUE(table.ok()) << table.status();
  const CrisisTableAge age = AgeOf(*table, kToday);
  EXPECT_EQ(age.rows, 3);
  EXPECT_EQ(age.undated, 1);
  EXPECT_EQ(age.stale, 1);
  EXPECT_EQ(age.oldest_days, 181);
  EXPECT_EQ(AgeOf(*table, kToday - 1).stale, 0);  // 180 days are still fresh
}

}  // namespace
}  // namespace handrail::matching
