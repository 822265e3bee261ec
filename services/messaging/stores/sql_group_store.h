#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_SQL_GROUP_STORE_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_SQL_GROUP_STORE_H_

#include "common/storage/database.h"
#include "services/messaging/domain/groups.h"

namespace handrail::messaging {

// Groups in the message store's database, whose migrations are SqlMessageStore::Create's.
// Thread-safe.
class SqlGroupStore final : public GroupStore {
 public:
  // `database` must outlive the store.
  SqlGroupStore(storage::Database& database, const Limits& limits, const GroupLimits& group_limits)
      : database_(database), limits_(limits), group_limits_(group_limits) {}

  absl::StatusOr<Committed> Commit(absl::Time deadline, absl::Time now,
                                   const CommitBundle& bundle) override;
  absl::StatusOr<Group> GetGroup(absl::Time deadline, const MemberId& member,
                                 const DeviceId& device,
                                 const ConversationId& conversation) override;
  absl::StatusOr<WelcomePage> FetchWelcomes(absl::Time deadline, const MemberId& member,
                                            const DeviceId& device) override;
  absl::Status AckWelcome(absl::Time deadline, const MemberId& member, const DeviceId& device,
                          const ConversationId& conversation, int64_t sequence) override;
  absl::StatusOr<ReportedCommit> ReportInvalidCommit(const Call& call, absl::Time now,
                                                     const InvalidCommit& commit) override;

 private:
  storage::Database& database_;
  const Limits limits_;
  const GroupLimits group_limits_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_SQL_GROUP_STORE_H_
