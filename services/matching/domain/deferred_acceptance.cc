#include "services/matching/domain/deferred_acceptance.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <limits>
#include <set>
#include <utility>

namespace handrail::matching {
namespace {

// How a sponsor ranks a newcomer: the smallest is liked best.
using SponsorRank = std::pair<int64_t, uint32_t>;

SponsorRank RankBySponsor(const Preference& preference) {
  return {-preference.sponsor_value, preference.newcomer};
}

std::pair<int64_t, uint32_t> RankByNewcomer(const Preference& preference) {
  return {-preference.newcomer_value, preference.sponsor};
}

// By newcomer, the best liked sponsor first.
std::vector<std::vector<Preference>> ListsOf(const Market& market) {
  std::vector<std::vector<Preference>> lists(market.newcomer_count);
  for (const Preference& preference : market.preferences) {
    lists[preference.newcomer].push_back(preference);
  }
  for (std::vector<Preference>& list : lists) {
    std::sort(list.begin(), list.end(), [](const Preference& a, const Preference& b) {
      return RankByNewcomer(a) < RankByNewcomer(b);
    });
  }
  return lists;
}

}  // namespace

std::vector<int32_t> DeferredAcceptance(const Market& market) {
  const std::vector<std::vector<Preference>> lists = ListsOf(market);
  std::vector<size_t> next(market.newcomer_count, 0);
  std::vector<std::set<SponsorRank>> held(market.seats.size());
  std::vector<int32_t> sponsor_of(market.newcomer_count, kUnplaced);
  std::deque<uint32_t> proposing;
  for (uint32_t newcomer = 0; newcomer < market.newcomer_count; ++newcomer) {
    proposing.push_back(newcomer);
  }
  while (!proposing.empty()) {
    const uint32_t newcomer = proposing.front();
    proposing.pop_front();
    if (next[newcomer] == lists[newcomer].size()) continue;  // has asked everybody
    const Preference& asked = lists[newcomer][next[newcomer]++];
    std::set<SponsorRank>& seats = held[asked.sponsor];
    seats.insert(RankBySponsor(asked));
    sponsor_of[newcomer] = static_cast<int32_t>(asked.sponsor);
    if (seats.size() > static_cast<size_t>(market.seats[asked.sponsor])) {
      const uint32_t released = std::prev(seats.end())->second;
      seats.erase(std::prev(seats.end()));
      sponsor_of[released] = kUnplaced;
      proposing.push_back(released);
    }
  }
  return sponsor_of;
}

int64_t CountBlockingPairs(const Market& market, const std::vector<int32_t>& sponsor_of) {
  std::vector<int> used(market.seats.size(), 0);
  std::vector<SponsorRank> least_liked(market.seats.size(),
                                       {std::numeric_limits<int64_t>::min(), 0});
  using NewcomerRank = std::pair<int64_t, uint32_t>;
  std::vector<NewcomerRank> own(market.newcomer_count, {std::numeric_limits<int64_t>::max(), 0});
  const auto together = [&](const Preference& preference) {
    return sponsor_of[preference.newcomer] == static_cast<int32_t>(preference.sponsor);
  };
  for (const Preference& preference : market.preferences) {
    if (!together(preference)) continue;
    ++used[preference.sponsor];
    least_liked[preference.sponsor] =
        std::max(least_liked[preference.sponsor], RankBySponsor(preference));
    own[preference.newcomer] = RankByNewcomer(preference);
  }
  int64_t blocking = 0;
  for (const Preference& preference : market.preferences) {
    if (together(preference)) continue;
    const size_t sponsor = preference.sponsor;
    if (RankByNewcomer(preference) >= own[preference.newcomer]) continue;
    const bool has_room = used[sponsor] < market.seats[sponsor];
    const bool likes_better = used[sponsor] > 0 && RankBySponsor(preference) < least_liked[sponsor];
    blocking += has_room || likes_better ? 1 : 0;
  }
  return blocking;
}

}  // namespace handrail::matching
