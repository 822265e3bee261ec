#ifndef HANDRAIL_TOOLS_HANDRAIL_CHECK_LEDGER_CHECK_H_
#define HANDRAIL_TOOLS_HANDRAIL_CHECK_LEDGER_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace handrail::tools {

struct LedgerReport {
  int violations = 0;
  // For people: what was checked, and each violation.
  std::vector<std::string> lines;
};

// Checks the invariants of docs/architecture.md (M1–M7, C1–C7) in the ledgers of matching and
// messaging, and that every pairing has its conversation. Reads only; works beside running
// services.
absl::StatusOr<LedgerReport> CheckLedgerFiles(const std::string& matching_url,
                                              const std::string& messaging_url);

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_CHECK_LEDGER_CHECK_H_
