#include "common/storage/redis_subscriber.h"

#include <atomic>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/storage/redis.h"
#include "common/storage/redis_connection.h"
#include "common/storage/redis_endpoint.h"
#include "common/storage/redis_locator.h"
#include "common/storage/redis_protocol.h"

namespace handrail::storage {
namespace {

// Channels per SUBSCRIBE, so that one command stays small.
constexpr size_t kChannelsPerCommand = 512;

absl::string_view TextOf(const redisReply& reply) {
  return reply.type == REDIS_REPLY_STRING ? absl::string_view(reply.str, reply.len)
                                          : absl::string_view();
}

class Subscriber final : public RedisSubscriber, private RedisConnection::Handler {
 public:
  Subscriber(std::unique_ptr<RedisLocator> locator, const RedisOptions& options, Listener listener,
             std::function<void()> on_reconnect)
      : listener_(std::move(listener)),
        on_reconnect_(std::move(on_reconnect)),
        keep_alive_(absl::ToChronoNanoseconds(options.keep_alive)),
        keep_alive_timeout_(absl::ToChronoNanoseconds(options.keep_alive_timeout)),
        clock_(options.clock != nullptr ? *options.clock : system_clock_),
        connection_(std::move(locator), options, "redis_subscriber", *this),
        thread_([this] { Loop(); }) {}

  ~Subscriber() override {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      confirmed_changed_.SignalAll();
    }
    connection_.Wake();
    thread_.join();
  }

  void Subscribe(const std::string& channel) override {
    {
      MutexLock lock(mutex_);
      if (++wanted_[channel] > 1) return;
      changed_.insert(channel);
    }
    connection_.Wake();
  }

  void Unsubscribe(const std::string& channel) override {
    {
      MutexLock lock(mutex_);
      const auto found = wanted_.find(channel);
      if (found == wanted_.end() || --found->second > 0) return;
      wanted_.erase(found);
      changed_.insert(channel);
    }
    connection_.Wake();
  }

  bool WaitUntilSubscribed(const std::string& channel, absl::Time deadline) override {
    const auto until =
        std::chrono::steady_clock::now() +
        absl::ToChronoNanoseconds(std::min(deadline - clock_.Now(), absl::Hours(24)));
    MutexLock lock(mutex_);
    while (!confirmed_.contains(channel) && !stopping_) {
      const auto left = until - std::chrono::steady_clock::now();
      if (left <= std::chrono::nanoseconds::zero()) return false;
      confirmed_changed_.WaitFor(mutex_, absl::FromChrono(left));
    }
    return confirmed_.contains(channel);
  }

  bool IsConnected() const override { return connected_.load(std::memory_order_relaxed); }

 private:
  void Loop() {
    while (true) {
      {
        MutexLock lock(mutex_);
        if (stopping_) return;
      }
      if (connection_.IsReady()) {
        SendChanges();
        connection_.Turn(KeepAlive());
      } else {
        connection_.Turn(SteadyTime::max());
      }
    }
  }

  // Sends what is due now; returns when to look again.
  SteadyTime KeepAlive() {
    const SteadyTime now = std::chrono::steady_clock::now();
    const SteadyTime heard = std::max(connection_.last_read(), ready_since_);
    if (heard > ping_sent_at_) {
      if (now < heard + keep_alive_) return heard + keep_alive_;
      const absl::string_view ping[] = {"PING"};
      connection_.Send(WireCommand(ping).bytes());
      connection_.Flush();
      ping_sent_at_ = now;
    }
    const SteadyTime give_up_at = ping_sent_at_ + keep_alive_timeout_;
    if (now >= give_up_at) connection_.DropSoon("the server has stopped answering");
    return give_up_at;
  }

  // Brings the server's set of channels to the wanted one.
  void SendChanges() {
    std::vector<std::string> add;
    std::vector<std::string> remove;
    {
      MutexLock lock(mutex_);
      for (const std::string& channel : changed_) {
        const bool wanted = wanted_.contains(channel);
        if (wanted && !asked_.contains(channel)) add.push_back(channel);
        if (!wanted && asked_.contains(channel)) remove.push_back(channel);
      }
      changed_.clear();
      for (const std::string& channel : remove) confirmed_.erase(channel);
    }
    asked_.insert(add.begin(), add.end());
    for (const std::string& channel : remove) asked_.erase(channel);
    for (const std::string& channel : add) ++unconfirmed_[channel];
    SendInParts("SUBSCRIBE", add);
    SendInParts("UNSUBSCRIBE", remove);
    connection_.Flush();
  }

  void SendInParts(absl::string_view verb, const std::vector<std::string>& channels) {
    for (size_t begin = 0; begin < channels.size(); begin += kChannelsPerCommand) {
      const size_t end = std::min(channels.size(), begin + kChannelsPerCommand);
      std::vector<absl::string_view> words = {verb};
      for (size_t i = begin; i < end; ++i) words.push_back(channels[i]);
      connection_.Send(WireCommand(words).bytes());
    }
  }

  void OnReady() override {
    connected_.store(true, std::memory_order_relaxed);
    ready_since_ = std::chrono::steady_clock::now();
    ping_sent_at_ = SteadyTime::min();
    announce_ = std::exchange(was_down_, false);
    {
      MutexLock lock(mutex_);
      changed_.clear();
      for (const auto& [channel, count] : wanted_) changed_.insert(channel);
    }
    SendChanges();
    AnnounceWhenComplete();
  }

  void AnnounceWhenComplete() {
    if (!unconfirmed_.empty() || !std::exchange(announce_, false)) return;
    if (on_reconnect_) on_reconnect_();
  }

  void OnReply(const redisReply& reply) override {
    connection_.ResetBackoff();
    if (reply.type == REDIS_REPLY_ERROR) {
      const absl::string_view text(reply.str, reply.len);
      const std::string missing = MissingPermission(text);
      connection_.DropSoon(
          missing.empty()
              ? absl::StrCat("the server refused a subscription: ", RedisErrorWord(text))
              : absl::StrCat("Redis' access list does not allow our user ", missing,
                             " (SUBSCRIBE): NOPERM; docs/redis.md has the list that is needed"));
      return;
    }
    if (reply.type != REDIS_REPLY_ARRAY || reply.elements != 3) return;  // an answer to PING
    const absl::string_view kind = TextOf(*reply.element[0]);
    const std::string channel(TextOf(*reply.element[1]));
    if (kind == "message") {
      {
        MutexLock lock(mutex_);
        if (!wanted_.contains(channel)) return;  // sent before our UNSUBSCRIBE arrived
      }
      listener_(channel, TextOf(*reply.element[2]));
    } else if (kind == "subscribe") {
      OnConfirmation(channel);
    }
  }

  void OnConfirmation(const std::string& channel) {
    const auto found = unconfirmed_.find(channel);
    // Subscribed, unsubscribed and subscribed again: only the last confirmation says that it holds.
    if (found == unconfirmed_.end() || --found->second > 0) return;
    unconfirmed_.erase(found);
    if (asked_.contains(channel)) {
      MutexLock lock(mutex_);
      confirmed_.insert(channel);
      confirmed_changed_.SignalAll();
    }
    AnnounceWhenComplete();
  }

  void OnDown(absl::string_view /*why*/) override {
    connected_.store(false, std::memory_order_relaxed);
    was_down_ = true;
    asked_.clear();
    unconfirmed_.clear();
    MutexLock lock(mutex_);
    confirmed_.clear();
  }

  const Listener listener_;
  const std::function<void()> on_reconnect_;
  const std::chrono::nanoseconds keep_alive_;
  const std::chrono::nanoseconds keep_alive_timeout_;
  const SystemClock system_clock_;
  const Clock& clock_;
  RedisConnection connection_;
  std::atomic<bool> connected_{false};

  Mutex mutex_;
  CondVar confirmed_changed_;
  std::map<std::string, int> wanted_ ABSL_GUARDED_BY(mutex_);  // channel → how often
  std::set<std::string> changed_ ABSL_GUARDED_BY(mutex_);      // to be looked at again
  std::set<std::string> confirmed_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  // The subscriber thread's own.
  std::set<std::string> asked_;             // SUBSCRIBE sent on this connection
  std::map<std::string, int> unconfirmed_;  // SUBSCRIBEs without an answer
  SteadyTime ready_since_ = SteadyTime::min();
  SteadyTime ping_sent_at_ = SteadyTime::min();
  bool was_down_ = false;
  bool announce_ = false;

  std::thread thread_;  // last: it uses everything above
};

}  // namespace

std::unique_ptr<RedisSubscriber> MakeRedisSubscriber(std::unique_ptr<RedisLocator> locator,
                                                     const RedisOptions& options,
                                                     RedisSubscriber::Listener listener,
                                                     std::function<void()> on_reconnect) {
  return std::make_unique<Subscriber>(std::move(locator), options, std::move(listener),
                                      std::move(on_reconnect));
}

absl::StatusOr<std::unique_ptr<RedisSubscriber>> ConnectRedisSubscriber(
    const RedisOptions& options, RedisSubscriber::Listener listener,
    std::function<void()> on_reconnect) {
  ASSIGN_OR_RETURN(RedisTarget target, ParseRedisUrl(options.url));
  RETURN_IF_ERROR(OpenRedisFiles(target));
  return MakeRedisSubscriber(LocateTarget(std::move(target), options.connect_timeout), options,
                             std::move(listener), std::move(on_reconnect));
}

}  // namespace handrail::storage
