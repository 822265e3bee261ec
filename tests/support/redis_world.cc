#include "tests/support/redis_world.h"

#include <functional>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/storage/redis.h"
#include "common/testing/temporary_redis_cluster.h"
#include "common/testing/temporary_redis_sentinel.h"
#include "tests/support/stop_signal.h"

namespace handrail::tests {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

absl::Status WaitUntil(const char* what, const std::function<bool()>& is_so) {
  const SystemClock clock;
  const absl::Time give_up = clock.Now() + kPatience;
  StopSignal pause;
  while (!is_so()) {
    if (clock.Now() > give_up) return absl::DeadlineExceededError(what);
    pause.Pause(absl::Milliseconds(50));
  }
  return absl::OkStatus();
}

class SentinelWorld final : public RedisWorld {
 public:
  std::string url() const override { return redis_.url(); }

  absl::StatusOr<std::string> FailOver(Random&) override {
    const int primary = redis_.Primary();
    if (primary < 0) return absl::FailedPreconditionError("there is no primary");
    redis_.node(primary).Kill();
    RETURN_IF_ERROR(WaitUntil("the sentinels chose no new primary", [&] {
      const int now = redis_.Primary();
      return now >= 0 && now != primary;
    }));
    redis_.node(primary).Start();
    redis_.WaitUntilWell();
    return std::string("kill -9 the primary, sentinels fail over");
  }
  void FlushAll() override { redis_.FlushAll(); }
  absl::StatusOr<int64_t> CountQueued() override {
    return CountQueuedAt(redis_.node(redis_.Primary()).url());
  }

 private:
  testing::TemporaryRedisSentinel redis_;
};

class ClusterWorld final : public RedisWorld {
 public:
  std::string url() const override { return redis_.url(); }

  absl::StatusOr<std::string> FailOver(Random& chance) override {
    const int slot = static_cast<int>(chance.Below(16384));
    const int owner = redis_.OwnerOf(slot);
    if (owner < 0) return absl::FailedPreconditionError("nobody serves the slot");
    redis_.node(owner).Kill();
    RETURN_IF_ERROR(WaitUntil("no replica took the slots over", [&] {
      const int now = redis_.OwnerOf(slot);
      return now >= 0 && now != owner;
    }));
    redis_.node(owner).Start();
    redis_.WaitUntilWell();
    return std::string("kill -9 a master of the cluster, its replica takes over");
  }
  void FlushAll() override { redis_.FlushAll(); }
  absl::StatusOr<int64_t> CountQueued() override {
    int64_t queued = 0;
    for (int i = 0; i < redis_.size(); ++i) {
      ASSIGN_OR_RETURN(const int64_t here, CountQueuedAt(redis_.node(i).url()));
      queued += here;
    }
    return queued;
  }

 private:
  static testing::TemporaryRedisCluster::Options WithReplicas() {
    testing::TemporaryRedisCluster::Options options;
    options.replicas = 1;
    return options;
  }
  testing::TemporaryRedisCluster redis_{WithReplicas()};
};

}  // namespace

absl::string_view Name(RedisKind kind) {
  switch (kind) {
    case RedisKind::kSingle: return "single";
    case RedisKind::kSentinel: return "sentinel";
    case RedisKind::kCluster: return "cluster";
  }
  return "unknown";
}

std::unique_ptr<RedisWorld> RedisWorld::Make(RedisKind kind) {
  switch (kind) {
    case RedisKind::kSingle: return nullptr;
    case RedisKind::kSentinel: return std::make_unique<SentinelWorld>();
    case RedisKind::kCluster: return std::make_unique<ClusterWorld>();
  }
  return nullptr;
}

absl::StatusOr<int64_t> CountQueuedAt(const std::string& url) {
  storage::RedisOptions options;
  options.url = url;
  ASSIGN_OR_RETURN(const auto redis, storage::ConnectRedis(options));
  const absl::Time deadline = SystemClock().Now() + absl::Seconds(5);
  ASSIGN_OR_RETURN(const storage::RedisReply role, redis->Command(deadline, {"ROLE"}));
  if (role.elements.empty() || role.elements[0].text != "master") return 0;
  ASSIGN_OR_RETURN(const storage::RedisReply keys, redis->Command(deadline, {"KEYS", "hr:*:q"}));
  int64_t queued = 0;
  for (const storage::RedisReply& key : keys.elements) {
    ASSIGN_OR_RETURN(const storage::RedisReply count,
                     redis->Command(deadline, {"ZCARD", key.text}));
    queued += count.integer;
  }
  return queued;
}

}  // namespace handrail::tests
