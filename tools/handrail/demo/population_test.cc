#include "tools/handrail/demo/population.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/testing/seeded_random.h"
#include "common/testing/temporary_directory.h"
#include "tools/handrail/client/endpoints.h"

namespace handrail::tools {
namespace {

constexpr char kSample[] = "tools/handrail/demo/sample_meetings.json";

TEST(PopulationTest, TheSampleOfOurOwnHasZonesLanguagesAndHours) {
  const auto directory = ReadSampleDirectory(kSample);
  ASSERT_TRUE(directory.ok()) << directory.status();
  EXPECT_GE(directory->meetings.size(), 30u);
  testing::SeededRandom random(1);
  const Population people = DrawPopulation(*directory, random, absl::CivilDay(2026, 3, 1), 200, 48);
  EXPECT_EQ(people.newcomers.size(), 200u);
  EXPECT_EQ(people.sponsors.size(), 48u);
  EXPECT_GE(people.programs, 3u);
  EXPECT_GE(people.languages, 2u);
  EXPECT_GE(people.zones, 3u);
}

TEST(PopulationTest, TheSameSeedDrawsTheSamePeople) {
  const auto directory = ReadSampleDirectory(kSample);
  ASSERT_TRUE(directory.ok());
  testing::SeededRandom one(7);
  testing::SeededRandom two(7);
  const Population a = DrawPopulation(*directory, one, absl::CivilDay(2026, 3, 1), 30, 10);
  const Population b = DrawPopulation(*directory, two, absl::CivilDay(2026, 3, 1), 30, 10);
  for (size_t i = 0; i < 30; ++i) {
    EXPECT_EQ(a.newcomers[i].traits.SerializeAsString(), b.newcomers[i].traits.SerializeAsString());
  }
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(a.sponsors[i].capacity, b.sponsors[i].capacity);
}

TEST(PopulationTest, RowsOfWildFeedsAreReadOrLeftOut) {
  const testing::TemporaryDirectory folder;
  ASSERT_TRUE(WriteFileAtomically(folder.File("feed.json"), R"([
    {"name": "a", "day": "0", "time": "07:30", "types": ["S"], "region": "x"},
    {"name": "b", "day": 6, "time": "20:00:00", "types": "O"},
    {"name": "c", "day": [1, 2], "time": "20:00"},
    {"name": "by appointment"},
    {"name": "d", "day": 3, "time": "25:00"},
    17, null, "text", []
  ])")
                  .ok());
  const auto directory = ReadSampleDirectory(folder.File("feed.json"));
  ASSERT_TRUE(directory.ok()) << directory.status();
  ASSERT_EQ(directory->meetings.size(), 2u);
  EXPECT_EQ(directory->meetings[0].iso_weekday, 7);
  EXPECT_EQ(directory->meetings[0].language, "es");
  EXPECT_EQ(directory->meetings[1].iso_weekday, 6);
  EXPECT_EQ(directory->meetings[1].start_minute, 20 * 60);
}

TEST(PopulationTest, DaysFarFromTheWeekAreLeftOut) {
  Directory directory;
  // 3 and 1 in 32 bits.
  AddMeetingGuideFeed(R"([{"day": 4294967299, "time": "10:00"},
                          {"day": -18446744073709551615, "time": "10:00"}])",
                      "America/Chicago", directory);
  AddBmltFeed(R"([{"weekday_tinyint": "-2147483648", "start_time": "10:00"},
                  {"weekday_tinyint": "8", "start_time": "10:00"}])",
              directory);
  EXPECT_TRUE(directory.meetings.empty());
}

TEST(PopulationTest, ADirectoryWithoutMeetingsIsRefusedAndAMissingOneIsEmpty) {
  const testing::TemporaryDirectory folder;
  ASSERT_TRUE(WriteFileAtomically(folder.File("feed.json"), "{").ok());
  EXPECT_FALSE(ReadSampleDirectory(folder.File("feed.json")).ok());
  EXPECT_FALSE(ReadSampleDirectory(folder.File("none.json")).ok());
  EXPECT_TRUE(ReadRealDirectories(folder.File("none")).meetings.empty());
}

}  // namespace
}  // namespace handrail::tools
