#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_WATCH_STREAM_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_WATCH_STREAM_H_

#include <memory>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/rpc/stream_writer.h"
#include "services/matching/domain/watch_hub.h"

// What all watches of this service have in common.
namespace handrail::matching {

inline constexpr absl::Duration kWatchReadTimeout = absl::Seconds(5);

inline absl::Status RevokedError() {
  return Error(absl::StatusCode::kUnauthenticated, reason::kTokenRevoked)
      .Message("the device was removed");
}

// Ends the watch with the stream, whichever of them is there first.
class WatchEnd {
 public:
  explicit WatchEnd(WatchHub& hub) : hub_(hub) {}
  void Set(std::shared_ptr<WatchHub::Watch> watch) {
    bool over = false;
    {
      MutexLock lock(mutex_);
      over = over_;
      watch_ = watch;
    }
    if (over) hub_.End(watch);
  }
  void End() {
    std::shared_ptr<WatchHub::Watch> watch;
    {
      MutexLock lock(mutex_);
      over_ = true;
      watch = std::move(watch_);
    }
    if (watch != nullptr) hub_.End(watch);
  }

 private:
  WatchHub& hub_;
  Mutex mutex_;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<WatchHub::Watch> watch_ ABSL_GUARDED_BY(mutex_);
};

template <typename Response>
rpc::StreamOptions<Response> OptionsFor(rpc::StreamSlot slot, WatchHub& hub,
                                        const std::string& topic,
                                        const std::shared_ptr<WatchEnd>& end) {
  rpc::StreamOptions<Response> options;
  options.slot = std::move(slot);
  options.ping = [] {
    Response response;
    response.mutable_ping();
    return response;
  };
  options.closing = [](rpc::StreamEnd, absl::Duration retry_after) {
    Response response;
    response.mutable_closing()->set_retry_after_ms(
        static_cast<int32_t>(absl::ToInt64Milliseconds(retry_after)));
    return response;
  };
  options.on_writable = [&hub, topic] { hub.WakeLocal(topic); };
  options.on_done = [end] { end->End(); };
  return options;
}

// What passes by itself: the stream stays, and the next sweep reads again.
inline bool IsTransient(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kDeadlineExceeded ||
         status.code() == absl::StatusCode::kResourceExhausted ||
         status.code() == absl::StatusCode::kAborted;
}

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_WATCH_STREAM_H_
