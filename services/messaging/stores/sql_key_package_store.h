#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_SQL_KEY_PACKAGE_STORE_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_SQL_KEY_PACKAGE_STORE_H_

#include <string>

#include "common/storage/database.h"
#include "services/messaging/domain/key_packages.h"

namespace handrail::messaging {

// The key packages on SQLite or PostgreSQL, in the tables that SqlMessageStore migrates. Of two who
// claim at once each takes another package, and neither waits for the other. Thread-safe.
class SqlKeyPackageStore final : public KeyPackageStore {
 public:
  // `database` must outlive the store.
  SqlKeyPackageStore(storage::Database& database, const KeyPackageLimits& limits)
      : database_(database), limits_(limits) {}

  absl::StatusOr<KeyPackageCount> Publish(absl::Time deadline, absl::Time now,
                                          const MemberId& member, const DeviceId& device,
                                          absl::Span<const NewKeyPackage> packages,
                                          const NewKeyPackage* last_resort) override;
  absl::StatusOr<KeyPackageCount> Count(absl::Time deadline, absl::Time now, const MemberId& member,
                                        const DeviceId& device) override;
  absl::StatusOr<KeyPackageClaim> Claim(absl::Time deadline, absl::Time now, const MemberId& member,
                                        const DeviceId& device, const std::string& claim_id,
                                        const ConversationId& conversation,
                                        absl::Span<const DeviceId> devices) override;
  absl::StatusOr<KeyPackageTrim> Trim(absl::Time deadline, absl::Time now) override;

 private:
  storage::Database& database_;
  const KeyPackageLimits limits_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_SQL_KEY_PACKAGE_STORE_H_
