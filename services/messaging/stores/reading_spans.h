#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_READING_SPANS_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_READING_SPANS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/storage/database.h"
#include "services/messaging/domain/reports.h"

// What devices could read of a conversation, also when they have begun anew since. A device's row
// holds the span that it reads now, or read last; what was before is kept beside it.
namespace handrail::messaging {

// So many spans that are over are told apart of a device and a conversation: of one that comes and
// goes more often, the last is stretched over what lies between.
inline constexpr int64_t kReadingSpansKept = 64;

// Keeps what a device could read until now, up to `head` when its reading has not ended. For the
// transaction in which it begins anew, before its row is changed, with the conversation's row
// locked.
absl::Status KeepReadingSpan(storage::Transaction& tx, int64_t key, const DeviceId& device,
                             int64_t head);

// What the devices of a member, all together, could ever read of a conversation. In no order; spans
// may overlap.
absl::StatusOr<std::vector<ReadingSpan>> ReadingSpansOf(storage::Transaction& tx, int64_t key,
                                                        const MemberId& member);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_READING_SPANS_H_
