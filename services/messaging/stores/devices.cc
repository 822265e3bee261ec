#include "services/messaging/stores/devices.h"

#include "common/base/macros.h"

namespace handrail::messaging {
namespace {

constexpr absl::Duration kTouchInterval = absl::Hours(1);

}  // namespace

absl::Status TouchDevice(storage::Transaction& tx, const Limits& limits, absl::Time now,
                         const DeviceId& device) {
  ASSIGN_OR_RETURN(const storage::Rows rows,
                   tx.Query("SELECT last_seen_at FROM devices WHERE device_id = $1", {device}));
  if (rows.empty() || rows.front().Time(0) > now - kTouchInterval) return absl::OkStatus();
  if (rows.front().Time(0) <= now - limits.silent_after) {
    RETURN_IF_ERROR(
        tx.Execute("UPDATE conversation_devices SET skipped_sequence = v.reached FROM"
                   " (SELECT c.conversation_key AS k, c.head_sequence - $2 AS reached"
                   "  FROM conversations c JOIN conversation_devices d"
                   "  ON d.conversation_key = c.conversation_key WHERE d.device_id = $1) AS v"
                   " WHERE conversation_key = v.k AND device_id = $1 AND end_sequence IS NULL"
                   " AND acked_sequence < v.reached AND skipped_sequence < v.reached",
                   {device, limits.backlog_messages})
            .status());
  }
  return tx
      .Execute("UPDATE devices SET last_seen_at = $2 WHERE device_id = $1 AND last_seen_at < $2",
               {device, now})
      .status();
}

}  // namespace handrail::messaging
