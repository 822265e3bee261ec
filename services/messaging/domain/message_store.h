#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_MESSAGE_STORE_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_MESSAGE_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/call.h"
#include "common/base/ids.h"
#include "services/messaging/domain/messages.h"

namespace handrail::messaging {

// The reason of a NOT_FOUND that the domain answers by asking profiles once; no client ever sees
// it.
inline constexpr absl::string_view kDeviceUnknown = "DEVICE_UNKNOWN";

// Something that is told to look again once a batch is complete. Must not block.
class Wakeable {
 public:
  virtual ~Wakeable() = default;
  virtual void Wake() = 0;
};

// What one commit added to one conversation: in order, without a hole.
struct CommittedMessages {
  ConversationId conversation;
  std::vector<EnvelopePtr> envelopes;
  std::vector<DeviceId> recipients;  // every live device of the conversation
};

// Told of every commit after it is on disk. Called on a thread of the database: must not block.
class CommitListener {
 public:
  virtual ~CommitListener() = default;
  virtual void OnCommitted(absl::Span<const CommittedMessages> commit) = 0;
};

// Where one stream of a device stands in one conversation.
struct StreamPosition {
  ConversationId conversation;
  // The first sequence that the stream has not taken yet; 0: the first that is not acknowledged.
  int64_t next_sequence = 1;
  // The commit of the newest Welcome that the stream has taken; 0 when it has none.
  int64_t welcomed_sequence = 0;
};

// What a stream needs to know of one conversation, of one snapshot.
struct StreamConversation {
  Conversation conversation;
  int64_t revision = 0;                // of what streams are told when it changes
  bool deliverable = false;            // false after a block, or when its member has left
  int64_t start_sequence = 1;          // the first sequence that the device may read
  int64_t readable_to = 0;             // the last sequence that the device may read
  WelcomePtr welcome;                  // one that the stream has not taken; comes before all below
  std::optional<Gap> gap;              // what is missing at the position asked for
  std::vector<EnvelopePtr> envelopes;  // from the position, or after the gap
  std::vector<MemberId> silenced;      // by whom what still waits is not delivered (M5)
  bool has_more = false;
};

struct StreamSnapshot {
  bool device_known = false;
  bool device_revoked = false;
  int64_t generation = 0;
  std::vector<StreamConversation> conversations;
  // When everything was read, of a device that has ever published one: another may speak no MLS.
  std::optional<KeyPackageCount> key_packages;
};

// What a device's stream looks like at a glance, for the sweep.
struct StreamHeads {
  DeviceId device;
  bool revoked = false;
  int64_t generation = 0;
  struct Head {
    ConversationId conversation;
    int64_t readable_to = 0;
    ConversationState state = ConversationState::kOpen;
    int64_t revision = 0;
    bool deliverable = false;
  };
  std::vector<Head> heads;
};

struct OpenedConversation {
  ConversationId id;
  std::vector<WakeUp> wake_ups;  // whoever should hear of it; empty when nothing changed
};

struct RetentionResult {
  int64_t conversations_examined = 0;
  int64_t messages_trimmed = 0;
  bool more = false;  // the bound of one batch was reached
};

// The truth about conversations. Thread-safe. Time comes in as an argument. Every method may also
// give the errors of storage::Database. "Not yours" and "not there" are both NOT_FOUND / NOT_FOUND.
class MessageStore {
 public:
  using AppendDone = std::function<void(absl::StatusOr<Appended>)>;
  using AckDone = std::function<void(absl::Status)>;

  virtual ~MessageStore() = default;

  // Stores a message under the next sequence of its conversation (C1, C2); `done` is called exactly
  // once, after it is on disk, on a thread that must not be blocked. Appends of one caller keep
  // their order. `wake_after` (may be null) is woken when the whole commit has been reported, so
  // that a stream answers many appends in one frame. Errors: NOT_FOUND; NOT_FOUND / DEVICE_UNKNOWN
  // when the device was never heard of (ask profiles, repeat); FAILED_PRECONDITION /
  // CONVERSATION_CLOSED, REQUEST_ID_REUSED, MEMBER_SUSPENDED; RESOURCE_EXHAUSTED / QUEUE_FULL (a
  // device's backlog, or what is kept of the conversation), OVERLOADED. In a conversation with an
  // MLS group also FAILED_PRECONDITION / DEVICE_NOT_IN_GROUP and the codes of AdmitGroupMessage.
  virtual void AppendAsync(Append append, std::shared_ptr<Wakeable> wake_after,
                           AppendDone done) = 0;

  // Remembers what a device has. Cumulative; an older value changes nothing, a value beyond the
  // newest readable message is dropped. `done` (may be empty) is called once it is on disk; without
  // it the value is stored within a tick.
  virtual void AckAsync(const DeviceId& device, std::vector<Cursor> cursors, AckDone done) = 0;
  // NOT_FOUND, or INVALID_ARGUMENT / SEQUENCE_INVALID for a cursor that AckAsync would drop.
  virtual absl::Status CheckCursors(absl::Time deadline, const MemberId& member,
                                    const DeviceId& device, absl::Span<const Cursor> cursors) = 0;

  // Messages after `after_sequence` that the device may read, at most `limit` and about 1 MiB.
  virtual absl::StatusOr<MessagePage> Fetch(absl::Time deadline, const MemberId& member,
                                            const DeviceId& device,
                                            const ConversationId& conversation,
                                            int64_t after_sequence, int64_t limit) = 0;
  virtual absl::StatusOr<Conversation> GetConversation(absl::Time deadline, const MemberId& member,
                                                       const DeviceId& device,
                                                       const ConversationId& conversation) = 0;
  // Newest first. `after` is the last conversation of the page before, with its time.
  struct ListPosition {
    absl::Time create_time;
    ConversationId conversation;
  };
  virtual absl::StatusOr<std::vector<Conversation>> ListConversations(
      absl::Time deadline, const MemberId& member, const DeviceId& device,
      const std::optional<ListPosition>& after, int64_t limit) = 0;

  // Raises the generation of a device's stream and marks the device as heard of. One that was
  // silent is brought back: what is beyond the backlog becomes a Gap. Errors: NOT_FOUND /
  // DEVICE_UNKNOWN; PERMISSION_DENIED / DEVICE_REVOKED.
  virtual absl::StatusOr<int64_t> StartStream(absl::Time deadline, absl::Time now,
                                              const MemberId& member, const DeviceId& device) = 0;
  // What a stream should send next: the conversations in `positions` (all of the device when
  // `everything`, those without a position from what is acknowledged on), at most `limit` messages
  // in all.
  virtual absl::StatusOr<StreamSnapshot> ReadStream(absl::Time deadline, absl::Time now,
                                                    const DeviceId& device,
                                                    absl::Span<const StreamPosition> positions,
                                                    bool everything, int64_t limit) = 0;
  virtual absl::StatusOr<std::vector<StreamHeads>> ReadHeads(
      absl::Time deadline, absl::Span<const DeviceId> devices) = 0;
  // Marks devices as heard of (coarse: at most one write an hour and device).
  virtual absl::Status TouchDevices(absl::Time deadline, absl::Time now,
                                    absl::Span<const DeviceId> devices) = 0;

  // Members of whom no snapshot was applied yet.
  virtual absl::StatusOr<std::vector<MemberId>> UnknownMembers(
      absl::Time deadline, absl::Span<const MemberId> members) = 0;
  // One conversation a pairing, for ever. Created closed when the close came first or when the two
  // are blocked. FAILED_PRECONDITION / REQUEST_ID_REUSED when the pairing has other members.
  virtual absl::StatusOr<OpenedConversation> OpenConversation(
      absl::Time deadline, absl::Time now, const PairingId& pairing,
      absl::Span<const MemberId> members) = 0;
  // From its commit on nothing is accepted. A tombstone when the conversation is not there yet.
  virtual absl::StatusOr<std::vector<WakeUp>> CloseConversation(absl::Time deadline, absl::Time now,
                                                                const PairingId& pairing) = 0;
  virtual absl::StatusOr<std::vector<WakeUp>> ApplyMembers(
      absl::Time deadline, absl::Time now, absl::Span<const MemberSnapshot> members) = 0;
  // From its commit on nothing is accepted or delivered between the two (M5): the conversation of
  // their pairing is closed; in a group conversation in which both take part the one who is blocked
  // does so no more.
  virtual absl::StatusOr<std::vector<WakeUp>> ApplyBlock(absl::Time deadline, absl::Time now,
                                                         const Block& block) = 0;

  // The calling member takes part no more: from its commit on nothing is accepted of their devices
  // and nothing delivered to them. The conversation of a pairing is closed when fewer than two are
  // left, a group conversation when nobody is.
  // Idempotent by the request id of `call`; leaving again changes nothing. Errors: NOT_FOUND;
  // NOT_FOUND / DEVICE_UNKNOWN; PERMISSION_DENIED / DEVICE_REVOKED; FAILED_PRECONDITION /
  // REQUEST_ID_REUSED.
  virtual absl::StatusOr<std::vector<WakeUp>> LeaveConversation(
      const Call& call, absl::Time now, const ConversationId& conversation) = 0;

  // One bounded step of retention.
  virtual absl::StatusOr<RetentionResult> TrimSome(absl::Time deadline, absl::Time now) = 0;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_MESSAGE_STORE_H_
