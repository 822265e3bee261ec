#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_GROUPS_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_GROUPS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "services/messaging/domain/invalid_commits.h"
#include "services/messaging/domain/messages.h"

// The MLS group of a conversation (RFC 9420): commits in order, one an epoch, each with its
// Welcomes and the change of who reads, or not at all (C3, C5).
namespace handrail::messaging {

struct GroupLimits {
  size_t devices = 32;  // in a group
  // Of one Welcome, and of a GroupInfo. Both hold the ratchet tree, which for 32 devices takes
  // about 12 KiB, and a Welcome 170 bytes for each device that is added.
  size_t welcome_bytes = 64 << 10;
  size_t group_info_bytes = 64 << 10;
  size_t commit_bytes = 64 << 10;
  // Application messages of this many epochs before the current one are still taken: those that
  // were on their way while somebody else committed. Clients keep as many old epochs.
  int64_t past_epochs = 4;
};

// Where a group stands.
struct GroupPlace {
  absl::string_view group_id;
  int64_t epoch = 0;
  int64_t head_sequence = 0;
};

// ABORTED / EPOCH_CONFLICT, with the details `current_epoch` and `head_sequence`.
absl::Status EpochConflict(int64_t current_epoch, int64_t head_sequence);
// The same to who would start the group anew, with the detail `group_generation`.
absl::Status ResetConflict(int64_t current_epoch, int64_t head_sequence, int64_t generation);

// What a message that is sent to a group's conversation is. Errors: FAILED_PRECONDITION /
// ENCRYPTION_REQUIRED unless it is a PrivateMessage that holds no commit; FAILED_PRECONDITION /
// GROUP_MISMATCH; ABORTED / EPOCH_CONFLICT. Pure.
struct GroupMessage {
  EnvelopeKind kind = EnvelopeKind::kApplication;
  int64_t epoch = 0;
  absl::string_view commitment;  // of an application message that has one; into the payload
};
absl::StatusOr<GroupMessage> AdmitGroupMessage(absl::string_view payload, const GroupPlace& group,
                                               const GroupLimits& limits);

// Sets kind and epoch of an envelope of a group from its payload's framing.
void ReadFraming(Envelope& envelope);

// A Welcome and for whom it is.
struct WelcomeFor {
  std::string message;
  std::vector<std::string> references;  // KeyPackageRefs, as the Welcome names them
  std::vector<DeviceId> devices;        // as many
};

// The group that is given up, as it stood when that was decided.
struct ReplacedGroup {
  std::string group_id;
  int64_t epoch = 0;
};

// A commit with all that lands with it, checked as far as it can be without the database.
struct CommitBundle {
  MemberId member;
  DeviceId device;
  ConversationId conversation;
  MessageId commit_id;
  std::string commit;
  // Of the commit's framing.
  std::string group_id;
  int64_t epoch = 0;
  bool external = false;  // the calling device joins by itself
  std::vector<WelcomeFor> welcomes;
  std::vector<DeviceId> added;    // sorted, no two the same
  std::vector<DeviceId> removed;  // likewise
  std::string group_info;         // of the epoch that the commit begins
  // The commit is the first one of a new group in place of this one, if nobody was faster.
  std::optional<ReplacedGroup> replaces;
};

struct Committed {
  int64_t sequence = 0;
  int64_t epoch = 0;       // that it began
  int64_t generation = 0;  // of the group
  absl::Time create_time;
  std::vector<WakeUp> wake_ups;  // whoever should hear of it; empty for a repeated one
};

// kRevoked: in the group, but its member removed it since, and it reads nothing.
enum class GroupDeviceState { kInGroup = 1, kOutside = 2, kRevoked = 3 };

struct GroupDevice {
  DeviceId device;
  MemberId member;
  GroupDeviceState state = GroupDeviceState::kOutside;
};

struct Group {
  ConversationId conversation;
  // Once it is closed: only the caller's own devices, and no GroupInfo. After a block nothing else.
  ConversationState state = ConversationState::kOpen;
  std::string group_id;  // empty when there is none
  int64_t epoch = 0;
  int64_t generation = 0;  // how often it was started anew
  int64_t head_sequence = 0;
  std::vector<GroupDevice> devices;  // in order of their ids
  std::string group_info;
};

struct WelcomePage {
  std::vector<WelcomePtr> welcomes;
  bool has_more = false;
};

// The truth about groups. Thread-safe. Every method is one atomic step and may also give the errors
// of storage::Database. A caller whose device was never heard of gets NOT_FOUND / DEVICE_UNKNOWN;
// "not yours" and "not there" are both NOT_FOUND / NOT_FOUND.
class GroupStore {
 public:
  virtual ~GroupStore() = default;

  // Idempotent by member and commit id. Errors: ABORTED / EPOCH_CONFLICT; FAILED_PRECONDITION /
  // GROUP_MISMATCH, GROUP_CHANGE_INVALID, DEVICE_NOT_IN_GROUP, CONVERSATION_CLOSED,
  // MEMBER_SUSPENDED, REQUEST_ID_REUSED; PERMISSION_DENIED / DEVICE_REVOKED; RESOURCE_EXHAUSTED /
  // QUEUE_FULL. After an error nothing of the bundle is there. For one that replaces a group also
  // FAILED_PRECONDITION / GROUP_RESET_NOT_AGREED.
  virtual absl::StatusOr<Committed> Commit(absl::Time deadline, absl::Time now,
                                           const CommitBundle& bundle) = 0;
  // PERMISSION_DENIED / DEVICE_REVOKED, as the two below.
  virtual absl::StatusOr<Group> GetGroup(absl::Time deadline, const MemberId& member,
                                         const DeviceId& device,
                                         const ConversationId& conversation) = 0;
  // Those that the device has not acknowledged, oldest first, at most 16.
  virtual absl::StatusOr<WelcomePage> FetchWelcomes(absl::Time deadline, const MemberId& member,
                                                    const DeviceId& device) = 0;
  // Forgets the device's Welcome of the commit at `sequence` or before.
  virtual absl::Status AckWelcome(absl::Time deadline, const MemberId& member,
                                  const DeviceId& device, const ConversationId& conversation,
                                  int64_t sequence) = 0;
  // Notes that the caller's device cannot follow a commit; of each device the newest one only, for
  // as long as the commit is kept and the device has not joined again. Idempotent by the request id
  // of `call`. Errors: NOT_FOUND, also for a commit that is not kept or not the device's to read;
  // PERMISSION_DENIED / DEVICE_REVOKED; INVALID_ARGUMENT / FIELD_INVALID when the digest is of
  // another commit; ABORTED / EPOCH_CONFLICT for an epoch without a commit; FAILED_PRECONDITION /
  // GROUP_MISMATCH, DEVICE_NOT_IN_GROUP, CONVERSATION_CLOSED, REQUEST_ID_REUSED.
  virtual absl::StatusOr<ReportedCommit> ReportInvalidCommit(const Call& call, absl::Time now,
                                                             const InvalidCommit& commit) = 0;
};

// What a device can do with groups. Thread-safe; blocks until `call.deadline`.
class Groups {
 public:
  // Asks profiles of the caller, of whom messaging was never told.
  using LearnCaller = std::function<absl::Status(const Call&)>;
  using Spread = std::function<void(absl::Span<const WakeUp>)>;

  // What a device says of its commit; who it is comes from the call.
  struct Proposed {
    ConversationId conversation;
    MessageId commit_id;
    std::string commit;
    struct Welcome {
      std::string message;
      std::vector<DeviceId> devices;
    };
    std::vector<Welcome> welcomes;
    std::vector<DeviceId> added;
    std::vector<DeviceId> removed;
    std::string group_info;
    std::optional<ReplacedGroup> replaces;
  };

  // All must outlive it.
  Groups(GroupStore& store, const Clock& clock, const GroupLimits& limits, LearnCaller learn_caller,
         Spread spread)
      : store_(store),
        clock_(clock),
        limits_(limits),
        learn_caller_(std::move(learn_caller)),
        spread_(std::move(spread)) {}

  // INVALID_ARGUMENT / FIELD_INVALID when a message is not what it should be or the lists do not
  // fit each other; and the codes of GroupStore::Commit. One that replaces a group makes a new one:
  // it is of epoch 0, by a device that removes nobody.
  absl::StatusOr<Committed> Commit(const Call& call, Proposed proposed);
  absl::StatusOr<Group> GetGroup(const Call& call, const ConversationId& conversation);
  absl::StatusOr<WelcomePage> FetchWelcomes(const Call& call);
  absl::Status AckWelcome(const Call& call, const ConversationId& conversation, int64_t sequence);
  absl::StatusOr<ReportedCommit> ReportInvalidCommit(const Call& call, const InvalidCommit& commit);

 private:
  absl::StatusOr<CommitBundle> Read(const Call& call, Proposed proposed) const;
  absl::Status ReadWelcomes(std::vector<Proposed::Welcome> welcomes, CommitBundle& bundle) const;
  // Runs `step`; when the caller's device is unknown, asks profiles and runs it once more.
  template <typename Step>
  auto KnowingDevice(const Call& call, Step step) -> decltype(step());

  GroupStore& store_;
  const Clock& clock_;
  const GroupLimits limits_;
  const LearnCaller learn_caller_;
  const Spread spread_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_GROUPS_H_
