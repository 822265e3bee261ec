#include "services/messaging/stores/append_batcher.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"

namespace handrail::messaging {
namespace {

// Collisions of a message id between two replicas are someone's retry that crossed itself: the
// second look finds the message.
constexpr int kAttemptsLimit = 3;

}  // namespace

AppendBatcher::AppendBatcher(storage::Database& database, const Clock& clock,
                             const Options& options, CommitListener* listener)
    : database_(database), clock_(clock), options_(options), listener_(listener) {}

AppendBatcher::~AppendBatcher() { WaitUntilIdle(); }

void AppendBatcher::WaitUntilIdle() {
  MutexLock lock(mutex_);
  while (in_flight_ || reporting_ > 0) idle_.Wait(mutex_);
}

void AppendBatcher::SetListener(CommitListener* listener) {
  MutexLock lock(mutex_);
  listener_ = listener;
  while (reporting_ > 0) idle_.Wait(mutex_);
}

void AppendBatcher::Add(Append append, std::shared_ptr<Wakeable> wake_after,
                        MessageStore::AppendDone done) {
  BatchPtr batch;
  {
    MutexLock lock(mutex_);
    const size_t bytes = append.payload.size();
    if (queue_.size() < options_.queue_limit &&
        queue_bytes_ + bytes <= options_.queue_bytes_limit) {
      queue_bytes_ += bytes;
      queue_.push_back(Item{std::move(append), std::move(wake_after), std::move(done)});
      done = nullptr;
      if (!in_flight_) batch = TakeBatch();
    }
  }
  if (done != nullptr) {
    done(Error(absl::StatusCode::kResourceExhausted, reason::kOverloaded)
             .Message("too many messages are waiting to be stored")
             .RetryAfter(absl::Milliseconds(200)));
    if (wake_after != nullptr) wake_after->Wake();
    return;
  }
  if (batch != nullptr) Submit(std::move(batch));
}

AppendBatcher::BatchPtr AppendBatcher::TakeBatch() {
  in_flight_ = !queue_.empty();
  if (!in_flight_) return nullptr;
  auto batch = std::make_shared<Batch>();
  batch->items.reserve(std::min(queue_.size(), options_.batch_limit));
  size_t bytes = 0;
  while (
      !queue_.empty() && batch->items.size() < options_.batch_limit &&
      (bytes == 0 || bytes + queue_.front().append.payload.size() <= options_.batch_bytes_limit)) {
    bytes += queue_.front().append.payload.size();
    batch->items.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queue_bytes_ -= bytes;
  for (const Item& item : batch->items) batch->appends.push_back(&item.append);
  return batch;
}

void AppendBatcher::Submit(BatchPtr batch) {
  // One deadline for all: that of the most patient caller, within reason. A caller that has given
  // up meanwhile repeats under the same message id.
  const absl::Time now = clock_.Now();
  absl::Time deadline = now;
  for (const Append* append : batch->appends) deadline = std::max(deadline, append->deadline);
  deadline = std::min(deadline, now + options_.batch_timeout);
  database_.WriteAsync(
      deadline,
      [this, batch](storage::Transaction& tx) {
        return RunAppends(tx, options_.limits, options_.franker, clock_.Now(), batch->appends,
                          batch->outcome);
      },
      [this, batch](absl::Status status) { OnDone(batch, std::move(status)); });
}

bool AppendBatcher::Resubmit(const BatchPtr& batch, const absl::Status& status) {
  if (!absl::IsAlreadyExists(status) || ++batch->attempts >= kAttemptsLimit) return false;
  Submit(batch);
  return true;
}

void AppendBatcher::OnDone(const BatchPtr& batch, absl::Status status) {
  if (Resubmit(batch, status)) return;
  BatchPtr next;
  {
    MutexLock lock(mutex_);
    next = TakeBatch();
    ++reporting_;
  }
  // The next batch is on its way to the disk while this one is reported.
  if (next != nullptr) Submit(std::move(next));
  Report(*batch, status);
  MutexLock lock(mutex_);
  --reporting_;
  if (reporting_ == 0) idle_.SignalAll();
}

void AppendBatcher::Report(Batch& batch, const absl::Status& status) {
  CommitListener* listener = nullptr;
  {
    MutexLock lock(mutex_);
    listener = listener_;
  }
  for (size_t i = 0; i < batch.items.size(); ++i) {
    batch.items[i].done(status.ok() ? std::move(batch.outcome.results[i])
                                    : absl::StatusOr<Appended>(status));
  }
  if (status.ok() && listener != nullptr && !batch.outcome.committed.empty()) {
    listener->OnCommitted(batch.outcome.committed);
  }
  const Wakeable* last = nullptr;
  for (const Item& item : batch.items) {
    if (item.wake_after == nullptr || item.wake_after.get() == last) continue;
    last = item.wake_after.get();
    item.wake_after->Wake();
  }
}

}  // namespace handrail::messaging
