#include "services/matching/domain/utc_week.h"

#include <algorithm>

#include "absl/time/civil_time.h"

namespace handrail::matching {
namespace {

constexpr int64_t kSlotSeconds = UtcWeek::kSlotMinutes * 60;

// A local time that daylight saving skips is the moment of the change; of one that it repeats, a
// start takes the first and an end the second.
absl::Time StartOf(absl::TimeZone zone, absl::CivilSecond local) {
  const absl::TimeZone::TimeInfo info = zone.At(local);
  return info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre;
}
absl::Time EndOf(absl::TimeZone zone, absl::CivilSecond local) {
  const absl::TimeZone::TimeInfo info = zone.At(local);
  return info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.post;
}

int IsoWeekday(absl::CivilDay day) { return static_cast<int>(absl::GetWeekday(day)) + 1; }

// Rounds towards the inside of the window.
int SlotCeil(absl::Duration since) {
  const int64_t seconds = absl::ToInt64Seconds(absl::Ceil(since, absl::Seconds(1)));
  const int64_t slot = seconds > 0 ? (seconds + kSlotSeconds - 1) / kSlotSeconds : 0;
  return static_cast<int>(std::min<int64_t>(slot, UtcWeek::kSlots));
}
int SlotFloor(absl::Duration since) {
  const int64_t seconds = absl::ToInt64Seconds(absl::Floor(since, absl::Seconds(1)));
  const int64_t slot = seconds > 0 ? seconds / kSlotSeconds : 0;
  return static_cast<int>(std::min<int64_t>(slot, UtcWeek::kSlots));
}

}  // namespace

void UtcWeek::Mark(int first, int end) {
  for (int slot = std::max(first, 0); slot < std::min(end, kSlots); ++slot) {
    words_[static_cast<size_t>(slot) / 64] |= uint64_t{1} << (slot % 64);
  }
}

absl::Time UtcWeekStart(absl::Time now) {
  const absl::CivilDay today = absl::ToCivilDay(now, absl::UTCTimeZone());
  return absl::FromCivil(today - (IsoWeekday(today) - 1), absl::UTCTimeZone());
}

UtcWeek MakeUtcWeek(absl::Span<const WeeklyWindow> windows, absl::TimeZone zone,
                    absl::Time week_start) {
  UtcWeek week;
  const absl::CivilDay first_day = absl::ToCivilDay(week_start, zone);
  for (const WeeklyWindow& window : windows) {
    // From the day before, whose windows may run past midnight, to the last local day of the week.
    for (int day = -1; day <= 7; ++day) {
      const absl::CivilDay date = first_day + day;
      if (IsoWeekday(date) != window.iso_weekday) continue;
      const absl::CivilSecond from =
          absl::CivilSecond(date) + int64_t{60} * int64_t{window.start_minute};
      const absl::CivilSecond until = from + int64_t{60} * int64_t{window.length_minutes};
      week.Mark(SlotCeil(StartOf(zone, from) - week_start),
                SlotFloor(EndOf(zone, until) - week_start));
    }
  }
  return week;
}

}  // namespace handrail::matching
