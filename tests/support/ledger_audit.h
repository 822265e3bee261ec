#ifndef HANDRAIL_TESTS_SUPPORT_LEDGER_AUDIT_H_
#define HANDRAIL_TESTS_SUPPORT_LEDGER_AUDIT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/storage/database.h"
#include "tests/support/history.h"

namespace handrail::tests {

// What the audit found.
struct AuditReport {
  int64_t acknowledged = 0;
  int64_t lost = 0;     // acknowledged, and not in the ledgers
  int64_t doubled = 0;  // in the ledgers, and never acknowledged, or there twice
  std::vector<std::string> findings;

  bool clean() const { return lost == 0 && doubled == 0 && findings.empty(); }
  std::string ToString() const;
};

// Holds both ledgers against the history. Everything must have come to rest: every request resolved
// by repetition, every outbox empty. Checks M1 to M7 and C1 to C7 as SQL states them; that every
// acknowledged ticket, cancellation, pairing, end, decline, block, message and cursor is there,
// once; that nothing is there that nobody was told of; that every pairing has exactly one
// conversation, open as long as it is; that no sponsor ever surely held more seats than there are.
absl::StatusOr<AuditReport> AuditLedgers(const History& history, storage::Database& matching,
                                         storage::Database& messaging, absl::Time now);

// Only what must hold in every committed state, at any time during a run.
absl::StatusOr<std::vector<std::string>> CheckWhileRunning(storage::Database& matching,
                                                           storage::Database& messaging,
                                                           absl::Time now);

// How many rows wait in matching's outbox.
absl::StatusOr<int64_t> CountOutbox(storage::Database& matching);

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_SUPPORT_LEDGER_AUDIT_H_
