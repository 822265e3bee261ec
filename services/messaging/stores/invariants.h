#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_INVARIANTS_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_INVARIANTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/storage/database.h"
#include "common/storage/invariant_monitor.h"
#include "services/messaging/domain/messages.h"

namespace handrail::messaging {

// What of C1 to C7 (design §6) SQL can see, over the whole database. One line a violation,
// "<promise>: <what is wrong> (<how many rows>)"; empty when all hold. Names no person.
absl::StatusOr<std::vector<std::string>> CheckMessages(storage::Database& database,
                                                       absl::Time deadline,
                                                       const Limits& limits = Limits());

// The same promises one by one, for a service that runs.
std::vector<storage::InvariantQuery> MessageInvariants(const Limits& limits = Limits());

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_INVARIANTS_H_
