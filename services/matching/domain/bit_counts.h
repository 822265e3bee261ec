#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_BIT_COUNTS_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_BIT_COUNTS_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace handrail::matching {

// Of sets of at most 16: a call to count bits costs more than the rest of a factor where the
// processor's own instruction cannot be taken for granted.
inline constexpr auto kBitCounts = [] {
  std::array<uint8_t, 256> counts{};
  for (size_t bits = 1; bits < counts.size(); ++bits) {
    counts[bits] = static_cast<uint8_t>(counts[bits / 2] + bits % 2);
  }
  return counts;
}();
constexpr size_t CountBits(uint32_t bits) {
  return size_t{kBitCounts[bits & 255]} + kBitCounts[(bits >> 8) & 255];
}

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_BIT_COUNTS_H_
