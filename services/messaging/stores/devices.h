#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_DEVICES_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_DEVICES_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/storage/database.h"
#include "services/messaging/domain/messages.h"

namespace handrail::messaging {

// Notes that a device was heard of; writes at most once an hour and device. One that had been
// silent for so long that it no longer counted is brought back: what it has not acknowledged beyond
// the backlog is given up for it and becomes a Gap, so that its return does not silence the
// senders.
absl::Status TouchDevice(storage::Transaction& tx, const Limits& limits, absl::Time now,
                         const DeviceId& device);
// The same of several, in one question when there is nothing to write.
absl::Status TouchDevices(storage::Transaction& tx, const Limits& limits, absl::Time now,
                          absl::Span<const DeviceId> devices);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_DEVICES_H_
