#ifndef HANDRAIL_COMMON_BASE_OUTBOX_LOOP_H_
#define HANDRAIL_COMMON_BASE_OUTBOX_LOOP_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/random.h"

namespace handrail {

// What waits in a ledger for one receiver, and the way there. Entries that are in hand are named by
// their place. For one thread.
class OutboxQueue {
 public:
  virtual ~OutboxQueue() = default;

  // Takes in hand, instead of what was, at most `limit` entries that are due; how many. Those whose
  // time came first are first, at least among entries of a kind.
  virtual absl::StatusOr<size_t> TakeDue(absl::Time deadline, absl::Time now, int limit) = 0;
  // How many, from `first` on, go to the receiver in one call; at least 1.
  virtual size_t CountTogether(size_t first) const = 0;
  // OK means that the receiver has committed them. What cannot be read here is a refusal, too.
  virtual absl::Status Send(absl::Time deadline, size_t first, size_t count) = 0;
  virtual absl::Status Remove(absl::Time deadline, size_t first, size_t count) = 0;
  // How often the entry was refused.
  virtual int Attempts(size_t place) const = 0;
  // The entry is not due before `due`, and was refused so often.
  virtual absl::Status Defer(absl::Time deadline, size_t place, absl::Time due, int attempts) = 0;
};

struct OutboxLoopOptions {
  int batch_limit = 16;
  absl::Duration send_timeout = absl::Seconds(5);
  absl::Duration first_backoff = absl::Milliseconds(100);
  absl::Duration longest_backoff = absl::Seconds(10);
  // How long an entry that is refused waits, doubled with each attempt up to the longest.
  absl::Duration first_deferral = absl::Seconds(1);
  absl::Duration longest_deferral = absl::Minutes(10);
  // After so many failures in a row, one entry is tried at a time, and goes behind the others when
  // it fails: it may be what the receiver fails of.
  int failures_before_others = 10;
};

// Whether a status says of the receiver, and not of what it was sent, that it takes nothing now.
bool IsReceiverDown(const absl::Status& status);

// Delivers an outbox, at least once: an entry is removed after the receiver has committed it, and
// never dropped. A receiver that is down is tried again with jittered, growing pauses. Whatever
// else it answers is a refusal of this very entry: it is set aside for a growing while, alone,
// counted by its code and logged, and those behind it go on. Any number of replicas may run one.
// Run() is for one thread; the counters may be read on any.
class OutboxLoop {
 public:
  // All must outlive it. `component` is what logs call it.
  OutboxLoop(OutboxQueue& queue, std::string component, const Clock& clock, Random& random,
             const OutboxLoopOptions& options);

  // Sends what is due until nothing is left, or the receiver or the ledger fails. Returns at once
  // during a pause.
  void Run();
  // Makes Run return after the call in hand.
  void Stop() { stopping_ = true; }

  int64_t delivered() const { return delivered_; }
  // Failed calls and refusals.
  int64_t failures() const { return failures_; }
  // Refusals by the code of each.
  std::map<absl::StatusCode, int64_t> Refusals() const;

 private:
  absl::Status SendAll(size_t count);
  // Together, or, when one of them is refused, one by one.
  absl::Status SendApart(size_t first, size_t count);
  // Removes what was delivered; sets a refused entry aside; passes other errors on.
  absl::Status Settle(size_t first, size_t count, const absl::Status& outcome);
  absl::Status SetAside(size_t place, const absl::Status& outcome);
  absl::Status PutBehind(size_t first, size_t count);
  void Pause(const absl::Status& cause);
  bool IsStuck() const { return failures_in_a_row_ >= options_.failures_before_others; }
  absl::Time Deadline() const { return clock_.Now() + options_.send_timeout; }

  OutboxQueue& queue_;
  const std::string component_;
  const Clock& clock_;
  Random& random_;
  const OutboxLoopOptions options_;

  int failures_in_a_row_ = 0;
  absl::Time paused_until_ = absl::InfinitePast();
  std::atomic<bool> stopping_ = false;
  std::atomic<int64_t> delivered_ = 0;
  std::atomic<int64_t> failures_ = 0;
  mutable Mutex mutex_;
  std::map<absl::StatusCode, int64_t> refusals_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace handrail

#endif  // HANDRAIL_COMMON_BASE_OUTBOX_LOOP_H_
