#include "common/rpc/timer_queue.h"

#include <algorithm>
#include <chrono>

namespace handrail::rpc {
namespace {

int64_t SteadyNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

TimerQueue::TimerQueue() : thread_([this] { Loop(); }) {}

TimerQueue::~TimerQueue() { Stop(); }

TimerQueue::TimerId TimerQueue::RunAfter(absl::Duration delay, std::function<void()> work) {
  const absl::Duration bounded = std::clamp(delay, absl::ZeroDuration(), absl::Hours(24 * 365));
  const int64_t due = SteadyNanoseconds() + absl::ToInt64Nanoseconds(bounded);
  MutexLock lock(mutex_);
  const TimerId id = next_id_++;
  const auto it = queue_.emplace(Due(due, id), std::move(work)).first;
  due_by_id_.emplace(id, due);
  if (it == queue_.begin()) wake_.Signal();
  return id;
}

void TimerQueue::Cancel(TimerId id) {
  std::function<void()> forgotten;  // destroyed without the lock: it may own what takes locks
  MutexLock lock(mutex_);
  const auto it = due_by_id_.find(id);
  if (it == due_by_id_.end()) return;
  const auto entry = queue_.find(Due(it->second, id));
  forgotten = std::move(entry->second);
  queue_.erase(entry);
  due_by_id_.erase(it);
}

void TimerQueue::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.Signal();
  }
  if (thread_.joinable()) thread_.join();
}

void TimerQueue::Loop() {
  mutex_.Lock();
  while (!stopping_) {
    if (queue_.empty()) {
      wake_.Wait(mutex_);
      continue;
    }
    const auto first = queue_.begin();
    const int64_t left = first->first.first - SteadyNanoseconds();
    if (left > 0) {
      wake_.WaitFor(mutex_, absl::Nanoseconds(left));
      continue;
    }
    std::function<void()> work = std::move(first->second);
    due_by_id_.erase(first->first.second);
    queue_.erase(first);
    mutex_.Unlock();
    work();
    work = nullptr;
    mutex_.Lock();
  }
  mutex_.Unlock();
}

}  // namespace handrail::rpc
