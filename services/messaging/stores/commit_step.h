#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_COMMIT_STEP_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_COMMIT_STEP_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/storage/database.h"
#include "services/messaging/domain/groups.h"

namespace handrail::messaging {

// The transaction of a commit, under its conversation's row. Codes as of GroupStore::Commit; an
// error rolls all of it back.
absl::Status RunCommit(storage::Transaction& tx, const Limits& limits,
                       const GroupLimits& group_limits, absl::Time now, const CommitBundle& bundle,
                       Committed& committed);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_COMMIT_STEP_H_
