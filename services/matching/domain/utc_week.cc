#include "services/matching/domain/utc_week.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "absl/time/civil_time.h"

namespace handrail::matching {
namespace {

constexpr int64_t kSlotSeconds = UtcWeek::kSlotMinutes * 60;

int IsoWeekday(absl::CivilDay day) { return static_cast<int>(absl::GetWeekday(day)) + 1; }

// The quarter hour of the local week that a clock shows.
uint16_t LocalSlot(absl::CivilSecond shown) {
  const int minute =
      (IsoWeekday(absl::CivilDay(shown)) - 1) * 1440 + shown.hour() * 60 + shown.minute();
  return static_cast<uint16_t>(minute / UtcWeek::kSlotMinutes);
}

}  // namespace

void UtcWeek::Mark(int first, int end) {
  first = std::max(first, 0);
  end = std::min(end, kSlots);
  while (first < end) {
    const int count = std::min(64 - first % 64, end - first);
    const uint64_t bits = count == 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
    words_[static_cast<size_t>(first) / 64] |= bits << (first % 64);
    first += count;
  }
}

int UtcWeek::Next(int slot, uint64_t flip) const {
  if (slot >= kSlots) return kSlots;
  auto word = static_cast<size_t>(slot) / 64;
  uint64_t bits = (words_[word] ^ flip) & (~uint64_t{0} << (slot % 64));
  while (bits == 0 && ++word < kWords) bits = words_[word] ^ flip;
  if (bits == 0) return kSlots;
  return std::min(kSlots, static_cast<int>(word) * 64 + std::countr_zero(bits));
}

UtcWeek UtcWeek::Rotated(int slots) const {
  const int by = ((slots % kSlots) + kSlots) % kSlots;
  if (by == 0) return *this;
  UtcWeek week;
  for (int first = NextMarked(0); first < kSlots;) {
    const int end = NextFree(first);
    week.Mark(first + by, end + by);
    week.Mark(first + by - kSlots, end + by - kSlots);
    first = NextMarked(end);
  }
  return week;
}

absl::Time UtcWeekStart(absl::Time now) {
  const absl::CivilDay today = absl::ToCivilDay(now, absl::UTCTimeZone());
  return absl::FromCivil(today - (IsoWeekday(today) - 1), absl::UTCTimeZone());
}

UtcWeek MakeLocalWeek(absl::Span<const WeeklyWindow> windows) {
  UtcWeek week;
  for (const WeeklyWindow& window : windows) {
    if (window.iso_weekday < 1 || window.iso_weekday > 7) continue;
    const int start = (window.iso_weekday - 1) * 1440 + window.start_minute;
    const int end = start + window.length_minutes;
    const int first = (start + UtcWeek::kSlotMinutes - 1) / UtcWeek::kSlotMinutes;
    const int last = end / UtcWeek::kSlotMinutes;
    week.Mark(first, last);
    week.Mark(first - UtcWeek::kSlots, last - UtcWeek::kSlots);
  }
  return week;
}

ZoneWeek::ZoneWeek(absl::TimeZone zone, absl::Time week_start) {
  const int offset = zone.At(week_start).offset;
  offset_slots_ = offset / static_cast<int>(kSlotSeconds);
  absl::TimeZone::CivilTransition change;
  const bool changes = zone.NextTransition(week_start - absl::Seconds(1), &change) &&
                       zone.At(change.to).trans <= week_start + absl::Hours(168);
  if (!changes && offset % kSlotSeconds == 0) return;
  shown_.resize(UtcWeek::kSlots);
  for (int slot = 0; slot < UtcWeek::kSlots; ++slot) {
    Shown& shown = shown_[static_cast<size_t>(slot)];
    const absl::Time begin = week_start + slot * absl::Minutes(UtcWeek::kSlotMinutes);
    const absl::TimeZone::CivilInfo info = zone.At(begin);
    shown.fill(LocalSlot(info.cs));
    const bool steady =
        info.offset % kSlotSeconds == 0 && zone.At(begin + absl::Minutes(14)).offset == info.offset;
    size_t count = 1;
    for (int minute = 1; minute < UtcWeek::kSlotMinutes && count < shown.size() && !steady;
         ++minute) {
      const uint16_t local = LocalSlot(zone.At(begin + absl::Minutes(minute)).cs);
      if (local == shown.back()) continue;
      std::fill(shown.begin() + static_cast<std::ptrdiff_t>(count++), shown.end(), local);
    }
  }
}

UtcWeek ZoneWeek::ToUtc(const UtcWeek& local) const {
  if (IsUniform()) return local.Rotated(-offset_slots_);
  UtcWeek week;
  for (int slot = 0; slot < UtcWeek::kSlots; ++slot) {
    const Shown& shown = shown_[static_cast<size_t>(slot)];
    const bool whole = std::all_of(shown.begin(), shown.end(),
                                   [&local](uint16_t one) { return local.Contains(one); });
    if (whole) week.Mark(slot, slot + 1);
  }
  return week;
}

UtcWeek MakeUtcWeek(absl::Span<const WeeklyWindow> windows, absl::TimeZone zone,
                    absl::Time week_start) {
  return ZoneWeek(zone, week_start).ToUtc(MakeLocalWeek(windows));
}

// ---- WeekHours ----

WeekHours::WeekHours(const UtcWeek& week) {
  size_t count = 0;
  for (int slot = week.NextMarked(0); slot < UtcWeek::kSlots; ++count) {
    slot = week.NextMarked(week.NextFree(slot));
  }
  uint16_t* runs = Reserve(count);
  for (int slot = week.NextMarked(0); slot < UtcWeek::kSlots;) {
    const int end = week.NextFree(slot);
    *runs++ = static_cast<uint16_t>(slot);
    *runs++ = static_cast<uint16_t>(end);
    slot = week.NextMarked(end);
  }
}

// The pointer lies in the bytes of the runs that it takes the place of.
const uint16_t* WeekHours::Runs() const {
  if (IsInline()) return inline_.data();
  const uint16_t* heap = nullptr;
  std::memcpy(&heap, inline_.data(), sizeof(heap));
  return heap;
}

uint16_t* WeekHours::Reserve(size_t count) {
  Clear();
  count_ = static_cast<uint16_t>(count);
  if (IsInline()) return inline_.data();
  auto* const heap = new uint16_t[2 * count];
  std::memcpy(inline_.data(), &heap, sizeof(heap));
  return heap;
}

void WeekHours::Clear() {
  if (!IsInline()) delete[] Runs();
  count_ = 0;
}

WeekHours& WeekHours::operator=(const WeekHours& other) {
  if (this == &other) return *this;
  const size_t count = other.count_;
  std::copy_n(other.Runs(), 2 * count, Reserve(count));
  return *this;
}

WeekHours& WeekHours::operator=(WeekHours&& other) noexcept {
  if (this == &other) return *this;
  Clear();
  inline_ = other.inline_;
  count_ = std::exchange(other.count_, 0);
  return *this;
}

UtcWeek WeekHours::ToWeek() const {
  UtcWeek week;
  ForEachRun([&week](int first, int end) { week.Mark(first, end); });
  return week;
}

int WeekHours::OverlapMinutes(const WeekHours& other) const {
  const uint16_t* a = Runs();
  const uint16_t* b = other.Runs();
  const uint16_t* const a_end = a + size_t{2} * count_;
  const uint16_t* const b_end = b + size_t{2} * other.count_;
  int slots = 0;
  while (a != a_end && b != b_end) {
    slots += std::max(0, std::min<int>(a[1], b[1]) - std::max<int>(a[0], b[0]));
    if (a[1] < b[1]) {
      a += 2;
    } else {
      b += 2;
    }
  }
  return slots * UtcWeek::kSlotMinutes;
}

}  // namespace handrail::matching
