#ifndef HANDRAIL_COMMON_STORAGE_REDIS_LINK_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_LINK_H_

#include <atomic>
#include <deque>
#include <memory>
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
#include "common/storage/redis_endpoint.h"

namespace handrail::storage {

// One pipelined link to one node: one thread, one connection. A router over a cluster would own
// several of these. Thread-safe.
//
// Callers format their commands and append them to `incoming_`; the link thread takes all of them
// at once, writes them with one system call and hands out the replies in order. A command whose
// deadline passes is completed at once, and leaves its place in the order behind, so that its late
// reply is dropped and not given to the next.
class RedisLink final : public Redis, private RedisConnection::Handler {
 public:
  RedisLink(RedisEndpoint endpoint, const RedisOptions& options);
  ~RedisLink() override;

  bool IsConnected() const override { return connected_.load(std::memory_order_relaxed); }
  int64_t ConnectionEpoch() const override { return epoch_.load(std::memory_order_relaxed); }

  // True on the thread of any link: a blocking command there would wait for itself.
  static bool OnLinkThread();

 private:
  struct ScriptCall {
    RedisScript script;
    size_t arguments = 0;  // keys and args
    std::string tail;      // see WireEvalSha
    bool sent_as_text = false;
  };
  struct Operation {
    Done done;  // empty: completed already, its reply is dropped
    SteadyTime deadline;
    size_t wire_size = 0;
    std::unique_ptr<ScriptCall> script_call;
  };
  struct Batch {
    std::string wire;
    std::vector<Operation> operations;
  };
  struct Refusal {
    Done done;
    absl::Status status;
  };
  enum class Availability { kFirstAttempt, kUp, kDown };

  void DoCommand(absl::Time deadline, absl::Span<const absl::string_view> args, Done done) override;
  void DoEval(absl::Time deadline, const RedisScript& script, absl::Span<const std::string> keys,
              absl::Span<const std::string> args, Done done) override;
  void OnReady() override;
  void OnReply(const redisReply& reply) override;
  void OnDown(absl::string_view why) override;

  void Submit(absl::Time deadline, absl::string_view wire, std::unique_ptr<ScriptCall> script_call,
              Done done);
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

  const size_t backlog_limit_;
  const size_t backlog_bytes_limit_;
  const std::chrono::nanoseconds stall_timeout_;
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
