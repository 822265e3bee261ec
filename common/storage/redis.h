#ifndef HANDRAIL_COMMON_STORAGE_REDIS_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/clock.h"

namespace handrail::storage {

struct RedisReply {
  // kError only inside an array (MULTI/EXEC): an error at the top is the Status of the command.
  enum class Type { kNil, kInteger, kString, kStatus, kArray, kError };
  Type type = Type::kNil;
  int64_t integer = 0;
  std::string text;                  // kString, kStatus; kError: the first word of the error
  std::vector<RedisReply> elements;  // kArray

  bool IsNil() const { return type == Type::kNil; }
};

// A Lua script with a name for errors and metrics. Sent by hash (EVALSHA); loaded again by itself
// when the server has forgotten it. Cheap to copy; the copies share one text.
class RedisScript {
 public:
  RedisScript(std::string name, std::string source);
  const std::string& name() const { return content_->name; }
  const std::string& source() const { return content_->source; }
  const std::string& sha1_hex() const { return content_->sha1_hex; }

 private:
  struct Content {
    std::string name;
    std::string source;
    std::string sha1_hex;
  };
  std::shared_ptr<const Content> content_;
};

// A Redis (or Valkey): one server, the primary that sentinels name, or a cluster. Thread-safe:
// commands of many threads are pipelined on one link to each server.
//
// Redis is an index that may be lost (design rule 1), so every failure is one of two things:
//   UNAVAILABLE / REDIS_UNAVAILABLE   no connection, connection lost (the command may have run),
//                                     LOADING, or the backlog of the link is full
//   DEADLINE_EXCEEDED                 no answer in time (the command may have run)
//   INTERNAL / REDIS_ERROR            the server refused the command or the script: our own bug
// The link reconnects by itself with jittered back-off. While there is no connection, commands fail
// at once; only during the very first attempt do they wait, for connect_timeout at most.
// Commands of one thread run in the order they were sent, except a script that the server had
// forgotten: it is sent again behind whatever was sent meanwhile.
// An error names the first word of the server's text and the script or command, never its data.
//
// A cluster is followed by itself: its map, MOVED, ASK. A command for a slot whose owner is not
// there (a failover, a slot that is being moved) is sent again, with back-off, until its deadline
// or RedisOptions::owner_patience; then it is UNAVAILABLE or DEADLINE_EXCEEDED as above. A command
// whose connection was lost is among them: in a cluster everything must bear to be run twice. The
// order is kept for each slot as long as nothing is sent again. All keys of a command must be in
// one slot; what would tell of one node only (KEYS, SCAN, FLUSHALL) gives INTERNAL.
class Redis {
 public:
  using Done = std::function<void(absl::StatusOr<RedisReply>)>;

  virtual ~Redis() = default;

  absl::StatusOr<RedisReply> Command(absl::Time deadline, absl::Span<const absl::string_view> args);
  absl::StatusOr<RedisReply> Eval(absl::Time deadline, const RedisScript& script,
                                  absl::Span<const std::string> keys,
                                  absl::Span<const std::string> args);
  // `done` is called exactly once, on the link thread, which must not be blocked: the blocking
  // forms called from there give INTERNAL. Destroying the Redis completes what is left with
  // UNAVAILABLE.
  void CommandAsync(absl::Time deadline, absl::Span<const absl::string_view> args, Done done);
  void EvalAsync(absl::Time deadline, const RedisScript& script, absl::Span<const std::string> keys,
                 absl::Span<const std::string> args, Done done);

  // True while a connection is up. A hint only.
  virtual bool IsConnected() const = 0;
  // Raised by one on each (re)connection to any server, so that a user can notice that it may have
  // missed something.
  virtual int64_t ConnectionEpoch() const = 0;
  // Names the server that holds `key`, as far as is known: keys whose owners have one name are
  // served by one server. Empty while that is not known. A name says nothing else; a server that
  // restarts keeps it.
  virtual std::string OwnerOf(absl::string_view key) const = 0;

 private:
  virtual void DoCommand(absl::Time deadline, absl::Span<const absl::string_view> args,
                         Done done) = 0;
  virtual void DoEval(absl::Time deadline, const RedisScript& script,
                      absl::Span<const std::string> keys, absl::Span<const std::string> args,
                      Done done) = 0;
};

// Wake-ups through Redis pub/sub, on a connection of its own. Messages may be lost, doubled or
// late; whoever listens also sweeps. Thread-safe.
class RedisSubscriber {
 public:
  using Listener = std::function<void(absl::string_view channel, absl::string_view payload)>;
  virtual ~RedisSubscriber() = default;

  // Subscribes; survives reconnection. Counted: each Subscribe wants its own Unsubscribe.
  virtual void Subscribe(const std::string& channel) = 0;
  virtual void Unsubscribe(const std::string& channel) = 0;
  // True as soon as the server has confirmed the subscription: from then on nothing published is
  // missed while the connection lasts. False when `deadline` passes first. Not from the listener.
  virtual bool WaitUntilSubscribed(const std::string& channel, absl::Time deadline) = 0;
  virtual bool IsConnected() const = 0;
};

struct RedisOptions {
  // See RedisTarget in redis_endpoint.h: redis://, rediss://, unix://, redis+sentinel://,
  // redis-cluster://, with credentials, and options for TLS and for passwords in files.
  std::string url;
  absl::Duration connect_timeout = absl::Seconds(1);
  absl::Duration max_backoff = absl::Seconds(1);
  size_t backlog_limit = 65536;           // commands sent or waiting; more get UNAVAILABLE at once
  size_t backlog_bytes_limit = 64 << 20;  // bytes not yet written to the socket, likewise
  // A connection on which commands wait and nothing arrives for this long is given up as dead.
  absl::Duration stall_timeout = absl::Seconds(10);
  // The subscriber sends a PING after this much silence, and gives up after the second time span.
  absl::Duration keep_alive = absl::Seconds(15);
  absl::Duration keep_alive_timeout = absl::Seconds(5);
  // Cluster: how long a slot may be without an owner that can be reached before its commands fail
  // at once, as they do when a single server is down. Whoever can do without Redis wants this
  // short.
  absl::Duration owner_patience = absl::InfiniteDuration();
  // Cluster: how often the map is read again without a reason; a node that hangs gives none.
  absl::Duration map_refresh = absl::Seconds(1);
  // What deadlines are measured against; null is the machine's clock. Not owned.
  const Clock* clock = nullptr;
};

// INVALID_ARGUMENT / CONFIGURATION_INVALID for a bad URL or a file that it names and that cannot be
// used, with every fault. Does not wait for the server: a Redis
// that is down when we start is a Redis that is down.
absl::StatusOr<std::unique_ptr<Redis>> ConnectRedis(const RedisOptions& options);
// `listener` runs on the subscriber's thread and must not block. `on_reconnect` (may be empty) runs
// there after each reconnection, when all channels are subscribed again: whatever was published
// meanwhile is lost. It also runs after a first connection that took more than one attempt. In a
// cluster any node serves: what is published anywhere reaches all of them.
absl::StatusOr<std::unique_ptr<RedisSubscriber>> ConnectRedisSubscriber(
    const RedisOptions& options, RedisSubscriber::Listener listener,
    std::function<void()> on_reconnect);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_H_
