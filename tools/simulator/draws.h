#ifndef HANDRAIL_TOOLS_SIMULATOR_DRAWS_H_
#define HANDRAIL_TOOLS_SIMULATOR_DRAWS_H_

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <numbers>

// Chance that does not depend on the order of events: what is drawn follows from the seed and from
// what it is drawn for, so that the same sponsor gives the same answer to the same newcomer
// whatever policy brought them together.
namespace handrail::simulator {

// What a draw is for.
enum class Draw : uint64_t { kAccepts = 1, kDelay = 2, kHold = 3, kAnyOrder = 4 };

// SplitMix64 over the numbers.
inline uint64_t MixOf(uint64_t seed, Draw what, std::initializer_list<uint64_t> numbers) {
  uint64_t state = seed * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(what);
  const auto mix = [&state] {
    state += 0x9e3779b97f4a7c15u;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return state = z ^ (z >> 31);
  };
  mix();
  for (const uint64_t number : numbers) {
    state ^= number * 0xd1342543de82ef95u;
    mix();
  }
  return state;
}

// Uniform in (0, 1].
inline double UnitOf(uint64_t bits) { return (static_cast<double>(bits >> 11) + 1) * 0x1p-53; }

// Normal with mean 0 and deviation 1, of two uniform draws (Box and Muller).
inline double NormalOf(double a, double b) {
  return std::sqrt(-2 * std::log(a)) * std::cos(2 * std::numbers::pi * b);
}

}  // namespace handrail::simulator

#endif  // HANDRAIL_TOOLS_SIMULATOR_DRAWS_H_
