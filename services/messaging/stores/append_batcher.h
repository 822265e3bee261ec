#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_APPEND_BATCHER_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_APPEND_BATCHER_H_

#include <deque>
#include <memory>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/storage/database.h"
#include "services/messaging/domain/franking.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/stores/append_unit.h"

namespace handrail::messaging {

// Collects appends while a commit is on its way and stores them with the next: the first goes at
// once, no timer. One batch is on its way at a time, so appends keep the order in which they came.
// Thread-safe.
class AppendBatcher {
 public:
  struct Options {
    Limits limits;
    const Franker* franker = nullptr;  // stamps what has a commitment; null: nothing is stamped
    size_t batch_limit = 128;
    size_t batch_bytes_limit = 2 << 20;
    size_t queue_limit = 8192;            // appends waiting; more get OVERLOADED
    size_t queue_bytes_limit = 64 << 20;  // likewise
    absl::Duration batch_timeout = absl::Seconds(10);
  };

  // `listener` may be null. All must outlive the batcher.
  AppendBatcher(storage::Database& database, const Clock& clock, const Options& options,
                CommitListener* listener);
  // Waits until everything that was accepted is answered.
  ~AppendBatcher();

  void Add(Append append, std::shared_ptr<Wakeable> wake_after, MessageStore::AppendDone done);
  // Until everything that was accepted is answered: `batch_timeout` and a little more.
  void WaitUntilIdle();
  // The listener before it hears nothing more once this returns. Not to be called by a listener.
  void SetListener(CommitListener* listener);

 private:
  struct Item {
    Append append;
    std::shared_ptr<Wakeable> wake_after;
    MessageStore::AppendDone done;
  };
  struct Batch {
    std::vector<Item> items;
    std::vector<const Append*> appends;  // into items
    AppendOutcome outcome;
    int attempts = 0;
  };
  using BatchPtr = std::shared_ptr<Batch>;

  // Takes the next batch, or notes that nothing is on its way.
  BatchPtr TakeBatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Submit(BatchPtr batch);
  void OnDone(const BatchPtr& batch, absl::Status status);
  void Report(Batch& batch, const absl::Status& status);
  // True when the batch collided with another one of another replica and is on its way again.
  bool Resubmit(const BatchPtr& batch, const absl::Status& status);

  storage::Database& database_;
  const Clock& clock_;
  const Options options_;

  Mutex mutex_;
  CondVar idle_;
  CommitListener* listener_ ABSL_GUARDED_BY(mutex_);
  std::deque<Item> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queue_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool in_flight_ ABSL_GUARDED_BY(mutex_) = false;
  int reporting_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_APPEND_BATCHER_H_
