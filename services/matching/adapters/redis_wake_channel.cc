#include "services/matching/adapters/redis_wake_channel.h"

#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/mutex.h"

namespace handrail::matching {
namespace {

constexpr absl::string_view kChannel = "hr:w";
constexpr absl::string_view kEverybody = "*";
constexpr absl::Duration kPublishTimeout = absl::Seconds(1);

}  // namespace

// What is still to be published. Answers of Redis may come when the channel is gone, hence shared.
class RedisWakeChannel::Outgoing : public std::enable_shared_from_this<Outgoing> {
 public:
  Outgoing(storage::Redis& redis, const Clock& clock, const std::string& origin)
      : redis_(redis), clock_(clock), origin_(origin) {}

  void Add(absl::Span<const std::string> topics) {
    {
      MutexLock lock(mutex_);
      if (!everybody_) waiting_.insert(topics.begin(), topics.end());
      if (waiting_.size() > kMostWaiting) {
        waiting_.clear();
        everybody_ = true;
      }
      if (under_way_) return;
      under_way_ = true;
    }
    SendNext();
  }

  void Stop() {
    MutexLock lock(mutex_);
    stopped_ = true;
  }

 private:
  // While `under_way_`, by one thread at a time.
  void SendNext() {
    const std::string message = TakeMessage();
    if (message.empty()) return;
    // A wake-up that is lost is found by the sweep.
    redis_.CommandAsync(clock_.Now() + kPublishTimeout, {"PUBLISH", kChannel, message},
                        [self = shared_from_this()](const absl::StatusOr<storage::RedisReply>&) {
                          self->SendNext();
                        });
  }

  std::string TakeMessage() {
    MutexLock lock(mutex_);
    if (stopped_ || (waiting_.empty() && !everybody_)) {
      under_way_ = false;
      return {};
    }
    std::string message = origin_;
    if (std::exchange(everybody_, false)) return absl::StrCat(message, " ", kEverybody);
    for (size_t i = 0; i < kTopicsAMessage && !waiting_.empty(); ++i) {
      absl::StrAppend(&message, " ", *waiting_.begin());
      waiting_.erase(waiting_.begin());
    }
    return message;
  }

  storage::Redis& redis_;
  const Clock& clock_;
  const std::string origin_;
  Mutex mutex_;
  absl::flat_hash_set<std::string> waiting_ ABSL_GUARDED_BY(mutex_);
  bool everybody_ ABSL_GUARDED_BY(mutex_) = false;
  bool under_way_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

absl::StatusOr<std::unique_ptr<RedisWakeChannel>> RedisWakeChannel::Create(
    storage::Redis& redis, const storage::RedisOptions& options, const Clock& clock,
    Random& random) {
  return std::unique_ptr<RedisWakeChannel>(new RedisWakeChannel(redis, options, clock, random));
}

RedisWakeChannel::RedisWakeChannel(storage::Redis& redis, const storage::RedisOptions& options,
                                   const Clock& clock, Random& random)
    : redis_(redis),
      options_(options),
      clock_(clock),
      origin_(absl::StrCat(absl::Hex(random.Next64(), absl::kZeroPad16))),
      outgoing_(std::make_shared<Outgoing>(redis_, clock_, origin_)) {}

RedisWakeChannel::~RedisWakeChannel() { outgoing_->Stop(); }

void RedisWakeChannel::Listen(OnWake on_wake, std::function<void()> on_all) {
  auto subscriber = storage::ConnectRedisSubscriber(
      options_,
      [on_wake = std::move(on_wake), on_all, origin = origin_](absl::string_view,
                                                               absl::string_view message) {
        const std::vector<absl::string_view> words = absl::StrSplit(message, ' ');
        if (words[0] == origin) return;  // who publishes has woken its own watches already
        for (size_t i = 1; i < words.size(); ++i) {
          if (words[i] == kEverybody) {
            on_all();
          } else {
            on_wake(std::string(words[i]));
          }
        }
      },
      on_all);
  if (!subscriber.ok()) return;  // the URL was checked by ConnectRedis
  subscriber_ = *std::move(subscriber);
  subscriber_->Subscribe(std::string(kChannel));
}

void RedisWakeChannel::Publish(absl::Span<const std::string> topics) {
  if (!topics.empty() && redis_.IsConnected()) outgoing_->Add(topics);
}

bool RedisWakeChannel::WaitUntilListening(absl::Duration timeout) {
  return subscriber_ != nullptr &&
         subscriber_->WaitUntilSubscribed(std::string(kChannel), clock_.Now() + timeout);
}

bool RedisWakeChannel::IsUp() const { return subscriber_ != nullptr && subscriber_->IsConnected(); }

}  // namespace handrail::matching
