#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_DEVICE_VIEW_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_DEVICE_VIEW_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/storage/database.h"
#include "services/messaging/domain/messages.h"
#include "services/messaging/stores/membership.h"

namespace handrail::messaging {

// A conversation as it stands for one device: what C5 lets it read.
struct DeviceView {
  int64_t key = 0;
  Conversation conversation;
  MemberId member;  // whose device it is
  bool blocked = false;
  bool departed = false;  // its member has left
  bool live = false;      // false once the device was removed
  int64_t revision = 0;
  int64_t start_sequence = 1;
  int64_t readable_to = 0;  // 0 when nothing is delivered
  int64_t skipped_sequence = 0;
  int64_t group_from = 0;        // the place of the group's first commit; 0 when there is no group
  int64_t welcome_sequence = 0;  // the commit of the Welcome that waits; 0 when none does
  ConversationKind kind = ConversationKind::kPairing;
  // Who have left and are blocked with the reader: what they said is not delivered any more (M5).
  std::vector<MemberId> silenced;

  // False after a block, or when its member has left.
  bool Deliverable() const { return !blocked && !departed; }
  // The first sequence at or after `next` that the device can still be given.
  int64_t FirstReadable(int64_t next) const;
  // What is missing between `next` and there.
  std::optional<Gap> GapAt(int64_t next) const;
};

// The views of the conversations in `keys`, or of all of the device's when `keys` is null.
absl::StatusOr<std::vector<DeviceView>> LoadDeviceViews(storage::Transaction& tx,
                                                        const DeviceId& device,
                                                        const std::vector<int64_t>* keys);

// Sets who takes part in a conversation, and who did, as `reader` is told: to one who has left
// nobody comes or leaves any more, and who had left before they came is none of their business.
absl::Status LoadMembers(storage::Transaction& tx, int64_t key, const MemberId& reader,
                         Conversation& conversation);

// What somebody who has left is still told of a conversation: that it ended for them at `end`.
void ShowAsLeft(int64_t end, Conversation& conversation);

// Appends messages from `from` on to `envelopes`, at most `limit` of them and, after the first, not
// beyond `bytes_left`, which is lowered by what they hold. True when it reached the last readable
// one.
absl::StatusOr<bool> LoadEnvelopes(storage::Transaction& tx, const DeviceView& view, int64_t from,
                                   int64_t limit, int64_t& bytes_left,
                                   std::vector<EnvelopePtr>& envelopes);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_DEVICE_VIEW_H_
