#ifndef HANDRAIL_SERVICES_MATCHING_STORES_INVARIANTS_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_INVARIANTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/storage/database.h"

// What must always hold of the ledger (design.md §5, M1 to M7), as queries that anybody can run:
// tests after every fault, the demo at its end, and `handrail check` on a live system.
namespace handrail::matching {

// One of the checks, as data.
struct Invariant {
  absl::string_view name;  // "M2"
  absl::string_view text;  // what is wrong when it is broken
  // Counts the rows that break it. $1 is now, in microseconds.
  absl::string_view sql;
};
const std::vector<Invariant>& LedgerInvariants();

struct Violation {
  std::string invariant;  // "M2"
  std::string text;
  int64_t count = 0;  // how many rows break it
};

// Everything that is broken in this ledger at `now`; empty when all is well. One snapshot.
absl::StatusOr<std::vector<Violation>> CheckLedger(storage::Database& database, absl::Time now);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_INVARIANTS_H_
