#include "tools/handrail/client/words.h"

#include <gtest/gtest.h>

#include "handrail/common/v1/traits.pb.h"
#include "handrail/matching/v1/matching.pb.h"
#include "tools/handrail/client/profile_words.h"

namespace handrail::tools {
namespace {

TEST(WordsTest, EveryValueOfAnEnumHasAWordThatReadsBack) {
  const auto* descriptor = google::protobuf::GetEnumDescriptor<common::v1::Philosophy>();
  for (int i = 1; i < descriptor->value_count(); ++i) {
    const int number = descriptor->value(i)->number();
    const auto back = NumberOf(descriptor, WordOf(descriptor, number));
    ASSERT_TRUE(back.ok()) << WordOf(descriptor, number);
    EXPECT_EQ(*back, number);
  }
  EXPECT_EQ(Word(common::v1::PHILOSOPHY_TWELVE_STEP_AA), "aa");
  EXPECT_EQ(Word(matching::v1::END_REASON_SPONSOR_RETURN_TO_USE), "sponsor-return-to-use");
}

TEST(WordsTest, AWordThatIsNoneIsRefusedWithTheOnesThatAre) {
  const auto answer = FromWord<common::v1::Gender>("nobody");
  EXPECT_TRUE(HasReason(answer.status(), reason::kEnumUnknown));
  EXPECT_NE(answer.status().message().find("woman, man, non-binary, another"), std::string::npos);
  EXPECT_FALSE(FromWord<common::v1::Gender>("unspecified").ok());
}

TEST(ProfileWordsTest, HoursAreReadByDaysAndTimes) {
  const auto week = ParseHours("mon-fri 18:00-21:30");
  ASSERT_TRUE(week.ok()) << week.status();
  ASSERT_EQ(week->size(), 5u);
  EXPECT_EQ(week->at(4).iso_weekday(), 5);
  EXPECT_EQ(week->at(0).start_minute(), 18 * 60);
  EXPECT_EQ(week->at(0).length_minutes(), 210);
  const auto night = ParseHours("Sat 22:00-02:00");
  ASSERT_TRUE(night.ok()) << night.status();
  EXPECT_EQ(night->at(0).length_minutes(), 240);
}

TEST(ProfileWordsTest, HoursThatAreNoneAreRefused) {
  for (const char* text :
       {"", "mon", "mon 18:00", "fri-mon 10:00-11:00", "day 10:00-11:00", "mon 25:00-26:00",
        "mon 10:00-10:00", "mon 10:60-11:00", "mon 24:00-01:00", "mon-tue-wed 10:00-11:00"}) {
    EXPECT_TRUE(HasReason(ParseHours(text).status(), reason::kFieldInvalid)) << text;
  }
}

TEST(ProfileWordsTest, DaysMustExist) {
  const auto day = ParseDate("2019-04-30");
  ASSERT_TRUE(day.ok()) << day.status();
  EXPECT_EQ(day->month(), 4);
  EXPECT_FALSE(ParseDate("2019-04-31").ok());
  EXPECT_FALSE(ParseDate("yesterday").ok());
  // A year that would be 2019 in 32 bits, and years that the API has not.
  EXPECT_FALSE(ParseDate("4294969315-01-01").ok());
  EXPECT_FALSE(ParseDate("10000-01-01").ok());
  EXPECT_FALSE(ParseDate("-1-01-01").ok());
}

TEST(ProfileWordsTest, WordsBecomeTraits) {
  PersonWords words;
  words.languages = {"es"};
  words.time_zone = "America/Bogota";
  words.hours = {"sat 10:00-12:00"};
  words.modalities = {"app-text", "voice"};
  words.gender = "non-binary";
  words.age_band = "25-34";
  const auto traits = ToTraits(words);
  ASSERT_TRUE(traits.ok()) << traits.status();
  EXPECT_EQ(traits->gender(), common::v1::GENDER_NON_BINARY);
  EXPECT_EQ(traits->age_band(), common::v1::AGE_BAND_25_34);
  EXPECT_EQ(traits->modalities_size(), 2);
  EXPECT_EQ(traits->spiritual_stance(), common::v1::SPIRITUAL_STANCE_UNSPECIFIED);
  words.gender = "dragon";
  EXPECT_FALSE(ToTraits(words).ok());
}

}  // namespace
}  // namespace handrail::tools
