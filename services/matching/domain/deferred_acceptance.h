#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_DEFERRED_ACCEPTANCE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_DEFERRED_ACCEPTANCE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

// Gale and Shapley's deferred acceptance with capacities (hospitals and residents), newcomers
// proposing. The outcome is stable, and every newcomer has the best sponsor of any stable outcome.
namespace handrail::matching {

// A pair that both would enter, and how each of the two values it; only the order of values
// counts. A pair that is not here is acceptable to neither.
struct Preference {
  uint32_t newcomer = 0;
  uint32_t sponsor = 0;
  int64_t newcomer_value = 0;
  int64_t sponsor_value = 0;
};

// Equal values are told apart by the lower number of the other, so that preferences are strict.
struct Market {
  size_t newcomer_count = 0;
  std::vector<int> seats;               // by sponsor, not negative
  std::vector<Preference> preferences;  // at most one for each pair
};

inline constexpr int32_t kUnplaced = -1;

// By newcomer the sponsor, or kUnplaced. Deterministic. O(preferences log preferences).
std::vector<int32_t> DeferredAcceptance(const Market& market);

// Pairs of the market who are not together although each of them would rather be: the newcomer has
// nobody or somebody less liked, the sponsor has a free seat or somebody less liked in one. 0 means
// stable. O(preferences log preferences).
int64_t CountBlockingPairs(const Market& market, const std::vector<int32_t>& sponsor_of);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_DEFERRED_ACCEPTANCE_H_
