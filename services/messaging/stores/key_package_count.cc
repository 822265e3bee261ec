#include "services/messaging/stores/key_package_count.h"

#include "absl/strings/str_cat.h"
#include "common/base/macros.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {

absl::StatusOr<std::optional<KeyPackageCount>> FindKeyPackageCount(storage::Transaction& tx,
                                                                   absl::Time now,
                                                                   const KeyPackageLimits& limits,
                                                                   const DeviceId& device) {
  ASSIGN_OR_RETURN(
      const storage::Rows rows,
      tx.Query(absl::StrCat("SELECT (SELECT COUNT(*) FROM key_packages WHERE device_id = $1"
                            "  AND state = 1 AND ",
                            kKeyPackageEnd,
                            " > $2), (SELECT COUNT(*) FROM key_packages"
                            "  WHERE device_id = $1 AND state = 3 AND ",
                            kKeyPackageEnd,
                            " > $2), (SELECT COUNT(*) FROM (SELECT 1 AS one"
                            "  FROM key_packages WHERE device_id = $1 LIMIT 1) AS t)"),
               {device, now + limits.lifetime_margin}));
  const storage::Row& row = rows.front();
  if (row.Int(2) == 0) return std::optional<KeyPackageCount>();
  return std::optional<KeyPackageCount>(
      KeyPackageCount{row.Int(0), row.Int(1) > 0, row.Int(0) < limits.low_water});
}

absl::StatusOr<KeyPackageCount> CountKeyPackages(storage::Transaction& tx, absl::Time now,
                                                 const KeyPackageLimits& limits,
                                                 const DeviceId& device) {
  ASSIGN_OR_RETURN(const auto count, FindKeyPackageCount(tx, now, limits, device));
  return count.value_or(KeyPackageCount{0, false, 0 < limits.low_water});
}

}  // namespace handrail::messaging
