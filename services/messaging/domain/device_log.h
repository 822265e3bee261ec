#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_DEVICE_LOG_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_DEVICE_LOG_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/call.h"
#include "common/base/ids.h"

// Which devices a member has and had: entries are only added, and each holds the hash of the one
// before, so that who remembers the newest notices when an older one is changed or taken away. It
// makes what the server says of devices something that the server cannot take back unseen; it does
// not prove that it was true.
namespace handrail::messaging {

enum class DeviceLogKind { kAdded = 1, kRevoked = 2 };

inline constexpr size_t kDeviceLogHashBytes = 32;  // SHA-256

struct DeviceLogEntry {
  int64_t index = 0;  // from 1, dense
  DeviceLogKind kind = DeviceLogKind::kAdded;
  DeviceId device;
  std::string public_key;  // Ed25519, 32 bytes
  absl::Time create_time;
  std::string previous_hash;  // zeros in the first
  std::string hash;
};

// What `hash` is SHA-256 of. Every part has a fixed length, so that no two entries give the same.
std::string DeviceLogHashInput(const MemberId& member, const DeviceLogEntry& entry);

struct DeviceLogPage {
  std::vector<DeviceLogEntry> entries;
  int64_t head_index = 0;
  std::string head_hash;    // zeros while there is no entry
  bool incomplete = false;  // devices came or went of which there is no entry yet
};

// The truth about device logs. Entries are added where profiles' snapshots are applied
// (MessageStore::ApplyMembers), in the same transaction. Thread-safe.
class DeviceLogStore {
 public:
  virtual ~DeviceLogStore() = default;
  // Entries of `of` after `after_index`, at most `limit`. Errors: NOT_FOUND unless `of` is the
  // caller or takes part with them in an open conversation; NOT_FOUND / DEVICE_UNKNOWN;
  // PERMISSION_DENIED / DEVICE_REVOKED; those of storage::Database.
  virtual absl::StatusOr<DeviceLogPage> List(absl::Time deadline, const MemberId& member,
                                             const DeviceId& device, const MemberId& of,
                                             int64_t after_index, int64_t limit) = 0;
};

// What a device can do with device logs. Thread-safe; blocks until `call.deadline`.
class DeviceLogs {
 public:
  struct Options {
    int max_page_size = 200;
    int default_page_size = 100;
  };
  // Asks profiles of a member, of whom messaging was not told all.
  using Learn = std::function<absl::Status(const Call&, const MemberId&)>;

  // `store` must outlive it.
  DeviceLogs(DeviceLogStore& store, Learn learn, const Options& options)
      : store_(store), learn_(std::move(learn)), options_(options) {}

  // Codes of DeviceLogStore::List. Where an entry is missing, for want of a key or because a
  // process of before applied the snapshot, profiles is asked; without its answer the log is told
  // as it is. `page_size` 0 means the default; more than the most is cut.
  absl::StatusOr<DeviceLogPage> List(const Call& call, const MemberId& of, int64_t after_index,
                                     int page_size);

 private:
  DeviceLogStore& store_;
  const Learn learn_;
  const Options options_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_DEVICE_LOG_H_
