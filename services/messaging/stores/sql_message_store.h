#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_SQL_MESSAGE_STORE_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_SQL_MESSAGE_STORE_H_

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/storage/database.h"
#include "services/messaging/domain/key_packages.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/domain/push.h"
#include "services/messaging/stores/ack_batcher.h"
#include "services/messaging/stores/append_batcher.h"

namespace handrail::messaging {

// The message store on SQLite or PostgreSQL. Thread-safe.
class SqlMessageStore final : public MessageStore {
 public:
  struct Options {
    Limits limits;
    KeyPackageLimits key_packages;
    const Franker* franker = nullptr;  // must outlive the store; null: nothing is stamped
    AppendBatcher::Options append;     // its limits and franker are taken from above
    AckBatcher::Options ack;
    int64_t trim_conversations = 32;  // conversations that one step of retention looks at
    int64_t trim_messages = 500;      // messages of one conversation that one step trims
    ReplicaId replica;                // where streams are said to be; zero: nowhere
  };

  // Applies the migrations. All must outlive the store.
  static absl::StatusOr<std::unique_ptr<SqlMessageStore>> Create(storage::Database& database,
                                                                 const Clock& clock, Random& random,
                                                                 const Options& options);

  // Until every append that was accepted is answered. What the answers use must live that long.
  void WaitUntilIdle() { appends_.WaitUntilIdle(); }
  // Whoever hears of every commit of this process; null for nobody.
  void SetListener(CommitListener* listener) { appends_.SetListener(listener); }

  void AppendAsync(Append append, std::shared_ptr<Wakeable> wake_after, AppendDone done) override;
  void AckAsync(const DeviceId& device, std::vector<Cursor> cursors, AckDone done) override;
  absl::Status CheckCursors(absl::Time deadline, const MemberId& member, const DeviceId& device,
                            absl::Span<const Cursor> cursors) override;

  absl::StatusOr<MessagePage> Fetch(absl::Time deadline, const MemberId& member,
                                    const DeviceId& device, const ConversationId& conversation,
                                    int64_t after_sequence, int64_t limit) override;
  absl::StatusOr<Conversation> GetConversation(absl::Time deadline, const MemberId& member,
                                               const DeviceId& device,
                                               const ConversationId& conversation) override;
  absl::StatusOr<std::vector<Conversation>> ListConversations(
      absl::Time deadline, const MemberId& member, const DeviceId& device,
      const std::optional<ListPosition>& after, int64_t limit) override;

  absl::StatusOr<int64_t> StartStream(absl::Time deadline, absl::Time now, const MemberId& member,
                                      const DeviceId& device) override;
  absl::StatusOr<StreamSnapshot> ReadStream(absl::Time deadline, absl::Time now,
                                            const DeviceId& device,
                                            absl::Span<const StreamPosition> positions,
                                            bool everything, int64_t limit) override;
  absl::StatusOr<std::vector<StreamHeads>> ReadHeads(absl::Time deadline,
                                                     absl::Span<const DeviceId> devices) override;
  absl::Status TouchDevices(absl::Time deadline, absl::Time now,
                            absl::Span<const DeviceId> devices) override;

  absl::StatusOr<std::vector<MemberId>> UnknownMembers(absl::Time deadline,
                                                       absl::Span<const MemberId> members) override;
  absl::StatusOr<OpenedConversation> OpenConversation(absl::Time deadline, absl::Time now,
                                                      const PairingId& pairing,
                                                      absl::Span<const MemberId> members) override;
  absl::StatusOr<std::vector<WakeUp>> CloseConversation(absl::Time deadline, absl::Time now,
                                                        const PairingId& pairing) override;
  absl::StatusOr<std::vector<WakeUp>> ApplyMembers(
      absl::Time deadline, absl::Time now, absl::Span<const MemberSnapshot> members) override;
  absl::StatusOr<std::vector<WakeUp>> ApplyBlock(absl::Time deadline, absl::Time now,
                                                 const Block& block) override;

  absl::StatusOr<std::vector<WakeUp>> LeaveConversation(
      const Call& call, absl::Time now, const ConversationId& conversation) override;

  absl::StatusOr<RetentionResult> TrimSome(absl::Time deadline, absl::Time now) override;

 private:
  SqlMessageStore(storage::Database& database, const Clock& clock, Random& random,
                  const Options& options);

  storage::Database& database_;
  const Clock& clock_;
  Random& random_;
  const Options options_;
  AppendBatcher appends_;
  AckBatcher acks_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_SQL_MESSAGE_STORE_H_
