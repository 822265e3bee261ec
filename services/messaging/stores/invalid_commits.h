#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_INVALID_COMMITS_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_INVALID_COMMITS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/call.h"
#include "common/storage/database.h"
#include "services/messaging/domain/invalid_commits.h"

// Reports of commits that do not process, in the transaction of the caller.
namespace handrail::messaging {

// As GroupStore::ReportInvalidCommit.
absl::Status RunReport(storage::Transaction& tx, const Call& call, absl::Time now,
                       const InvalidCommit& commit, ReportedCommit& reported);

// How the devices of a conversation see the commit at `sequence`. A report counts while its device
// is in the group as it was when it made it: who has joined again is mended.
absl::StatusOr<CommitVotes> CountVotes(storage::Transaction& tx, int64_t conversation_key,
                                       int64_t sequence);

// Whether a reset is due for any commit of the conversation.
absl::StatusOr<bool> IsAnyResetDue(storage::Transaction& tx, int64_t conversation_key);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_INVALID_COMMITS_H_
