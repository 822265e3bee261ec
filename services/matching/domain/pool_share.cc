#include "services/matching/domain/pool_share.h"

#include <cstdint>
#include <utility>

#include "services/matching/domain/match_record.h"

namespace handrail::matching {

std::string LeaderOf(const PoolKey& pool, absl::Span<const std::string> replicas) {
  const uint64_t seed = StableHash(pool.ToString(), 0);
  std::pair<uint64_t, std::string> best;
  for (const std::string& replica : replicas) {
    std::pair<uint64_t, std::string> mine(StableHash(replica, seed), replica);
    if (mine > best) best = std::move(mine);
  }
  return best.second;
}

}  // namespace handrail::matching
