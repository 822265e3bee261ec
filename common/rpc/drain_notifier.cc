#include "common/rpc/drain_notifier.h"

#include <utility>

namespace handrail::rpc {

DrainNotifier::Subscription DrainNotifier::Subscribe(std::function<void()> on_drain) {
  MutexLock lock(mutex_);
  if (draining_) return 0;
  subscribers_.emplace(next_, std::move(on_drain));
  return next_++;
}

void DrainNotifier::Unsubscribe(Subscription subscription) {
  std::function<void()> forgotten;  // destroyed without the lock
  MutexLock lock(mutex_);
  const auto it = subscribers_.find(subscription);
  if (it == subscribers_.end()) return;
  forgotten = std::move(it->second);
  subscribers_.erase(it);
}

void DrainNotifier::Notify() {
  std::map<uint64_t, std::function<void()>> subscribers;
  {
    MutexLock lock(mutex_);
    draining_ = true;
    subscribers.swap(subscribers_);
  }
  for (const auto& [id, on_drain] : subscribers) on_drain();
}

bool DrainNotifier::Draining() const {
  MutexLock lock(mutex_);
  return draining_;
}

}  // namespace handrail::rpc
