#ifndef HANDRAIL_TESTS_SUPPORT_CARE_AUDIT_H_
#define HANDRAIL_TESTS_SUPPORT_CARE_AUDIT_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/storage/database.h"
#include "tests/support/audit_findings.h"
#include "tests/support/history.h"

// The parts of the audit about care, choice and calls for help: what people were told, held against
// matching's ledger.
namespace handrail::tests {

// How long after its time a pause that ends by itself may last. The sweeps come by every few
// seconds.
inline constexpr absl::Duration kResumePatience = absl::Seconds(30);

// Ages of tickets, rematches, confirmations and pauses of pairings, check-ins, pauses of sponsors,
// attestations. Everything has come to rest.
absl::Status AuditCare(const History::Content& told, storage::Database& matching, absl::Time now,
                       Findings& findings);

// Every call that was acknowledged is there, once, with the answer that was acknowledged first.
absl::Status AuditHelp(const History::Content& told, storage::Database& matching,
                       Findings& findings);

// At any time during a run: what newcomers chose is there, their order is followed, and nobody is
// asked whom they did not choose. `chosen` was taken before the ledger is read, and each ticket
// has the choice that was acknowledged last, which may be to leave it to Handrail. (What was chosen
// is forgotten soon after a ticket is over.)
absl::StatusOr<std::vector<std::string>> CheckChoices(
    const std::map<TicketId, History::Choice>& chosen, storage::Database& matching);

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_SUPPORT_CARE_AUDIT_H_
