// How a RedisCluster reads its map.

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/status.h"
#include "common/storage/redis_cluster.h"

namespace handrail::storage {
namespace {

using std::chrono::milliseconds;

// Between two refreshes while nobody answers, at most.
constexpr milliseconds kPauseWhileDown{250};
constexpr milliseconds kRetiredGrace{1000};

std::string HostOf(const std::string& address) {
  const auto endpoint = ParseRedisAddress(address);
  return endpoint.ok() ? endpoint->host : std::string();
}

std::chrono::nanoseconds Scale(std::chrono::nanoseconds span, double factor) {
  return std::chrono::nanoseconds(static_cast<int64_t>(static_cast<double>(span.count()) * factor));
}

}  // namespace

void RedisCluster::BeginRefresh(SteadyTime now) {
  refreshing_ = true;
  ask_now_ = true;
  best_ = nullptr;
  last_refresh_ = now;
  std::set<std::string> known;
  for (const RedisEndpoint& seed : target_.seeds) known.insert(seed.Address());
  if (map_ != nullptr) known.insert(map_->nodes.begin(), map_->nodes.end());
  to_ask_.assign(known.begin(), known.end());
  for (size_t i = to_ask_.size(); i > 1; --i) {
    std::swap(to_ask_[i - 1], to_ask_[random_.Below(i)]);
  }
  // Whom we are connected to comes first, which is last here.
  std::set<std::string> connected;
  for (const auto& [address, link] : links_) {
    if (link->IsConnected()) connected.insert(address);
  }
  std::stable_partition(to_ask_.begin(), to_ask_.end(), [&connected](const std::string& address) {
    return !connected.contains(address);
  });
}

void RedisCluster::GoOnRefreshing() {
  const SteadyTime now = std::chrono::steady_clock::now();
  LinkPtr link;
  std::string address;
  {
    MutexLock lock(mutex_);
    if (!refreshing_ && now >= refresh_at_) BeginRefresh(now);
    if (!std::exchange(ask_now_, false)) return;
    while (link == nullptr && !to_ask_.empty()) {
      address = std::move(to_ask_.back());
      to_ask_.pop_back();
      link = LinkTo(address);
    }
    if (link == nullptr) EndRefresh();
  }
  if (link == nullptr) return;
  const absl::string_view question[] = {"CLUSTER", "SLOTS"};
  link->CommandAsync(
      clock_.Now() + options_.connect_timeout, question,
      [this, address](const absl::StatusOr<RedisReply>& reply) { OnMap(address, reply); });
}

// On a link's thread.
void RedisCluster::OnMap(const std::string& address, const absl::StatusOr<RedisReply>& reply) {
  const auto map = [&]() -> absl::StatusOr<RedisSlotMap> {
    RETURN_IF_ERROR(reply.status());
    return ParseClusterSlots(*reply, HostOf(address));
  }();
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    if (!map.ok()) {
      down_reason_ = std::string(map.status().message());
      ask_now_ = true;
    } else if (map->covered == kRedisSlots) {
      Install(*map);
      EndRefresh();
    } else {
      if (map->covered > 0 && (best_ == nullptr || best_->covered < map->covered)) {
        best_ = std::make_unique<RedisSlotMap>(*map);
      } else if (map_ == nullptr) {
        down_reason_ = "the Redis Cluster has no slots";
      }
      ask_now_ = true;
    }
  }
  wake_.Signal();
}

void RedisCluster::Install(RedisSlotMap map) {
  const bool changed = map_ == nullptr || map.masters != map_->masters || map.owner != map_->owner;
  const bool down = availability_ != Availability::kUp;
  map_ = std::make_unique<RedisSlotMap>(std::move(map));
  availability_ = Availability::kUp;
  NoteConnections();
  if (!changed && !down) return;
  const SteadyTime now = std::chrono::steady_clock::now();
  for (Waiting& waiting : waiting_) waiting.due = now;
}

void RedisCluster::EndRefresh() {
  refreshing_ = false;
  to_ask_.clear();
  const SteadyTime now = std::chrono::steady_clock::now();
  // With jitter, so that many processes do not ask in step.
  refresh_at_ =
      now + Scale(absl::ToChronoNanoseconds(options_.map_refresh), 0.8 + 0.4 * random_.Unit());
  const std::unique_ptr<RedisSlotMap> best = std::move(best_);
  const bool connected = std::any_of(links_.begin(), links_.end(),
                                     [](const auto& entry) { return entry.second->IsConnected(); });
  if (best != nullptr) {
    Install(std::move(*best));
  } else if (!connected) {
    refresh_at_ = now + Scale(kPauseWhileDown, random_.Unit());
    GoDown(down_reason_);
  }
  if (map_ == nullptr) return;
  for (auto it = links_.begin(); it != links_.end();) {
    const auto& masters = map_->masters;
    if (std::find(masters.begin(), masters.end(), it->first) != masters.end()) {
      ++it;
      continue;
    }
    retired_.push_back({std::move(it->second), now + kRetiredGrace});
    down_since_.erase(it->first);
    it = links_.erase(it);
  }
}

}  // namespace handrail::storage
