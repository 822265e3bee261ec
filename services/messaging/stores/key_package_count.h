#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_KEY_PACKAGE_COUNT_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_KEY_PACKAGE_COUNT_H_

#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/storage/database.h"
#include "services/messaging/domain/key_packages.h"

namespace handrail::messaging {

// What a device has that can be handed out now; nothing when it has never published any. One
// statement over partial indexes.
absl::StatusOr<std::optional<KeyPackageCount>> FindKeyPackageCount(storage::Transaction& tx,
                                                                   absl::Time now,
                                                                   const KeyPackageLimits& limits,
                                                                   const DeviceId& device);
// The same, with zeros for one that has never published.
absl::StatusOr<KeyPackageCount> CountKeyPackages(storage::Transaction& tx, absl::Time now,
                                                 const KeyPackageLimits& limits,
                                                 const DeviceId& device);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_KEY_PACKAGE_COUNT_H_
