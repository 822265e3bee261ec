#ifndef HANDRAIL_COMMON_RPC_STREAM_SENDER_H_
#define HANDRAIL_COMMON_RPC_STREAM_SENDER_H_

#include <grpcpp/server_context.h>

#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/rpc/drain_notifier.h"
#include "common/rpc/edge.h"
#include "common/rpc/status_conversion.h"
#include "common/rpc/timer_queue.h"

namespace handrail::rpc {

// What all streams of a process share. Outlives them all.
struct StreamEnvironment {
  TimerQueue& timers;
  DrainNotifier& drain;
  Random& random;
};

// Why a stream ends without anyone having asked for it.
enum class StreamEnd { kDraining, kAge };

// All callbacks are optional, run on threads of the library and must not block. They are dropped
// when the stream is done, so they may hold what holds the stream.
template <typename Response>
struct StreamOptions {
  StreamSlot slot;           // of AdmitStream
  size_t queue_limit = 256;  // responses that wait to be written
  absl::Duration ping_interval = absl::Seconds(20);
  absl::Duration lifetime = absl::Minutes(30);  // ± 20 %, by chance
  // A client that takes nothing for so long after Close is cut off.
  absl::Duration close_grace = absl::Seconds(10);
  // Makes the sign of life; null: no pings. Not sent while other responses wait.
  std::function<Response()> ping;
  // Makes the last response of a stream that ends by itself, with the time to wait before opening
  // the stream again, already jittered. Null: it ends without one.
  std::function<Response(StreamEnd, absl::Duration retry_after)> closing;
  // There is room again after TryWrite returned false for want of it.
  std::function<void()> on_writable;
  // The stream is over, whoever ended it. Exactly once; nothing runs after it.
  std::function<void()> on_done;
};

// The writing half of a stream: use it through StreamWriter or BidiStream. Thread-safe.
template <typename Response>
class StreamSender : public std::enable_shared_from_this<StreamSender<Response>> {
 public:
  virtual ~StreamSender() = default;

  // Queues a response. False when the queue is full (on_writable will tell) or the stream is
  // closing or over (IsClosed tells which).
  bool TryWrite(Response response) { return TryMove(response); }

  // The same, and `response` is left as it is when this returns false.
  bool TryMove(Response& response) {
    Action action;
    {
      MutexLock lock(mutex_);
      if (closing_ || cancelled_ || finishing_) return false;
      if (queue_.size() >= options_.queue_limit) {
        starved_ = true;
        return false;
      }
      queue_.push_back(std::move(response));
      action = NextAction();
    }
    Take(action);
    return true;
  }

  // Ends the stream with `status` after what is queued has been written. The first call counts.
  void Close(absl::Status status = absl::OkStatus()) { CloseWith(std::move(status), nullptr); }

  // True when nothing can be written any more.
  bool IsClosed() const {
    MutexLock lock(mutex_);
    return closing_ || cancelled_ || finishing_;
  }

  size_t QueuedCount() const {
    MutexLock lock(mutex_);
    return queue_.size();
  }

 protected:
  StreamSender(const StreamEnvironment& environment, grpc::CallbackServerContext* context,
               StreamOptions<Response> options)
      : environment_(environment), options_(std::move(options)), context_(context) {}

  // The reactor underneath; alive until OnStreamDone.
  virtual void StartWriteNow(const Response* response) = 0;
  virtual void FinishNow(grpc::Status status) = 0;

  // Timers and the drain begin after construction, because they need a weak_ptr.
  void StartTimers() {
    const double jitter = 0.8 + 0.4 * environment_.random.Unit();
    MutexLock lock(mutex_);
    SchedulePing();
    age_timer_ = environment_.timers.RunAfter(
        options_.lifetime * jitter, Weakly([](auto& self) { self.EndBecause(StreamEnd::kAge); }));
    drain_subscription_ = environment_.drain.Subscribe(
        Weakly([](auto& self) { self.EndBecause(StreamEnd::kDraining); }));
    if (drain_subscription_ == 0) {
      // The drain began between admission and here. Not from under our own lock.
      drain_timer_ = environment_.timers.RunAfter(
          absl::ZeroDuration(), Weakly([](auto& self) { self.EndBecause(StreamEnd::kDraining); }));
    }
  }

  void OnStreamWriteDone(bool ok) {
    Action action;
    std::function<void()> on_writable;
    {
      MutexLock lock(mutex_);
      writing_ = false;
      if (!ok) cancelled_ = true;
      if (starved_ && !closing_ && !cancelled_ && queue_.size() * 2 <= options_.queue_limit) {
        starved_ = false;
        on_writable = options_.on_writable;
      }
      action = NextAction();
    }
    Take(action);
    if (on_writable) on_writable();
  }

  void OnStreamCancelled() {
    Action action;
    {
      MutexLock lock(mutex_);
      cancelled_ = true;
      action = NextAction();
    }
    Take(action);
  }

  // The last reaction: afterwards the reactor and the context are gone.
  void OnStreamDone() {
    StreamOptions<Response> options;
    {
      MutexLock lock(mutex_);
      finishing_ = true;
      context_ = nullptr;
      options = std::move(options_);
      options_ = StreamOptions<Response>();
      options_.queue_limit = 0;
      queue_.clear();
      for (TimerQueue::TimerId timer : {ping_timer_, age_timer_, close_timer_, drain_timer_}) {
        if (timer != 0) environment_.timers.Cancel(timer);
      }
      if (drain_subscription_ != 0) environment_.drain.Unsubscribe(drain_subscription_);
    }
    if (options.on_done) options.on_done();
  }

  mutable Mutex mutex_;
  // True from the moment on when Finish is called: no other operation may start.
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;

 private:
  enum class Action { kNone, kWrite, kFinish };

  // Decides the one operation that may start now, and marks it as begun, so that whoever was told
  // to take it is the only one. Between Write and its completion nothing else starts, which is what
  // makes taking it outside of the lock safe.
  Action NextAction() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finishing_) return Action::kNone;
    if (cancelled_) {
      close_status_ = Error(absl::StatusCode::kCancelled, reason::kCancelled);
      finishing_ = true;
      return Action::kFinish;
    }
    if (!queue_.empty()) {
      current_ = std::move(queue_.front());
      queue_.pop_front();
      writing_ = true;
      return Action::kWrite;
    }
    if (closing_) {
      finishing_ = true;
      return Action::kFinish;
    }
    return Action::kNone;
  }

  void Take(Action action) {
    if (action == Action::kWrite) {
      StartWriteNow(&current_);
    } else if (action == Action::kFinish) {
      FinishNow(ToGrpcStatus(close_status_));  // nobody changes it once finishing_ is set
    }
  }

  void CloseWith(absl::Status status, const std::function<Response()>& last) {
    Action action;
    {
      MutexLock lock(mutex_);
      if (closing_ || cancelled_ || finishing_) return;
      if (last) queue_.push_back(last());  // one beyond the limit
      closing_ = true;
      close_status_ = std::move(status);
      action = NextAction();
      if (action != Action::kFinish) {
        close_timer_ = environment_.timers.RunAfter(options_.close_grace,
                                                    Weakly([](auto& self) { self.CutOff(); }));
      }
    }
    Take(action);
  }

  void EndBecause(StreamEnd end) {
    // Spread, so that the clients of a stopping process do not all come back at once.
    const absl::Duration most =
        end == StreamEnd::kDraining ? absl::Seconds(2) : absl::Milliseconds(500);
    const absl::Duration retry_after = most * environment_.random.Unit();
    std::function<Response(StreamEnd, absl::Duration)> closing;
    {
      MutexLock lock(mutex_);
      closing = options_.closing;
    }
    std::function<Response()> last;
    if (closing) last = [&] { return closing(end, retry_after); };
    CloseWith(absl::OkStatus(), last);
  }

  void CutOff() {
    MutexLock lock(mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }

  void SchedulePing() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!options_.ping || closing_ || finishing_) return;
    ping_timer_ = environment_.timers.RunAfter(options_.ping_interval,
                                               Weakly([](auto& self) { self.Ping(); }));
  }

  void Ping() {
    std::function<Response()> ping;
    {
      MutexLock lock(mutex_);
      if (queue_.empty()) ping = options_.ping;
    }
    if (ping) TryWrite(ping());
    MutexLock lock(mutex_);
    SchedulePing();
  }

  template <typename Function>
  std::function<void()> Weakly(Function function) {
    return [weak = this->weak_from_this(), function] {
      if (const auto self = weak.lock()) function(*self);
    };
  }

  const StreamEnvironment environment_;
  StreamOptions<Response> options_ ABSL_GUARDED_BY(mutex_);
  grpc::CallbackServerContext* context_ ABSL_GUARDED_BY(mutex_);  // null when the stream is over
  std::deque<Response> queue_ ABSL_GUARDED_BY(mutex_);
  Response current_;  // being written; touched only by who was told to write
  absl::Status close_status_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool starved_ ABSL_GUARDED_BY(mutex_) = false;
  TimerQueue::TimerId ping_timer_ ABSL_GUARDED_BY(mutex_) = 0;
  TimerQueue::TimerId age_timer_ ABSL_GUARDED_BY(mutex_) = 0;
  TimerQueue::TimerId close_timer_ ABSL_GUARDED_BY(mutex_) = 0;
  TimerQueue::TimerId drain_timer_ ABSL_GUARDED_BY(mutex_) = 0;
  DrainNotifier::Subscription drain_subscription_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_STREAM_SENDER_H_
