#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_SQL_PUSH_STORE_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_SQL_PUSH_STORE_H_

#include <optional>
#include <string>
#include <vector>

#include "common/storage/database.h"
#include "services/messaging/domain/push.h"

namespace handrail::messaging {

// PushStore on the database that Migrations() has prepared. Nothing here is in the way of a send or
// of an acknowledgement: what a device has read is compared when somebody looks at it.
class SqlPushStore final : public PushStore {
 public:
  // `database` must outlive the store.
  SqlPushStore(storage::Database& database, const PushLimits& limits)
      : database_(database), limits_(limits) {}

  absl::Status Register(absl::Time deadline, const MemberId& member, const DeviceId& device,
                        const std::string& token) override;
  absl::Status Unregister(absl::Time deadline, const MemberId& member,
                          const DeviceId& device) override;
  absl::Status RenewLease(absl::Time deadline, absl::Time now, const ReplicaId& replica) override;
  absl::Status EndLease(absl::Time deadline, const ReplicaId& replica) override;
  absl::Status EndStreams(absl::Time deadline, const ReplicaId& replica,
                          absl::Span<const EndedStream> streams) override;
  absl::StatusOr<std::vector<PushStanding>> Look(absl::Time deadline, absl::Time now,
                                                 absl::Span<const DeviceId> devices) override;
  absl::StatusOr<std::vector<DeviceId>> ListDevices(absl::Time deadline, const DeviceId& after,
                                                    int64_t limit) override;
  absl::StatusOr<std::vector<std::optional<PushId>>> Claim(
      absl::Time deadline, absl::Span<const PushClaim> claims) override;
  absl::Status Settle(absl::Time deadline, absl::Time now, const PushClaim& claim,
                      PushOutcome outcome, absl::Time refused_until) override;

 private:
  storage::Database& database_;
  const PushLimits limits_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_SQL_PUSH_STORE_H_
