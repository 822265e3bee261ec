#include "services/matching/domain/utc_week.h"

#include <string>

#include "gtest/gtest.h"

namespace handrail::matching {
namespace {

absl::TimeZone Zone(const char* name) {
  absl::TimeZone zone;
  EXPECT_TRUE(absl::LoadTimeZone(name, &zone)) << name;
  return zone;
}

absl::Time Utc(int year, int month, int day, int hour = 0, int minute = 0) {
  return absl::FromCivil(absl::CivilMinute(year, month, day, hour, minute), absl::UTCTimeZone());
}

WeeklyWindow Window(int weekday, int hour, int minutes) {
  return {static_cast<uint8_t>(weekday), static_cast<int16_t>(hour * 60),
          static_cast<int16_t>(minutes)};
}

int Overlap(const char* zone_a, WeeklyWindow a, const char* zone_b, WeeklyWindow b,
            absl::Time week) {
  return MakeUtcWeek({a}, Zone(zone_a), week).OverlapMinutes(MakeUtcWeek({b}, Zone(zone_b), week));
}

// The slot of an instant in its week.
int SlotOf(absl::Time time) {
  return static_cast<int>((time - UtcWeekStart(time)) / absl::Minutes(UtcWeek::kSlotMinutes));
}

TEST(UtcWeekTest, AWeekStartsOnMondayInUtc) {
  const absl::Time monday = Utc(2026, 3, 2);
  EXPECT_EQ(UtcWeekStart(monday), monday);
  EXPECT_EQ(UtcWeekStart(monday - absl::Nanoseconds(1)), Utc(2026, 2, 23));
  EXPECT_EQ(UtcWeekStart(Utc(2026, 3, 8, 23, 59)), monday);
}

TEST(UtcWeekTest, NewYorkAndLondonDriftApartBetweenTheirChangesInMarch) {
  // 14-16 in New York is 19-21 in London in winter, 18-20 from 8 to 29 March, and 19-21 in summer.
  const WeeklyWindow new_york = Window(3, 14, 120);
  const WeeklyWindow london = Window(3, 19, 120);
  const auto overlap = [&](absl::Time week) {
    return Overlap("America/New_York", new_york, "Europe/London", london, week);
  };
  EXPECT_EQ(overlap(Utc(2026, 3, 2)), 120);
  EXPECT_EQ(overlap(Utc(2026, 3, 9)), 60);
  EXPECT_EQ(overlap(Utc(2026, 3, 23)), 60);
  EXPECT_EQ(overlap(Utc(2026, 3, 30)), 120);
}

TEST(UtcWeekTest, SydneyAndLondonMoveTwoHoursOverTheYear) {
  // 8-10 in Sydney is 21-23 of the day before in London in January (+11), and 23-01 in July (+10,
  // +1).
  const WeeklyWindow sydney = Window(4, 8, 120);
  const WeeklyWindow london = Window(3, 21, 120);
  EXPECT_EQ(Overlap("Australia/Sydney", sydney, "Europe/London", london, Utc(2026, 1, 12)), 120);
  EXPECT_EQ(Overlap("Australia/Sydney", sydney, "Europe/London", london, Utc(2026, 7, 13)), 0);
}

TEST(UtcWeekTest, HoursThatAreSkippedDoNotExist) {
  // New York, Sunday 8 March 2026: 02:00 to 03:00 does not happen.
  const absl::TimeZone zone = Zone("America/New_York");
  const absl::Time week = Utc(2026, 3, 2);
  EXPECT_EQ(MakeUtcWeek({Window(7, 2, 60)}, zone, week).Minutes(), 0);
  EXPECT_EQ(MakeUtcWeek({Window(7, 1, 180)}, zone, week).Minutes(), 120);
  EXPECT_EQ(MakeUtcWeek({Window(7, 1, 180)}, zone, week - absl::Hours(168)).Minutes(), 180);
}

TEST(UtcWeekTest, HoursThatAreRepeatedCountTwice) {
  // New York, Sunday 1 November 2026: 01:00 to 02:00 happens twice.
  const absl::TimeZone zone = Zone("America/New_York");
  EXPECT_EQ(MakeUtcWeek({Window(7, 1, 60)}, zone, Utc(2026, 10, 26)).Minutes(), 120);
  EXPECT_EQ(MakeUtcWeek({Window(7, 0, 240)}, zone, Utc(2026, 10, 26)).Minutes(), 300);
}

TEST(UtcWeekTest, AWindowThatEndsOrBeginsInARepeatedHourHasOnlyItsOwnTimes) {
  // New York, Sunday 1 November 2026: the clock shows 01:30 to 02:00 twice, with 01:00 to 01:30
  // between.
  const absl::TimeZone zone = Zone("America/New_York");
  const absl::Time week = Utc(2026, 10, 26);
  EXPECT_EQ(MakeUtcWeek({{7, 90, 30}}, zone, week).Minutes(), 60);
  EXPECT_EQ(MakeUtcWeek({{7, 30, 60}}, zone, week).Minutes(), 90);
  EXPECT_EQ(MakeUtcWeek({{7, 90, 60}}, zone, week).Minutes(), 90);
  // Lord Howe repeats half an hour: Sunday 5 April 2026, 01:30 to 02:00.
  const absl::TimeZone island = Zone("Australia/Lord_Howe");
  EXPECT_EQ(MakeUtcWeek({{7, 90, 15}}, island, Utc(2026, 3, 30)).Minutes(), 30);
  EXPECT_EQ(MakeUtcWeek({{7, 60, 90}}, island, Utc(2026, 3, 30)).Minutes(), 120);
}

TEST(UtcWeekTest, WindowsRunPastMidnightAndOverTheEdgesOfTheWeek) {
  const absl::Time week = Utc(2026, 6, 1);
  // Sunday 23:00 UTC for 120 minutes: an hour at the end, and the hour that last week's leaves.
  const UtcWeek sunday = MakeUtcWeek({Window(7, 23, 120)}, absl::UTCTimeZone(), week);
  EXPECT_EQ(sunday.Minutes(), 120);
  EXPECT_TRUE(sunday.Contains(0));
  EXPECT_TRUE(sunday.Contains(UtcWeek::kSlots - 1));
  // Monday 08:00 in Kiritimati (+14) is Sunday 18:00 UTC: the Monday of the next local week counts.
  const UtcWeek monday = MakeUtcWeek({Window(1, 8, 60)}, Zone("Pacific/Kiritimati"), week);
  EXPECT_EQ(monday.Minutes(), 60);
  EXPECT_TRUE(monday.Contains(SlotOf(Utc(2026, 6, 7, 18))));
  // The longest window of all, every day: the whole week, in zones far to both sides.
  for (const char* name : {"UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"}) {
    std::vector<WeeklyWindow> all;
    for (int day = 1; day <= 7; ++day) all.push_back(Window(day, 0, 1440));
    EXPECT_EQ(MakeUtcWeek(all, Zone(name), week).Minutes(), 7 * 1440) << name;
  }
}

TEST(UtcWeekTest, OnlyWholeQuarterHoursCount) {
  const WeeklyWindow odd = {1, 10 * 60 + 5, 55};  // 10:05 to 11:00
  EXPECT_EQ(MakeUtcWeek({odd}, absl::UTCTimeZone(), Utc(2026, 6, 1)).Minutes(), 45);
  // Kathmandu is at +05:45: quarter hours there are quarter hours in UTC.
  EXPECT_EQ(MakeUtcWeek({Window(2, 9, 60)}, Zone("Asia/Kathmandu"), Utc(2026, 6, 1)).Minutes(), 60);
}

TEST(UtcWeekTest, MoreHoursNeverMakeLessOverlap) {
  const absl::Time week = Utc(2026, 6, 1);
  const UtcWeek other = MakeUtcWeek({Window(2, 9, 600), Window(5, 20, 300)}, Zone("UTC"), week);
  std::vector<WeeklyWindow> windows;
  int before = 0;
  for (int day = 1; day <= 7; ++day) {
    windows.push_back(Window(day, 8 + day, 200));
    const int now = MakeUtcWeek(windows, Zone("UTC"), week).OverlapMinutes(other);
    EXPECT_GE(now, before);
    before = now;
  }
  EXPECT_GT(before, 0);
}

}  // namespace
}  // namespace handrail::matching
