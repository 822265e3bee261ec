#include "common/storage/redis.h"

#include <openssl/sha.h>

#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/storage/redis_cluster.h"
#include "common/storage/redis_endpoint.h"
#include "common/storage/redis_link.h"
#include "common/storage/redis_sentinel.h"

namespace handrail::storage {
namespace {

// Redis names scripts by SHA-1; nothing of ours relies on it being strong.
std::string Sha1Hex(absl::string_view text) {
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), sizeof(digest)));
}

// Lets a thread wait for a callback. The link completes every command by its deadline, or by
// RedisOptions::stall_timeout when it has none, so the wait ends too.
class Waiter {
 public:
  Redis::Done Callback() {
    return [this](absl::StatusOr<RedisReply> reply) {
      MutexLock lock(mutex_);
      reply_ = std::move(reply);
      ready_.Signal();  // under the lock: after it the waiter may be gone
    };
  }
  absl::StatusOr<RedisReply> Await() {
    MutexLock lock(mutex_);
    while (!reply_.has_value()) ready_.Wait(mutex_);
    return *std::move(reply_);
  }

 private:
  Mutex mutex_;
  CondVar ready_;
  std::optional<absl::StatusOr<RedisReply>> reply_ ABSL_GUARDED_BY(mutex_);
};

absl::Status BlockingOnLinkThreadError() {
  return Error(absl::StatusCode::kInternal, reason::kRedisError)
      .Message("a blocking Redis command in a Redis callback would wait for itself");
}

}  // namespace

RedisScript::RedisScript(std::string name, std::string source) {
  std::string sha1_hex = Sha1Hex(source);
  content_ = std::make_shared<const Content>(
      Content{std::move(name), std::move(source), std::move(sha1_hex)});
}

absl::StatusOr<RedisReply> Redis::Command(absl::Time deadline,
                                          absl::Span<const absl::string_view> args) {
  if (RedisLink::OnLinkThread()) return BlockingOnLinkThreadError();
  Waiter waiter;
  DoCommand(deadline, args, waiter.Callback());
  return waiter.Await();
}

absl::StatusOr<RedisReply> Redis::Eval(absl::Time deadline, const RedisScript& script,
                                       absl::Span<const std::string> keys,
                                       absl::Span<const std::string> args) {
  if (RedisLink::OnLinkThread()) return BlockingOnLinkThreadError();
  Waiter waiter;
  DoEval(deadline, script, keys, args, waiter.Callback());
  return waiter.Await();
}

void Redis::CommandAsync(absl::Time deadline, absl::Span<const absl::string_view> args, Done done) {
  DoCommand(deadline, args, std::move(done));
}

void Redis::EvalAsync(absl::Time deadline, const RedisScript& script,
                      absl::Span<const std::string> keys, absl::Span<const std::string> args,
                      Done done) {
  DoEval(deadline, script, keys, args, std::move(done));
}

absl::StatusOr<std::unique_ptr<Redis>> ConnectRedis(const RedisOptions& options) {
  ASSIGN_OR_RETURN(RedisTarget target, ParseRedisUrl(options.url));
  RETURN_IF_ERROR(OpenRedisFiles(target));
  switch (target.topology) {
    case RedisTarget::Topology::kCluster:
      return std::unique_ptr<Redis>(std::make_unique<RedisCluster>(std::move(target), options));
    case RedisTarget::Topology::kSentinel:
      return std::unique_ptr<Redis>(std::make_unique<SentinelRedis>(std::move(target), options));
    case RedisTarget::Topology::kSingle: break;
  }
  return std::unique_ptr<Redis>(std::make_unique<RedisLink>(
      LocateTarget(std::move(target), options.connect_timeout), options));
}

}  // namespace handrail::storage
