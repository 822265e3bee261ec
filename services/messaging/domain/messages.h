#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_MESSAGES_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_MESSAGES_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "common/base/ids.h"

namespace handrail::messaging {

// The limits of design §6, in one place.
struct Limits {
  size_t message_bytes = 64 << 10;
  // Messages that one live device has not acknowledged in one conversation; more are refused to the
  // sender. Counted per conversation, so that one conversation can never silence another.
  int64_t backlog_messages = 5000;
  // Messages that are kept of one conversation, acknowledged or not; more are refused to the
  // sender. What holds when nobody else is there whose backlog could fill. Far beyond what people
  // write in the day that a message is kept.
  int64_t stored_messages = 200'000;
  // And their bytes, as they were sent.
  int64_t stored_bytes = int64_t{512} << 20;
  // Messages sent on one stream and not acknowledged; the stream pauses, nothing is lost.
  int64_t stream_window = 256;
  // A device that was not heard of for this long no longer counts against the sender.
  absl::Duration silent_after = absl::Hours(7 * 24);
  // How long a message is kept after every counting device acknowledged it, and at most.
  absl::Duration keep_after_acked = absl::Hours(24);
  absl::Duration keep_at_most = absl::Hours(30 * 24);
};

// What an envelope holds, as far as its framing says.
enum class EnvelopeKind { kOpaque = 0, kApplication = 1, kProposal = 2, kCommit = 3 };

// What the server says of a message that commits to its content (franking.h).
struct Franking {
  std::string stamp;                // 32 bytes
  std::string previous_commitment;  // 32 bytes, zeros where there was none
  std::string key_id;
  friend bool operator==(const Franking&, const Franking&) = default;
};

// One stored message. Immutable; shared by every stream that delivers it.
struct Envelope {
  ConversationId conversation;
  int64_t sequence = 0;  // from 1, dense
  MemberId sender;
  DeviceId sender_device;
  MessageId message_id;  // chosen by the sender
  std::string payload;   // opaque
  absl::Time create_time;
  // Of the conversation's MLS group; kOpaque and 0 in one that had none yet.
  EnvelopeKind kind = EnvelopeKind::kOpaque;
  int64_t epoch = 0;
  std::optional<Franking> franking;
};
using EnvelopePtr = std::shared_ptr<const Envelope>;

// Whether a reader is given the place of an envelope without what it holds: it is by one of these,
// with whom they are blocked. A group's own handshake says nothing, and nobody follows without it.
inline bool IsSilenced(const Envelope& envelope, const std::vector<MemberId>& silenced) {
  if (envelope.kind == EnvelopeKind::kCommit || envelope.kind == EnvelopeKind::kProposal) {
    return false;
  }
  return std::find(silenced.begin(), silenced.end(), envelope.sender) != silenced.end();
}

// With what a device that was added joins its conversation's MLS group. Immutable.
struct Welcome {
  ConversationId conversation;
  int64_t sequence = 0;  // of the commit that added it
  int64_t epoch = 0;     // after that commit
  std::string message;
  absl::Time create_time;
};
using WelcomePtr = std::shared_ptr<const Welcome>;

enum class ConversationState { kOpen = 1, kClosed = 2 };

// A conversation as one device of a member sees it.
struct Conversation {
  ConversationId id;
  std::vector<MemberId> members;       // those who have left, too
  std::vector<MemberId> members_left;  // of these
  ConversationState state = ConversationState::kOpen;
  absl::Time create_time;
  int64_t head_sequence = 0;
  int64_t first_sequence = 1;  // head + 1 when nothing is kept
  int64_t acked_sequence = 0;
  std::string group_id;    // of its MLS group; empty when there is none
  int64_t epoch = 0;       // likewise
  int64_t generation = 0;  // how often the group was started anew
};

// What a member wants to store. `message_id` is the request id of the send.
struct Append {
  MemberId member;
  DeviceId device;
  ConversationId conversation;
  MessageId message_id;
  std::string payload;
  absl::Time deadline = absl::InfiniteFuture();
};

// Where it was stored. The same for a repeated send.
struct Appended {
  int64_t sequence = 0;
  absl::Time create_time;
};

// A place in a conversation: everything up to and including `sequence`.
struct Cursor {
  ConversationId conversation;
  int64_t sequence = 0;
};

// Messages that are gone, both ends included.
struct Gap {
  ConversationId conversation;
  int64_t first_sequence = 0;
  int64_t last_sequence = 0;
  friend bool operator==(const Gap&, const Gap&) = default;
};

// One page of a conversation, in order.
struct MessagePage {
  std::vector<EnvelopePtr> envelopes;
  std::optional<Gap> gap;  // comes before the envelopes
  bool has_more = false;
};

enum class Standing { kGood = 1, kSuspended = 2, kErased = 3 };

// What profiles says of a member; a newer version replaces all before it.
struct MemberSnapshot {
  MemberId member;
  int64_t version = 0;
  Standing standing = Standing::kSuspended;
  std::vector<DeviceId> devices;  // not revoked
  // Ed25519, 32 bytes each, of those devices whose key profiles has said.
  std::map<DeviceId, std::string> device_keys = {};
};

// Holds both ways and for good.
struct Block {
  BlockId id;
  MemberId blocker;
  MemberId blocked;
};

// Devices and conversations whose streams should look again. Content-free.
struct WakeUp {
  DeviceId device;
  ConversationId conversation;  // zero: everything of the device, its own standing included
};

enum class ClosingCause { kDraining, kAge, kReplaced, kRevoked };

// How many key packages a device has left.
struct KeyPackageCount {
  int64_t available = 0;
  bool has_last_resort = false;
  bool low = false;  // more should be published soon
};

// The events of one stream, in the order in which the device sees them.
struct Started {
  int64_t generation = 0;
};
struct CaughtUp {};
struct Ping {};
struct ConversationChanged {
  Conversation conversation;
};
// The device should publish more key packages.
struct KeyPackagesLow {
  KeyPackageCount count;
};
struct Closing {
  ClosingCause cause = ClosingCause::kDraining;
  absl::Duration retry_after;
};
using Event = std::variant<Started, WelcomePtr, EnvelopePtr, Gap, CaughtUp, Ping,
                           ConversationChanged, KeyPackagesLow, Closing>;

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_MESSAGES_H_
