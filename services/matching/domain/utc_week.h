#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_UTC_WEEK_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_UTC_WEEK_H_

#include <array>
#include <bit>
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
  int OverlapMinutes(const UtcWeek& other) const {
    int count = 0;
    for (size_t i = 0; i < kWords; ++i) count += std::popcount(words_[i] & other.words_[i]);
    return count * kSlotMinutes;
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
