#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_PUSH_QUEUE_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_PUSH_QUEUE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/ids.h"
#include "common/base/mutex.h"

namespace handrail::messaging {

// The devices that somebody should look at, each once and each at its time. A device that was
// looked at is left alone for a while: what is noted meanwhile waits until then. Bounded.
// Thread-safe; does not block.
class PushQueue {
 public:
  explicit PushQueue(size_t limit) : limit_(limit) {}

  // Wants each device looked at, at `due` unless it waits for a time already. Returns how many
  // there was no room for.
  int64_t Note(absl::Span<const DeviceId> devices, absl::Time due);
  // Wants it looked at then, whatever was said of it before. False when there was no room.
  bool NoteAnew(const DeviceId& device, absl::Time due);
  // Not before `until`; and only if it was noted, or is noted meanwhile.
  void Rest(const DeviceId& device, absl::Time until);
  // Up to `limit` devices that are due. They are not in here any more.
  std::vector<DeviceId> Take(absl::Time now, size_t limit);
  // Of those that want to be looked at.
  int64_t WaitingCount() const;
  size_t Size() const;

 private:
  struct Entry {
    absl::Time due;
    bool wanted = false;
  };
  void Put(const DeviceId& device, const Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t limit_;
  mutable Mutex mutex_;
  absl::flat_hash_map<DeviceId, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  absl::btree_set<std::pair<absl::Time, DeviceId>> order_ ABSL_GUARDED_BY(mutex_);
  int64_t wanted_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_PUSH_QUEUE_H_
