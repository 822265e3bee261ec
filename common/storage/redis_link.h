#ifndef HANDRAIL_COMMON_STORAGE_REDIS_LINK_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_LINK_H_

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/storage/redis.h"
#include "common/storage/redis_connection.h"
#include "common/storage/redis_locator.h"
#include "common/storage/redis_protocol.h"

namespace handrail::storage {

// A script call, as needed to send it again with its text.
struct RedisScriptCall {
  RedisScript script;
  size_t arguments = 0;  // keys and args
  std::string tail;      // see WireEvalSha
  bool sent_as_text = false;
};

// A command that a router may have to send again, to another node.
struct RedisRoutedCall {
  std::string wire;
  std::string verb;
  std::unique_ptr<RedisScriptCall> script_call;
  std::optional<int> slot;  // none: any node will do
  std::chrono::steady_clock::time_point deadline;
  bool asking = false;  // ASKING goes before it
  int attempts = 0;     // how often it came back
  // When it came back for the first time.
  std::optional<std::chrono::steady_clock::time_point> held_since;
  std::string last_failure;  // a text fit for errors
};

// Whoever owns the links to the nodes of a cluster. Called on the threads of the links.
class RedisRouter {
 public:
  enum class Why {
    kRefused,  // `text` is an error reply of ShouldRoute
    kNotSent,  // `text` says why
    kLost,     // it may have run; `text` says why there was no answer
  };
  virtual ~RedisRouter() = default;
  // `done` has not been called, and is the router's now.
  virtual void TakeBack(std::unique_ptr<RedisRoutedCall> call, Redis::Done done, Why why,
                        const std::string& address, absl::string_view text) = 0;
  virtual void OnLinkUp() = 0;
  virtual void OnLinkDown() = 0;
  // True for the first word of an error that another node or another moment may not give.
  static bool ShouldRoute(absl::string_view error_word);
};

// One pipelined link to one node: one thread, one connection. RedisCluster owns several of these.
// Thread-safe.
//
// Callers format their commands and append them to `incoming_`; the link thread takes all of them
// at once, writes them with one system call and hands out the replies in order. A command whose
// deadline passes is completed at once, and leaves its place in the order behind, so that its late
// reply is dropped and not given to the next.
class RedisLink final : public Redis, private RedisConnection::Handler {
 public:
  // With a router, calls that were sent by SendRouted go back to it; it must outlive the link.
  RedisLink(std::unique_ptr<RedisLocator> locator, const RedisOptions& options,
            RedisRouter* router = nullptr);
  ~RedisLink() override;

  bool IsConnected() const override { return connected_.load(std::memory_order_relaxed); }
  int64_t ConnectionEpoch() const override { return epoch_.load(std::memory_order_relaxed); }

  std::string OwnerOf(absl::string_view /*key*/) const override { return "server"; }

  void SendRouted(std::unique_ptr<RedisRoutedCall> call, Done done);
  // Lets a connection to any other server than the one at `address` go, and makes a new one.
  void ReconnectUnlessAt(std::string address);
  // Commands that were accepted and not answered yet. A hint.
  size_t PendingCount() const;

  // True on the thread of any link: a blocking command there would wait for itself.
  static bool OnLinkThread();
  // True for commands after which replies no longer answer the commands one by one.
  static bool BreaksPipelining(absl::string_view command);
  // Makes the caller's thread one for which OnLinkThread() holds.
  static void BecomeLinkThread();

 private:
  using ScriptCall = RedisScriptCall;
  struct Operation {
    Done done;  // empty: completed already, its reply is dropped
    SteadyTime deadline;
    size_t wire_size = 0;
    std::string verb;  // for errors; empty when script_call or routed say it
    std::unique_ptr<ScriptCall> script_call;
    std::unique_ptr<RedisRoutedCall> routed;
    bool asking_reply_due = false;

    ScriptCall* script() const {
      return routed != nullptr ? routed->script_call.get() : script_call.get();
    }
    RedisSubject subject() const;
  };
  struct Batch {
    std::string wire;
    std::vector<Operation> operations;
  };
  struct Refusal {
    Done done;
    absl::Status status;
    std::unique_ptr<RedisRoutedCall> routed;  // goes back instead
  };
  enum class Availability { kFirstAttempt, kUp, kDown };

  void DoCommand(absl::Time deadline, absl::Span<const absl::string_view> args, Done done) override;
  void DoEval(absl::Time deadline, const RedisScript& script, absl::Span<const std::string> keys,
              absl::Span<const std::string> args, Done done) override;
  void OnReady() override;
  void OnReply(const redisReply& reply) override;
  void OnDown(absl::string_view why) override;

  void Submit(absl::Time deadline, absl::string_view wire, absl::string_view verb,
              std::unique_ptr<ScriptCall> script_call, Done done);
  void Enqueue(Operation operation, absl::string_view prefix, absl::string_view wire);
  absl::Status Admit(size_t wire_size) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Refuse(Done done, absl::Status status);

  void Loop();
  bool TakeIncoming();  // false when the link is to stop
  void SendStaged();
  void ExpireOverdue();
  void CheckStall();
  SteadyTime PrepareToSleep();
  void SendAsEval(Operation operation);
  void FailAll(absl::string_view why);
  void FailOne(Operation& operation, RedisRouter::Why kind, absl::string_view why);
  void Answer(Refusal& refusal);

  const size_t backlog_limit_;
  const size_t backlog_bytes_limit_;
  const std::chrono::nanoseconds stall_timeout_;
  RedisRouter* const router_;
  const SystemClock system_clock_;
  const Clock& clock_;
  RedisConnection connection_;
  std::atomic<bool> connected_{false};
  std::atomic<int64_t> epoch_{0};

  mutable Mutex mutex_;
  Batch incoming_ ABSL_GUARDED_BY(mutex_);
  std::vector<Refusal> refused_ ABSL_GUARDED_BY(mutex_);
  bool sleeping_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Availability availability_ ABSL_GUARDED_BY(mutex_) = Availability::kFirstAttempt;
  std::string down_reason_ ABSL_GUARDED_BY(mutex_);
  std::string announced_address_ ABSL_GUARDED_BY(mutex_);
  // What the link thread holds beside `incoming_`, as it said last.
  size_t held_operations_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t held_bytes_ ABSL_GUARDED_BY(mutex_) = 0;

  // The link thread's own.
  Batch taken_;   // only between two lines of TakeIncoming; kept for its memory
  Batch staged_;  // not given to the socket yet
  std::deque<Operation> in_flight_;
  std::vector<Refusal> refused_taken_;
  SteadyTime next_expiry_ = SteadyTime::max();
  SteadyTime waiting_since_ = SteadyTime::max();  // when in_flight_ was last empty
  bool staged_has_expired_ = false;

  std::thread thread_;  // last: it uses everything above
};

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_LINK_H_
