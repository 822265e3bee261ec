#ifndef HANDRAIL_COMMON_STORAGE_REDIS_CONNECTION_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_CONNECTION_H_

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/storage/redis.h"
#include "common/storage/redis_locator.h"
#include "common/storage/redis_protocol.h"
#include "common/storage/redis_transport.h"

namespace handrail::storage {

using SteadyTime = std::chrono::steady_clock::time_point;

// One connection to one node that comes back by itself: finding the node, connect, log in, read and
// write, full-jitter back-off. Knows nothing of what the replies mean. All of it runs on the one
// thread that calls Turn(); only Wake() may come from others.
class RedisConnection {
 public:
  // Called from within Turn().
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void OnReady() = 0;
    virtual void OnReply(const redisReply& reply) = 0;
    // An attempt failed or the connection was lost. `why` is fit for errors. It is a text and not
    // an absl::Status, because whoever gets an error shall get one of its own: the packaged Abseil
    // is not instrumented, and ThreadSanitizer sees a race where threads share a Status.
    virtual void OnDown(absl::string_view why) = 0;
  };

  // `component` names the user in log lines: a literal.
  RedisConnection(std::unique_ptr<RedisLocator> locator, const RedisOptions& options,
                  absl::string_view component, Handler& handler);
  ~RedisConnection();

  // Ends the wait of the Turn() in progress, or of the next one.
  void Wake();
  // Waits until something happens, Wake() is called or `until` has come, and deals with it.
  void Turn(SteadyTime until);

  bool IsReady() const { return state_ == State::kReady; }
  // Appends to the output; Flush() writes as much as the socket takes. Only while ready.
  void Send(absl::string_view wire);
  // Like Send, and takes the buffer over when nothing is waiting before it.
  void Send(std::string& wire);
  void Flush();
  size_t UnsentBytes() const { return output_.size() - output_sent_; }
  SteadyTime last_read() const { return last_read_; }
  // The connection has proved useful: the next back-off starts small again.
  void ResetBackoff() { attempt_ = 0; }
  // Gives the connection up at the end of the Turn() in progress, or of the next one.
  void DropSoon(absl::string_view why);
  // The node of this or the last attempt, as RedisEndpoint::Address().
  const std::string& address() const { return address_; }

 private:
  enum class State { kDown, kLocating, kConnecting, kLoggingIn, kReady };
  enum class LoginStep { kAuth, kSetName, kRole };

  int PollTimeoutMs(SteadyTime until) const;
  void DrainWakeups();
  void BeginAttempt();
  void TakeLocated();
  void UseLocated(RedisLocator::Found found);
  void ConnectNextAddress();
  void GoOnConnecting();
  void SendLogin();
  void ReadReplies();
  void HandleLoginReply(const redisReply& reply);
  std::string LoginFault(LoginStep step, const redisReply& reply) const;
  std::string MissingInTime() const;
  std::string ClosedReason() const;
  void Fail(absl::string_view why);

  const std::unique_ptr<RedisLocator> locator_;
  std::string address_;  // where this or the last attempt went
  const std::chrono::nanoseconds connect_timeout_;
  const std::chrono::nanoseconds max_backoff_;
  const absl::string_view component_;
  Handler& handler_;
  SystemRandom random_;
  int wake_fd_ = -1;

  State state_ = State::kDown;
  std::unique_ptr<RedisTransport> transport_;
  RedisReaderPtr reader_;
  std::vector<char> read_buffer_;
  std::string output_;
  size_t output_sent_ = 0;
  std::string drop_reason_;  // not empty: drop at the end of the turn
  SteadyTime next_attempt_at_ = SteadyTime::min();
  SteadyTime give_up_at_ = SteadyTime::max();  // of the attempt in progress
  SteadyTime last_read_ = SteadyTime::min();
  int attempt_ = 0;
  std::deque<LoginStep> login_steps_;  // not answered yet
  bool reported_down_ = false;

  std::vector<RedisAddress> addresses_;
  size_t next_address_ = 0;
  std::string last_failure_;  // of this attempt
  Mutex located_mutex_;
  std::optional<RedisLocator::Found> located_ ABSL_GUARDED_BY(located_mutex_);
  bool locator_busy_ = false;
  std::unique_ptr<Executor> locating_;  // unless the locator is immediate; last: uses what is above
};

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_CONNECTION_H_
