#ifndef HANDRAIL_COMMON_RPC_DRAIN_NOTIFIER_H_
#define HANDRAIL_COMMON_RPC_DRAIN_NOTIFIER_H_

#include <cstdint>
#include <functional>
#include <map>

#include "common/base/mutex.h"

namespace handrail::rpc {

// Tells every open stream, once, that the process is about to stop. Thread-safe.
class DrainNotifier {
 public:
  using Subscription = uint64_t;  // 0: none, because the drain has begun already

  // `on_drain` runs once, on the thread that drains, without any lock held. It must not block.
  // Returns 0, and does not keep it, when the drain has begun.
  Subscription Subscribe(std::function<void()> on_drain);
  // `on_drain` may be in progress when this returns: it holds a weak_ptr to what it touches.
  void Unsubscribe(Subscription subscription);
  void Notify();  // idempotent
  bool Draining() const;

 private:
  mutable Mutex mutex_;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint64_t, std::function<void()>> subscribers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_DRAIN_NOTIFIER_H_
