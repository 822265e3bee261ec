#ifndef HANDRAIL_COMMON_RPC_ADMISSION_H_
#define HANDRAIL_COMMON_RPC_ADMISSION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "handrail/common/v1/policy.pb.h"

namespace handrail::rpc {

// How many unary calls may be under way at once. The limit follows the time that work waits for a
// thread: longer than the target, and it is cut by a tenth (at most every 100 ms); shorter while
// the limit is being reached, and it grows again. Each class of calls may fill only its share, so
// that when it gets tight browsing is refused first, then matching, then messaging; safety may use
// all of `max_in_flight`, whatever the limit of the others is. Thread-safe, lock-free.
class Admission {
 public:
  Admission(int min_in_flight, int max_in_flight, absl::Duration target_queue_wait);

  // True: Leave must follow.
  bool TryEnter(common::v1::CallClass call_class);
  void Leave() { in_flight_.fetch_sub(1, std::memory_order_relaxed); }
  // What a call waited before a thread took it, at steady time `now_ns`.
  void ObserveWait(int64_t wait_ns, int64_t now_ns);

  int InFlight() const { return in_flight_.load(std::memory_order_relaxed); }
  int Limit() const { return limit_.load(std::memory_order_relaxed); }

 private:
  const int min_;
  const int max_;
  const int64_t target_ns_;
  std::atomic<int> in_flight_{0};
  std::atomic<int> limit_;
  std::atomic<int64_t> last_change_ns_{0};
};

// How many streams are open, in all and by caller. Thread-safe.
class StreamCounter {
 public:
  StreamCounter(int max_streams, int max_streams_per_caller);

  // RESOURCE_EXHAUSTED / OVERLOADED for all, RATE_LIMITED for the caller, both with RetryInfo. The
  // returned hold gives the place back; it may outlive the counter.
  absl::StatusOr<std::shared_ptr<void>> Enter(absl::string_view caller);
  int Open() const;

 private:
  struct State {
    Mutex mutex;
    int open ABSL_GUARDED_BY(mutex) = 0;
    absl::flat_hash_map<std::string, int> by_caller ABSL_GUARDED_BY(mutex);
  };
  const int max_streams_;
  const int max_streams_per_caller_;
  const std::shared_ptr<State> state_;
};

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_ADMISSION_H_
