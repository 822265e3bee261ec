#ifndef HANDRAIL_TOOLS_SIMULATOR_ELIGIBILITY_H_
#define HANDRAIL_TOOLS_SIMULATOR_ELIGIBILITY_H_

#include <vector>

#include "services/matching/domain/rules.h"
#include "services/matching/domain/score.h"
#include "tools/simulator/world.h"

namespace handrail::simulator {

// A sponsor whom a newcomer could have: no hard rule is in the way but a full house.
struct Eligible {
  uint32_t sponsor = 0;
  double score = 0;  // 0..100, of a sponsor with all seats free: the most that a policy can reach
  bool accepts = false;  // they would say yes
};

// By newcomer, sponsors in the order of the world, as things are when the newcomer asks.
std::vector<std::vector<Eligible>> FindEligible(const World& world, const matching::RuleSet& rules,
                                                const matching::Scorer& scorer,
                                                const matching::ProgramPolicies& policies);

}  // namespace handrail::simulator

#endif  // HANDRAIL_TOOLS_SIMULATOR_ELIGIBILITY_H_
