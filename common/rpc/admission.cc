#include "common/rpc/admission.h"

#include <algorithm>

#include "common/base/status.h"

namespace handrail::rpc {
namespace {

using common::v1::CallClass;

constexpr int64_t kChangeIntervalNs = 100'000'000;

// The share of the limit that a class may fill, in percent.
int ShareOf(CallClass call_class) {
  switch (call_class) {
    case CallClass::CALL_CLASS_MESSAGING: return 100;
    case CallClass::CALL_CLASS_MATCHING: return 85;
    default: return 65;
  }
}

}  // namespace

Admission::Admission(int min_in_flight, int max_in_flight, absl::Duration target_queue_wait)
    : min_(std::max(1, std::min(min_in_flight, max_in_flight))),
      max_(std::max(1, max_in_flight)),
      target_ns_(absl::ToInt64Nanoseconds(target_queue_wait)),
      limit_(max_) {}

bool Admission::TryEnter(CallClass call_class) {
  // Others never fill the last tenth, so that safety has room when they have taken all of theirs.
  const int others = std::max(1, std::min(Limit(), max_ - max_ / 10));
  const int allowed = call_class == CallClass::CALL_CLASS_SAFETY
                          ? max_
                          : std::max(1, others * ShareOf(call_class) / 100);
  if (in_flight_.fetch_add(1, std::memory_order_relaxed) < allowed) return true;
  in_flight_.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

void Admission::ObserveWait(int64_t wait_ns, int64_t now_ns) {
  const int limit = Limit();
  const bool too_long = wait_ns > target_ns_;
  // Grow only while the limit is what holds calls back.
  if (!too_long && (limit == max_ || InFlight() * 2 < limit)) return;
  int64_t last = last_change_ns_.load(std::memory_order_relaxed);
  if (now_ns - last < kChangeIntervalNs) return;
  if (!last_change_ns_.compare_exchange_strong(last, now_ns, std::memory_order_relaxed)) return;
  const int step = std::max(1, limit / 10);
  limit_.store(std::clamp(too_long ? limit - step : limit + step, min_, max_),
               std::memory_order_relaxed);
}

StreamCounter::StreamCounter(int max_streams, int max_streams_per_caller)
    : max_streams_(max_streams),
      max_streams_per_caller_(max_streams_per_caller),
      state_(std::make_shared<State>()) {}

absl::StatusOr<std::shared_ptr<void>> StreamCounter::Enter(absl::string_view caller) {
  {
    MutexLock lock(state_->mutex);
    if (state_->open >= max_streams_) {
      return Error(absl::StatusCode::kResourceExhausted, reason::kOverloaded)
          .Message("too many streams are open")
          .RetryAfter(absl::Seconds(5));
    }
    int& own = state_->by_caller[caller];
    if (own >= max_streams_per_caller_) {
      return Error(absl::StatusCode::kResourceExhausted, reason::kRateLimited)
          .Message("this caller has too many streams open")
          .RetryAfter(absl::Seconds(30));
    }
    ++own;
    ++state_->open;
  }
  return std::shared_ptr<void>(nullptr, [state = state_, name = std::string(caller)](void*) {
    MutexLock lock(state->mutex);
    --state->open;
    const auto it = state->by_caller.find(name);
    if (--it->second == 0) state->by_caller.erase(it);
  });
}

int StreamCounter::Open() const {
  MutexLock lock(state_->mutex);
  return state_->open;
}

}  // namespace handrail::rpc
