#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_ACK_BATCHER_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_ACK_BATCHER_H_

#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/storage/database.h"
#include "services/messaging/domain/message_store.h"

namespace handrail::messaging {

// Coalesces cumulative acknowledgements: many a second and stream become one row written a tick.
// Losing the last tick in a crash costs a repeated delivery, never a message: retention and the
// backlog look at what is on disk only. Thread-safe.
class AckBatcher {
 public:
  struct Options {
    absl::Duration tick = absl::Milliseconds(100);
    size_t batch_limit = 256;      // device and conversation pairs in one write
    size_t pending_limit = 65536;  // pairs; what is beyond waits for the next acknowledgement
    absl::Duration batch_timeout = absl::Seconds(10);
  };

  AckBatcher(storage::Database& database, const Clock& clock, const Limits& limits,
             const Options& options);
  // Stores what is pending, if the database lets it.
  ~AckBatcher();

  void Add(const DeviceId& device, const std::vector<Cursor>& cursors, MessageStore::AckDone done);

 private:
  using Key = std::pair<ConversationId, DeviceId>;
  struct Batch {
    std::vector<std::pair<Key, int64_t>> acks;  // sorted, so that rows are locked in one order
    std::vector<MessageStore::AckDone> waiters;
  };

  // Writes what is pending unless a write is on its way; that one then goes on with the rest.
  void Flush();
  void OnDone(const Batch& batch, const absl::Status& status);

  storage::Database& database_;
  const Clock& clock_;
  const Limits limits_;
  const Options options_;

  Mutex mutex_;
  CondVar idle_;
  absl::flat_hash_map<Key, int64_t> pending_ ABSL_GUARDED_BY(mutex_);
  std::vector<MessageStore::AckDone> waiters_ ABSL_GUARDED_BY(mutex_);
  bool in_flight_ ABSL_GUARDED_BY(mutex_) = false;

  PeriodicTask ticker_;  // last: it uses everything above
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_ACK_BATCHER_H_
