#ifndef HANDRAIL_TESTS_CRASH_MAIN_FLOW_H_
#define HANDRAIL_TESTS_CRASH_MAIN_FLOW_H_

#include <cstdint>
#include <set>
#include <string>

#include "tests/crash/world.h"

namespace handrail::tests {

// What one run of the main flow showed: empty findings mean that every promise was kept.
struct FlowResult {
  bool fault_fired = false;
  std::vector<std::string> findings;
};

// request → offer → accept → conversation → sends → acknowledgements → end, with the `call`-th call
// across a boundary failing. Clients repeat what failed under the same request ids; what died is
// started again; then the audit is made.
FlowResult PlayMainFlow(Bug bug, int64_t call, FaultPlan::When when, FaultPlan::Then then);

// Every call, before and after, with an error and with a death, until a run ends without the fault.
struct CampaignResult {
  int64_t runs = 0;
  int64_t faults = 0;
  int64_t broken_runs = 0;
  std::set<std::string> findings;
};
CampaignResult PlayEveryFault(Bug bug);

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_CRASH_MAIN_FLOW_H_
