#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_DEVICE_LOG_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_DEVICE_LOG_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/storage/database.h"
#include "services/messaging/domain/device_log.h"

namespace handrail::messaging {

// Adds to a member's log what became of their devices since its last entry, the member locked:
// REVOKED for those that went, ADDED for those that came and whose key is in `keys`. One whose key
// nobody has said yet is added once somebody has.
absl::Status LogDevices(storage::Transaction& tx, absl::Time now, const MemberId& member,
                        const std::map<DeviceId, std::string>& keys);

// Forgets the log of a member who asked to be forgotten, the member locked.
absl::Status ForgetDeviceLog(storage::Transaction& tx, const MemberId& member);

// The number of entries, of all logs, whose hash is not that of what they say and of the entry
// before.
absl::StatusOr<int64_t> CountBrokenDeviceLogEntries(storage::Transaction& tx);

// Device logs on SQLite or PostgreSQL, in the tables that SqlMessageStore migrates. Thread-safe.
class SqlDeviceLogStore final : public DeviceLogStore {
 public:
  // `database` must outlive the store.
  explicit SqlDeviceLogStore(storage::Database& database) : database_(database) {}

  absl::StatusOr<DeviceLogPage> List(absl::Time deadline, const MemberId& member,
                                     const DeviceId& device, const MemberId& of,
                                     int64_t after_index, int64_t limit) override;

 private:
  storage::Database& database_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_DEVICE_LOG_H_
