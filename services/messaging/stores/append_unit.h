#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_APPEND_UNIT_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_APPEND_UNIT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/storage/database.h"
#include "services/messaging/domain/franking.h"
#include "services/messaging/domain/message_store.h"

namespace handrail::messaging {

// What became of a batch of appends, valid once its transaction has committed.
struct AppendOutcome {
  std::vector<absl::StatusOr<Appended>> results;  // one an append, in order
  std::vector<CommittedMessages> committed;       // what is new
};

// The transaction of a batch of appends: set-based statements, the conversations' rows locked in
// key order, so that whoever closes, blocks or changes members is before or after, never beside. A
// refused append is a result, not an error; an error means that nothing of the batch was written.
// `franker` stamps what has a commitment; null: nothing is stamped.
absl::Status RunAppends(storage::Transaction& tx, const Limits& limits, const Franker* franker,
                        absl::Time now, absl::Span<const Append* const> appends,
                        AppendOutcome& outcome);

// What is kept of a stamp beside its message, and back.
std::string EncodeFranking(const Franking& franking);
Franking DecodeFranking(absl::string_view bytes);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_APPEND_UNIT_H_
