#ifndef HANDRAIL_SERVICES_PROFILES_DOMAIN_STORE_H_
#define HANDRAIL_SERVICES_PROFILES_DOMAIN_STORE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/call.h"
#include "services/profiles/domain/types.h"

namespace handrail::profiles {

// What is still to be told to one receiver: the newest state of a member, or a block.
struct OutboxEntry {
  enum class Kind { kBlock = 1, kMember = 2 };
  Kind kind = Kind::kMember;
  std::string subject;  // 16 bytes: the member's or the block's id
  // The version that must at least be delivered; 1 for a block.
  int64_t version = 0;
  int attempts = 0;         // refusals of this very entry, not failures to reach the receiver
  MemberSnapshot snapshot;  // kMember: newest, so its version may be higher than `version`
  Block block;              // kBlock
  // Not OK when what is to be sent cannot be read here.
  absl::Status fault;
};

struct OutboxState {
  int64_t entries = 0;
  // When the oldest entry was written; nothing when there is none.
  std::optional<absl::Time> oldest;
};

// The statements of one unit of work, all of it committed or none. Valid only inside the function
// it was handed to. A statement that fails ends the unit: its error must be returned. Besides what
// is named, each gives the codes of storage::Transaction. Lists are ordered as said, by id among
// equals.
class Unit {
 public:
  virtual ~Unit() = default;

  // The answer that was given to the call's request id before. Codes of storage::FindAnswer.
  // Answers are enciphered with the calling member's key.
  virtual absl::StatusOr<std::optional<std::string>> FindAnswer(const Call& call) = 0;
  virtual absl::Status RecordAnswer(const Call& call, absl::Time now, absl::string_view answer) = 0;

  // Remembers a challenge until `expire_time`; false when it was used before.
  virtual absl::StatusOr<bool> UseChallenge(absl::string_view challenge,
                                            absl::Time expire_time) = 0;

  // With a fresh key for the member's personal columns.
  virtual absl::Status InsertMember(const Member& member) = 0;
  // Nothing when unknown.
  virtual absl::StatusOr<std::optional<Member>> FindMember(const MemberId& id) = 0;
  // The same, and when the unit writes, no other unit changes the member before it ends.
  virtual absl::StatusOr<std::optional<Member>> LockMember(const MemberId& id) = 0;
  // Raises the member's version by one and leaves an outbox entry for each receiver.
  virtual absl::Status BumpVersion(const MemberId& id, absl::Time now,
                                   absl::Span<const Receiver> receivers) = 0;

  // False when a device has this public key already.
  virtual absl::StatusOr<bool> InsertDevice(const Device& device) = 0;
  virtual absl::StatusOr<std::optional<Device>> FindDevice(const DeviceId& id) = 0;
  virtual absl::StatusOr<std::optional<Device>> FindDeviceByKey(absl::string_view public_key) = 0;
  // Oldest first, revoked ones too.
  virtual absl::StatusOr<Page<Device>> ListDevices(const MemberId& member,
                                                   const PageRequest& page) = 0;
  virtual absl::StatusOr<int> CountActiveDevices(const MemberId& member) = 0;
  // Made after `since`, revoked ones too.
  virtual absl::StatusOr<int> CountDevicesSince(const MemberId& member, absl::Time since) = 0;
  virtual absl::Status SetDeviceRevoked(const DeviceId& id, absl::Time revoke_time) = 0;
  // At or after `since`, oldest first.
  virtual absl::StatusOr<Page<Revocation>> ListRevocations(absl::Time since,
                                                           const PageRequest& page) = 0;

  // The member must exist. An empty profile when nothing was written yet.
  virtual absl::StatusOr<Profile> GetProfile(const MemberId& member) = 0;
  virtual absl::Status PutProfile(const Profile& profile) = 0;

  virtual absl::Status InsertReceipt(const ConsentReceipt& receipt) = 0;
  virtual absl::Status SetReceiptWithdrawn(const ReceiptId& id, absl::Time withdraw_time) = 0;
  // The receipt of this purpose that was granted last, withdrawn or not.
  virtual absl::StatusOr<std::optional<ConsentReceipt>> FindLatestReceipt(
      const MemberId& member, ConsentPurpose purpose) = 0;
  // Newest first.
  virtual absl::StatusOr<Page<ConsentReceipt>> ListReceipts(const MemberId& member,
                                                            const PageRequest& page) = 0;

  // Inserts the block with an outbox entry for every receiver; when the blocker blocked this person
  // before, changes nothing. Returns the block that now stands.
  virtual absl::StatusOr<Block> InsertBlock(const Block& block) = 0;
  // Receivers that did not confirm the block yet.
  virtual absl::StatusOr<std::vector<Receiver>> UnconfirmedReceivers(const BlockId& id) = 0;
  // By this member, newest first.
  virtual absl::StatusOr<Page<Block>> ListBlocks(const MemberId& blocker,
                                                 const PageRequest& page) = 0;
  virtual absl::StatusOr<int> CountBlocks(const MemberId& blocker) = 0;
  // By or against this member, oldest first.
  virtual absl::StatusOr<std::vector<Block>> BlocksConcerning(const MemberId& member) = 0;

  // Puts the person on the list or, when they are on it, changes the relation; the time stays that
  // of the first. Returns what now stands.
  virtual absl::StatusOr<AvoidedMember> PutAvoided(const AvoidedMember& avoided) = 0;
  // False when the person is not on it.
  virtual absl::StatusOr<bool> RemoveAvoided(const MemberId& member, const MemberId& other) = 0;
  virtual absl::StatusOr<std::optional<AvoidedMember>> FindAvoided(const MemberId& member,
                                                                   const MemberId& other) = 0;
  virtual absl::StatusOr<int> CountAvoided(const MemberId& member) = 0;
  // Newest first.
  virtual absl::StatusOr<Page<AvoidedMember>> ListAvoided(const MemberId& member,
                                                          const PageRequest& page) = 0;

  // Changes nothing when there is a case of this id. The reporter must exist: their key seals it.
  virtual absl::Status InsertCase(const Case& opened) = 0;
  virtual absl::StatusOr<std::optional<Case>> FindCase(const CaseId& id) = 0;

  // Nothing when the member is unknown.
  virtual absl::StatusOr<std::optional<MemberSnapshot>> GetSnapshot(const MemberId& member) = 0;
};

// Where profiles keeps its truth. Thread-safe.
class Store {
 public:
  using Work = absl::FunctionRef<absl::Status(Unit&)>;

  virtual ~Store() = default;

  // `work` may run several times and must set afresh what it captures; see storage::Database.
  virtual absl::Status Write(absl::Time deadline, Work work) = 0;
  virtual absl::Status Read(absl::Time deadline, Work work) = 0;

  // Entries of `receiver` that are due, blocks first, then oldest first, at most `limit`, with what
  // is to be sent as it stands now.
  virtual absl::StatusOr<std::vector<OutboxEntry>> DueOutbox(Receiver receiver, absl::Time now,
                                                             int limit, absl::Time deadline) = 0;
  // Removes delivered entries, except where a newer version was asked for meanwhile.
  virtual absl::Status RemoveOutbox(Receiver receiver, absl::Span<const OutboxEntry> delivered,
                                    absl::Time deadline) = 0;
  // An entry waits until `due`, and was refused `attempts` times; not where a newer version was
  // asked for meanwhile.
  virtual absl::Status DeferOutbox(Receiver receiver, const OutboxEntry& entry, absl::Time due,
                                   int attempts, absl::Time deadline) = 0;
  virtual absl::StatusOr<OutboxState> GetOutboxState(Receiver receiver, absl::Time deadline) = 0;

  // Deletes expired challenges and answers, at most `limit` of each; how many.
  virtual absl::StatusOr<int64_t> Trim(absl::Time now, int64_t limit, absl::Time deadline) = 0;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_DOMAIN_STORE_H_
