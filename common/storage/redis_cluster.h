#ifndef HANDRAIL_COMMON_STORAGE_REDIS_CLUSTER_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_CLUSTER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/storage/redis.h"
#include "common/storage/redis_endpoint.h"
#include "common/storage/redis_link.h"
#include "common/storage/redis_slots.h"

namespace handrail::storage {

// A Redis Cluster: a link to each master, a map of the slots, and one thread of its own, which
// reads the map and sends again what came back. Thread-safe.
//
// A call goes from the caller's thread straight into the link of its slot's owner. The link hands
// it back (RedisRouter) when the node refuses it for now or is not there. MOVED and ASK are
// followed at once; everything else waits in `waiting_` for its back-off, or for a map that has
// changed. A link is closed only by the cluster's own thread, never by one of the links.
class RedisCluster final : public Redis, private RedisRouter {
 public:
  RedisCluster(RedisTarget target, const RedisOptions& options);
  ~RedisCluster() override;

  bool IsConnected() const override { return connected_.load(std::memory_order_relaxed); }
  int64_t ConnectionEpoch() const override { return epoch_.load(std::memory_order_relaxed); }
  std::string OwnerOf(absl::string_view key) const override;

 private:
  using LinkPtr = std::shared_ptr<RedisLink>;
  using CallPtr = std::unique_ptr<RedisRoutedCall>;
  enum class Availability { kStarting, kUp, kDown };
  struct Waiting {
    CallPtr call;
    Done done;
    SteadyTime due;  // never after the call's deadline
  };
  struct Answered {  // for done, on the cluster's thread
    Done done;
    absl::StatusOr<RedisReply> reply;
  };
  struct Retired {
    LinkPtr link;
    SteadyTime close_at;  // earlier when it has nothing to do
  };

  void DoCommand(absl::Time deadline, absl::Span<const absl::string_view> args, Done done) override;
  void DoEval(absl::Time deadline, const RedisScript& script, absl::Span<const std::string> keys,
              absl::Span<const std::string> args, Done done) override;
  void TakeBack(CallPtr call, Done done, Why why, const std::string& address,
                absl::string_view text) override;
  void OnLinkUp() override;
  void OnLinkDown() override;

  void Begin(absl::Time deadline, absl::StatusOr<RedisRoute> route, CallPtr call, Done done);
  // To the node at `address`, or to the owner of its slot when that is empty.
  void Dispatch(CallPtr call, Done done, const std::string& address);
  void FollowRedirect(const RedisRedirect& redirect, CallPtr call, Done done);
  void Hold(CallPtr call, Done done);
  // `done` on the cluster's thread.
  void Complete(Done done, absl::StatusOr<RedisReply> reply);

  std::string AddressOf(const std::optional<int>& slot) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Null when there can be none.
  LinkPtr LinkTo(const std::string& address) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string AnyConnected() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteConnections() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HastenRefresh() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GoDown(std::string why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void Loop();
  SteadyTime NextWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SendDue();
  void SendStarting();
  // Closes what is no longer used; true when nothing is left.
  bool CloseRetired();
  // The map is asked of one node after the other, until one gives a whole one.
  void GoOnRefreshing();
  void BeginRefresh(SteadyTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnMap(const std::string& address, const absl::StatusOr<RedisReply>& reply);
  void Install(RedisSlotMap map) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndRefresh() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const RedisTarget target_;
  const RedisOptions options_;
  const std::chrono::nanoseconds owner_patience_;
  const SteadyTime started_at_ = std::chrono::steady_clock::now();
  const SystemClock system_clock_;
  const Clock& clock_;
  std::atomic<bool> connected_{false};
  std::atomic<int64_t> epoch_{0};

  mutable Mutex mutex_;
  CondVar wake_;
  SystemRandom random_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Availability availability_ ABSL_GUARDED_BY(mutex_) = Availability::kStarting;
  std::string down_reason_ ABSL_GUARDED_BY(mutex_) = "no node of the Redis Cluster has answered";
  std::unique_ptr<RedisSlotMap> map_ ABSL_GUARDED_BY(mutex_);  // null until the first
  std::map<std::string, LinkPtr> links_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, SteadyTime> down_since_ ABSL_GUARDED_BY(mutex_);  // of links that are down
  // Before the first map everything goes here; until it is empty again everything does, so that
  // nobody overtakes.
  std::vector<Waiting> starting_ ABSL_GUARDED_BY(mutex_);
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  std::vector<Answered> answered_ ABSL_GUARDED_BY(mutex_);
  std::vector<Retired> retired_ ABSL_GUARDED_BY(mutex_);

  // The refresh in progress, and when the next one is due.
  bool refreshing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ask_now_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::string> to_ask_ ABSL_GUARDED_BY(mutex_);     // the next one is the last
  std::unique_ptr<RedisSlotMap> best_ ABSL_GUARDED_BY(mutex_);  // of those that are not whole
  SteadyTime refresh_at_ ABSL_GUARDED_BY(mutex_) = SteadyTime::min();
  SteadyTime last_refresh_ ABSL_GUARDED_BY(mutex_) = SteadyTime::min();

  std::thread thread_;  // last: it uses everything above
};

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_CLUSTER_H_
