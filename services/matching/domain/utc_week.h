#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_UTC_WEEK_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_UTC_WEEK_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "services/matching/domain/traits.h"

namespace handrail::matching {

// The quarter hours of one particular week, Monday 00:00 UTC to the next, in which somebody can be
// in touch: 672 bits. Two of the same week are compared by counting bits.
class UtcWeek {
 public:
  static constexpr int kSlotMinutes = 15;
  static constexpr int kSlots = 7 * 24 * 60 / kSlotMinutes;
  static constexpr size_t kWords = (kSlots + 63) / 64;

  // Marks [first, end) of 0..kSlots; what lies outside is ignored.
  void Mark(int first, int end);
  // The same moved on by `slots` (of either sign), around the end of the week.
  UtcWeek Rotated(int slots) const;
  // The next slot at or after `slot` that is marked, or is not; kSlots when there is none.
  int NextMarked(int slot) const { return Next(slot, 0); }
  int NextFree(int slot) const { return Next(slot, ~uint64_t{0}); }
  bool Contains(int slot) const {
    return ((words_[static_cast<size_t>(slot) / 64] >> (slot % 64)) & 1u) != 0;
  }
  int Minutes() const { return OverlapMinutes(*this); }
  // In every pair that is scored, so it counts all words at once, a byte at a time: without the
  // processor's own instruction (which plain x86-64 does not promise) std::popcount is a call a
  // word.
  int OverlapMinutes(const UtcWeek& other) const {
    constexpr uint64_t kPairs = 0x5555555555555555u;
    constexpr uint64_t kNibbles = 0x3333333333333333u;
    constexpr uint64_t kBytes = 0x0f0f0f0f0f0f0f0fu;
    static_assert(kWords * 8 < 256, "a byte holds the sum of its column");
    uint64_t sums = 0;
    for (size_t i = 0; i < kWords; ++i) {
      uint64_t bits = words_[i] & other.words_[i];
      bits -= (bits >> 1) & kPairs;
      bits = (bits & kNibbles) + ((bits >> 2) & kNibbles);
      sums += (bits + (bits >> 4)) & kBytes;
    }
    // The bytes' sum may pass 255: add in 16-bit columns.
    constexpr uint64_t kEven = 0x00ff00ff00ff00ffu;
    const uint64_t columns = (sums & kEven) + ((sums >> 8) & kEven);
    return static_cast<int>((columns * 0x0001000100010001u) >> 48) * kSlotMinutes;
  }

  friend bool operator==(const UtcWeek&, const UtcWeek&) = default;

 private:
  int Next(int slot, uint64_t flip) const;

  std::array<uint64_t, kWords> words_{};
};

// The same hours as runs of quarter hours, in a third of the space: a week has as many runs as a
// person named windows that do not touch. Up to kInlineRuns need no memory of their own.
class WeekHours {
 public:
  static constexpr int kInlineRuns = 11;

  WeekHours() = default;
  explicit WeekHours(const UtcWeek& week);
  WeekHours(const WeekHours& other) { *this = other; }
  WeekHours(WeekHours&& other) noexcept { *this = std::move(other); }
  WeekHours& operator=(const WeekHours& other);
  WeekHours& operator=(WeekHours&& other) noexcept;
  ~WeekHours() { Clear(); }

  UtcWeek ToWeek() const;
  int OverlapMinutes(const WeekHours& other) const;
  // Every [first, end), in rising order.
  template <typename Visit>
  void ForEachRun(Visit visit) const {
    const uint16_t* runs = Runs();
    for (size_t i = 0; i < count_; ++i) visit(int{runs[2 * i]}, int{runs[2 * i + 1]});
  }
  // What it holds beside itself.
  size_t HeapBytes() const { return IsInline() ? 0 : size_t{4} * count_; }

 private:
  bool IsInline() const { return count_ <= kInlineRuns; }
  const uint16_t* Runs() const;
  uint16_t* Reserve(size_t count);
  void Clear();

  // Ends of the runs, or, of more than kInlineRuns, where they are.
  std::array<uint16_t, size_t{2} * kInlineRuns> inline_{};
  uint16_t count_ = 0;
};
static_assert(sizeof(WeekHours) == 46);

// The Monday 00:00 UTC on or before `now`.
absl::Time UtcWeekStart(absl::Time now);

// The quarter hours that `windows` cover whole, on the local clock, Monday 00:00 to the next: a
// window that runs past the end goes on at the beginning.
UtcWeek MakeLocalWeek(absl::Span<const WeeklyWindow> windows);

// What a zone's clock does in one week.
class ZoneWeek {
 public:
  ZoneWeek() = default;
  ZoneWeek(absl::TimeZone zone, absl::Time week_start);

  // The UTC hours of local ones: those in which the clock shows marked quarter hours throughout.
  // What the clock skips never shows, what it repeats shows twice.
  UtcWeek ToUtc(const UtcWeek& local) const;
  // The clock does not change in this week; then there is a way back.
  bool IsUniform() const { return shown_.empty(); }
  UtcWeek ToLocal(const UtcWeek& utc) const { return utc.Rotated(offset_slots_); }
  int offset_slots() const { return offset_slots_; }

 private:
  using Shown = std::array<uint16_t, 3>;  // a clock may change within a quarter hour

  int offset_slots_ = 0;      // where it is uniform
  std::vector<Shown> shown_;  // else: what the clock shows in each quarter hour
};

// The hours that `windows` in `zone` come to in the week that starts at `week_start`. A window
// follows the local clock: hours that daylight saving skips do not exist, hours that it repeats
// count twice. A quarter hour counts only when the whole of it is covered.
UtcWeek MakeUtcWeek(absl::Span<const WeeklyWindow> windows, absl::TimeZone zone,
                    absl::Time week_start);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_UTC_WEEK_H_
