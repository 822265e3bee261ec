#ifndef HANDRAIL_SERVICES_PROFILES_STORES_PROFILE_STORE_H_
#define HANDRAIL_SERVICES_PROFILES_STORES_PROFILE_STORE_H_

#include <vector>

#include "common/storage/database.h"
#include "services/profiles/domain/store.h"
#include "services/profiles/stores/member_cipher.h"

namespace handrail::profiles {

// The store over SQLite or PostgreSQL. The database must have been migrated with
// ProfilesMigrations() and, like the cipher, outlive this. Thread-safe.
class ProfileStore final : public Store {
 public:
  ProfileStore(storage::Database& database, const MemberCipher& cipher)
      : database_(database), cipher_(cipher) {}

  absl::Status Write(absl::Time deadline, Work work) override;
  absl::Status Read(absl::Time deadline, Work work) override;
  absl::StatusOr<std::vector<OutboxEntry>> DueOutbox(Receiver receiver, absl::Time now, int limit,
                                                     absl::Time deadline) override;
  absl::Status RemoveOutbox(Receiver receiver, absl::Span<const OutboxEntry> delivered,
                            absl::Time deadline) override;
  absl::Status DeferOutbox(Receiver receiver, const OutboxEntry& entry, absl::Time due,
                           int attempts, absl::Time deadline) override;
  absl::StatusOr<OutboxState> GetOutboxState(Receiver receiver, absl::Time deadline) override;
  absl::StatusOr<int64_t> Trim(absl::Time now, int64_t limit, absl::Time deadline) override;

 private:
  storage::Database& database_;
  const MemberCipher& cipher_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_STORES_PROFILE_STORE_H_
