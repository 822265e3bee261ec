#include "services/matching/domain/utc_week.h"

#include <algorithm>

#include "absl/time/civil_time.h"

namespace handrail::matching {
namespace {

constexpr int64_t kSlotSeconds = UtcWeek::kSlotMinutes * 60;

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

// A window over which the clock changes, a quarter hour at a time: those in which the clock shows
// times of the window throughout. What is skipped never shows, what is repeated shows twice, and
// between two showings of a time there may be others that are not of the window.
void MarkByTheClock(absl::TimeZone zone, absl::CivilSecond from, absl::CivilSecond until,
                    absl::Time week_start, UtcWeek& week) {
  constexpr absl::Duration kSlot = absl::Minutes(UtcWeek::kSlotMinutes);
  const absl::TimeZone::TimeInfo begin = zone.At(from);
  const absl::TimeZone::TimeInfo end = zone.At(until);
  const int first = SlotFloor(std::min(begin.pre, begin.post) - week_start);
  const int last = SlotCeil(std::max(end.pre, end.post) - week_start);
  for (int slot = first; slot < last; ++slot) {
    bool whole = true;
    for (absl::Duration in = absl::ZeroDuration(); in < kSlot; in += absl::Minutes(1)) {
      const absl::CivilSecond shown = zone.At(week_start + slot * kSlot + in).cs;
      whole = whole && shown >= from && shown < until;
    }
    if (whole) week.Mark(slot, slot + 1);
  }
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
      const absl::TimeZone::TimeInfo begin = zone.At(from);
      const absl::TimeZone::TimeInfo end = zone.At(until);
      if (begin.kind == absl::TimeZone::TimeInfo::UNIQUE &&
          end.kind == absl::TimeZone::TimeInfo::UNIQUE &&
          end.pre - begin.pre == absl::Seconds(until - from)) {
        week.Mark(SlotCeil(begin.pre - week_start), SlotFloor(end.pre - week_start));
      } else {
        MarkByTheClock(zone, from, until, week_start, week);
      }
    }
  }
  return week;
}

}  // namespace handrail::matching
