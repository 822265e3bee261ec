#ifndef HANDRAIL_SERVICES_MATCHING_STORES_PROBATION_STEP_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_PROBATION_STEP_H_

#include "absl/status/statusor.h"
#include "services/matching/stores/ledger_steps.h"

namespace handrail::matching {

// Ends the probation of a sponsor, who must be locked, and tells them. False when there is none.
absl::StatusOr<bool> EndProbationStep(LedgerSteps& steps, const MemberId& sponsor);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_PROBATION_STEP_H_
