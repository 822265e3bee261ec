#include "services/messaging/stores/devices.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/macros.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

constexpr absl::Duration kTouchInterval = absl::Hours(1);

std::string DueText(size_t count) {
  return absl::StrCat("SELECT device_id, last_seen_at FROM devices WHERE last_seen_at <= $1",
                      " AND device_id IN (", Parameters(2, count), ")");
}

absl::Status Touch(storage::Transaction& tx, const Limits& limits, absl::Time now,
                   const DeviceId& device, absl::Time last_seen) {
  if (last_seen <= now - limits.silent_after) {
    RETURN_IF_ERROR(
        tx.Later("UPDATE conversation_devices SET skipped_sequence = v.reached FROM"
                 " (SELECT c.conversation_key AS k, c.head_sequence - $2 AS reached"
                 "  FROM conversations c JOIN conversation_devices d"
                 "  ON d.conversation_key = c.conversation_key WHERE d.device_id = $1) AS v"
                 " WHERE conversation_key = v.k AND device_id = $1 AND end_sequence IS NULL"
                 " AND acked_sequence < v.reached AND skipped_sequence < v.reached",
                 {device, limits.backlog_messages}));
  }
  return tx.Later("UPDATE devices SET last_seen_at = $2 WHERE device_id = $1 AND last_seen_at < $2",
                  {device, now});
}

}  // namespace

absl::Status TouchDevice(storage::Transaction& tx, const Limits& limits, absl::Time now,
                         const DeviceId& device) {
  return TouchDevices(tx, limits, now, {&device, 1});
}

absl::Status TouchDevices(storage::Transaction& tx, const Limits& limits, absl::Time now,
                          absl::Span<const DeviceId> devices) {
  if (devices.empty()) return absl::OkStatus();
  storage::Args args = {now - kTouchInterval};
  const size_t count = PaddedCount(devices.size());
  for (size_t i = 0; i < count; ++i) {
    args.emplace_back(devices[std::min(i, devices.size() - 1)]);
  }
  ASSIGN_OR_RETURN(const storage::Rows due, tx.Query(DueText(count), args));
  for (const storage::Row& row : due) {
    RETURN_IF_ERROR(Touch(tx, limits, now, row.Id<DeviceId>(0), row.Time(1)));
  }
  return absl::OkStatus();
}

}  // namespace handrail::messaging
