#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_SHARE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_SHARE_H_

#include <string>

#include "absl/types/span.h"
#include "services/matching/domain/types.h"

namespace handrail::matching {

// Which of the replicas a pool belongs to, by rendezvous hashing: every replica finds the same
// answer from the same list, in whatever order, and when one comes or goes only its own pools move.
// Empty when there is no replica.
std::string LeaderOf(const PoolKey& pool, absl::Span<const std::string> replicas);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_SHARE_H_
