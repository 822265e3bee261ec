#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_UTC_WEEK_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_UTC_WEEK_H_

#include <array>
#include <cstddef>
#include <cstdint>

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
  std::array<uint64_t, kWords> words_{};
};

// The Monday 00:00 UTC on or before `now`.
absl::Time UtcWeekStart(absl::Time now);

// The hours that `windows` in `zone` come to in the week that starts at `week_start`. A window
// follows the local clock: hours that daylight saving skips do not exist, hours that it repeats
// count twice. A quarter hour counts only when the whole of it is covered.
UtcWeek MakeUtcWeek(absl::Span<const WeeklyWindow> windows, absl::TimeZone zone,
                    absl::Time week_start);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_UTC_WEEK_H_
