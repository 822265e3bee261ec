#include "services/messaging/domain/push_queue.h"

#include <algorithm>

namespace handrail::messaging {

void PushQueue::Put(const DeviceId& device, const Entry& entry) {
  const auto [place, fresh] = entries_.try_emplace(device, entry);
  if (!fresh) {
    order_.erase({place->second.due, device});
    wanted_ -= place->second.wanted ? 1 : 0;
    place->second = entry;
  }
  order_.insert({entry.due, device});
  wanted_ += entry.wanted ? 1 : 0;
}

int64_t PushQueue::Note(absl::Span<const DeviceId> devices, absl::Time due) {
  int64_t left_out = 0;
  MutexLock lock(mutex_);
  for (const DeviceId& device : devices) {
    const auto found = entries_.find(device);
    if (found != entries_.end()) {
      wanted_ += found->second.wanted ? 0 : 1;
      found->second.wanted = true;
    } else if (entries_.size() < limit_) {
      Put(device, {due, true});
    } else {
      ++left_out;
    }
  }
  return left_out;
}

bool PushQueue::NoteAnew(const DeviceId& device, absl::Time due) {
  MutexLock lock(mutex_);
  if (entries_.size() >= limit_ && !entries_.contains(device)) return false;
  Put(device, {due, true});
  return true;
}

void PushQueue::Rest(const DeviceId& device, absl::Time until) {
  MutexLock lock(mutex_);
  const auto found = entries_.find(device);
  const bool wanted = found != entries_.end() && found->second.wanted;
  if (found == entries_.end() && entries_.size() >= limit_) return;
  Put(device, {found == entries_.end() ? until : std::max(until, found->second.due), wanted});
}

std::vector<DeviceId> PushQueue::Take(absl::Time now, size_t limit) {
  std::vector<DeviceId> due;
  MutexLock lock(mutex_);
  while (due.size() < limit && !order_.empty() && order_.begin()->first <= now) {
    const DeviceId device = order_.begin()->second;
    order_.erase(order_.begin());
    const auto found = entries_.find(device);
    if (found->second.wanted) {
      due.push_back(device);
      --wanted_;
    }
    entries_.erase(found);
  }
  return due;
}

int64_t PushQueue::WaitingCount() const {
  MutexLock lock(mutex_);
  return wanted_;
}

size_t PushQueue::Size() const {
  MutexLock lock(mutex_);
  return entries_.size();
}

}  // namespace handrail::messaging
