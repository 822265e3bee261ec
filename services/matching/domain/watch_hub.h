#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_WATCH_HUB_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_WATCH_HUB_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "common/base/executor.h"
#include "common/base/ids.h"
#include "common/base/mutex.h"
#include "services/matching/domain/ledger.h"

namespace handrail::matching {

// Content-free wake-ups between replicas. They may be lost, doubled or late.
class WakeChannel {
 public:
  virtual ~WakeChannel() = default;
  virtual void Publish(absl::Span<const std::string> topics) = 0;  // does not block
  // True when a publication from now on will be heard.
  virtual bool WaitUntilListening(absl::Duration timeout) = 0;
  virtual bool IsUp() const = 0;
};

// Who watches what, on this replica. A watcher reads once when it comes, after the channel listens,
// again after each wake-up, and every few seconds in any case. Thread-safe.
class WatchHub {
 public:
  // Reads and writes; may block. False: the watch is over.
  using Refresh = std::function<bool()>;

  struct Options {
    int threads = 8;
    size_t queue_limit = 65536;
    absl::Duration sweep = absl::Seconds(5);
    absl::Duration sweep_without_channel = absl::Seconds(1);
  };

  // `channel` must outlive the hub.
  WatchHub(WakeChannel& channel, const Options& options);
  ~WatchHub() { Stop(); }

  static std::string TopicOf(const TicketId& ticket) { return "t" + ticket.ToString(); }
  static std::string TopicOf(const MemberId& member) { return "m" + member.ToString(); }

  // One thing being watched. Destroying it ends the watch; a refresh may still be under way.
  class Watch;
  std::shared_ptr<Watch> Start(const std::string& topic, Refresh refresh);
  void End(const std::shared_ptr<Watch>& watch);

  // Local watchers, and those of other replicas through the channel.
  void Wake(const Effects& effects);
  // Only the local ones: what came over the channel.
  void WakeLocal(const std::string& topic);
  // All of them: after the channel was away.
  void WakeAll();
  void Stop();

 private:
  void Schedule(const std::shared_ptr<Watch>& watch);
  void Sweep();

  WakeChannel& channel_;
  const Options options_;
  Mutex mutex_;
  absl::flat_hash_map<std::string, std::vector<std::shared_ptr<Watch>>> watches_
      ABSL_GUARDED_BY(mutex_);
  int sweeps_ = 0;
  Executor workers_;
  PeriodicTask sweeper_;
};

class WatchHub::Watch {
 public:
  Watch(std::string topic, Refresh refresh)
      : topic_(std::move(topic)), refresh_(std::move(refresh)) {}

 private:
  friend class WatchHub;
  const std::string topic_;
  Mutex mutex_;  // one refresh at a time
  Refresh refresh_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> scheduled_ = false;
  std::atomic<bool> ended_ = false;
  std::atomic<bool> heard_of_ = false;  // what is published for it is heard
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_WATCH_HUB_H_
