#include "services/matching/domain/operator_ledger.h"

namespace handrail::matching {

absl::string_view CodeOf(BoostReason reason) {
  switch (reason) {
    case BoostReason::kLongWait: return "LONG_WAIT";
    case BoostReason::kRepeatedTimeouts: return "REPEATED_TIMEOUTS";
    case BoostReason::kPairingEnded: return "PAIRING_ENDED";
    case BoostReason::kServiceFault: return "SERVICE_FAULT";
    case BoostReason::kTakenBack: return "TAKEN_BACK";
    case BoostReason::kUnspecified: break;
  }
  return "UNSPECIFIED";
}

absl::string_view CodeOf(ProbationEndReason reason) {
  switch (reason) {
    case ProbationEndReason::kVouched: return "VOUCHED";
    case ProbationEndReason::kExperienced: return "EXPERIENCED";
    case ProbationEndReason::kTrained: return "TRAINED";
    case ProbationEndReason::kServiceFault: return "SERVICE_FAULT";
    case ProbationEndReason::kUnspecified: break;
  }
  return "UNSPECIFIED";
}

}  // namespace handrail::matching
