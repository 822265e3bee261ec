#include "common/storage/redis_cluster.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/redis_locator.h"
#include "common/storage/redis_protocol.h"

namespace handrail::storage {
namespace {

using std::chrono::milliseconds;

constexpr absl::string_view kClosing = "the link to Redis is being closed";
constexpr milliseconds kFirstBackoff{10};
constexpr milliseconds kMaxBackoff{250};
constexpr milliseconds kLeastRefreshPause{30};
constexpr milliseconds kTick{20};
// Redirections that are followed at once; then two nodes may be sending us back and forth.
constexpr int kQuickRedirects = 5;
constexpr size_t kMostLinks = 1024;

absl::Status DownError(absl::string_view why) {
  return UnavailableError(reason::kRedisUnavailable, why);
}

absl::Status ExpiredError(absl::string_view last_failure) {
  const absl::string_view last = last_failure.empty() ? "" : ": ";
  return Error(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded)
      .Message(absl::StrCat("Redis did not answer in time", last, last_failure));
}

std::string HostOf(const std::string& address) {
  const auto endpoint = ParseRedisAddress(address);
  return endpoint.ok() ? endpoint->host : std::string();
}

std::chrono::nanoseconds Scale(std::chrono::nanoseconds span, double factor) {
  return std::chrono::nanoseconds(static_cast<int64_t>(static_cast<double>(span.count()) * factor));
}

}  // namespace

RedisCluster::RedisCluster(RedisTarget target, const RedisOptions& options)
    : target_(std::move(target)),
      options_(options),
      owner_patience_(absl::ToChronoNanoseconds(std::min(options.owner_patience, absl::Hours(24)))),
      clock_(options.clock != nullptr ? *options.clock : system_clock_),
      thread_([this] { Loop(); }) {}

RedisCluster::~RedisCluster() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    for (auto& [address, link] : links_) retired_.push_back({std::move(link), SteadyTime::min()});
    links_.clear();
    connected_.store(false, std::memory_order_relaxed);
  }
  wake_.Signal();
  thread_.join();
}

std::string RedisCluster::OwnerOf(absl::string_view key) const {
  const int slot = RedisKeySlot(key);
  MutexLock lock(mutex_);
  return map_ == nullptr ? std::string() : AddressOf(slot);
}

// ---- On the threads of callers and links ----

void RedisCluster::DoCommand(absl::Time deadline, absl::Span<const absl::string_view> args,
                             Done done) {
  if (args.empty()) {
    return Complete(std::move(done), Error(absl::StatusCode::kInternal, reason::kRedisError)
                                         .Message("an empty Redis command")
                                         .ToStatus());
  }
  if (RedisLink::BreaksPipelining(args[0])) {
    return Complete(std::move(done), Error(absl::StatusCode::kInternal, reason::kRedisError)
                                         .Message("a Redis command that cannot share a link")
                                         .ToStatus());
  }
  auto call = std::make_unique<RedisRoutedCall>();
  call->wire = std::string(WireCommand(args).bytes());
  call->verb = std::string(args[0]);
  Begin(deadline, RouteRedisCommand(args), std::move(call), std::move(done));
}

void RedisCluster::DoEval(absl::Time deadline, const RedisScript& script,
                          absl::Span<const std::string> keys, absl::Span<const std::string> args,
                          Done done) {
  WireEvalSha wire = FormatEvalSha(script, keys, args);
  auto call = std::make_unique<RedisRoutedCall>();
  call->script_call = std::make_unique<RedisScriptCall>(
      RedisScriptCall{script, keys.size() + args.size(), std::string(wire.tail()), false});
  call->wire = std::move(wire.bytes);
  Begin(deadline, RouteRedisScript(keys), std::move(call), std::move(done));
}

void RedisCluster::Begin(absl::Time deadline, absl::StatusOr<RedisRoute> route, CallPtr call,
                         Done done) {
  if (!route.ok()) return Complete(std::move(done), route.status());
  const absl::Duration left = deadline - clock_.Now();
  if (left <= absl::ZeroDuration()) return Complete(std::move(done), ExpiredError(""));
  call->slot = route->slot;
  // Bounded, so that adding it to a time never overflows.
  call->deadline =
      std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(std::min(left, absl::Hours(24)));
  bool starting = false;
  {
    MutexLock lock(mutex_);
    starting = !started_ && !stopping_ && starting_.size() < options_.backlog_limit;
    if (starting) {
      const SteadyTime due = call->deadline;
      starting_.push_back({std::move(call), std::move(done), due});
    }
  }
  if (starting) {
    wake_.Signal();
  } else {
    Dispatch(std::move(call), std::move(done), "");
  }
}

void RedisCluster::Dispatch(CallPtr call, Done done, const std::string& address) {
  LinkPtr link;
  std::string down_reason;
  {
    MutexLock lock(mutex_);
    if (stopping_) {
      down_reason = std::string(kClosing);
    } else if (availability_ == Availability::kDown) {
      down_reason = down_reason_;
    } else {
      if (address.empty()) call->asking = false;
      const std::string target = address.empty() ? AddressOf(call->slot) : address;
      if (!target.empty()) link = LinkTo(target);
      if (link == nullptr) HastenRefresh();
    }
  }
  if (!down_reason.empty()) return Complete(std::move(done), DownError(down_reason));
  if (link != nullptr) {
    link->SendRouted(std::move(call), std::move(done));
  } else {
    ++call->attempts;
    call->last_failure = "no node of the Redis Cluster serves this slot";
    Hold(std::move(call), std::move(done));
  }
}

void RedisCluster::TakeBack(CallPtr call, Done done, Why why, const std::string& address,
                            absl::string_view text) {
  ++call->attempts;
  if (call->script_call != nullptr) call->script_call->sent_as_text = false;
  if (why == Why::kRefused) {
    if (const auto redirect = ParseRedisRedirect(text, HostOf(address)); redirect.has_value()) {
      return FollowRedirect(*redirect, std::move(call), std::move(done));
    }
    call->last_failure = absl::StrCat("Redis cannot serve this now: ", RedisErrorWord(text));
  } else {
    call->last_failure = std::string(text);
  }
  bool owner_is_gone = false;
  {
    MutexLock lock(mutex_);
    if (RedisErrorWord(text) != "TRYAGAIN") HastenRefresh();
    const auto since = down_since_.find(address);
    owner_is_gone = why != Why::kRefused && since != down_since_.end() &&
                    std::chrono::steady_clock::now() - since->second >= owner_patience_;
  }
  if (owner_is_gone) return Complete(std::move(done), DownError(call->last_failure));
  Hold(std::move(call), std::move(done));
}

void RedisCluster::FollowRedirect(const RedisRedirect& redirect, CallPtr call, Done done) {
  call->asking = redirect.ask;
  call->last_failure = "the slot is being moved";
  if (!redirect.ask) {
    MutexLock lock(mutex_);
    if (map_ != nullptr) {
      auto master = std::find(map_->masters.begin(), map_->masters.end(), redirect.address);
      if (master == map_->masters.end() && map_->masters.size() < kMostLinks) {
        map_->masters.push_back(redirect.address);
        master = std::prev(map_->masters.end());
      }
      if (master != map_->masters.end()) {
        map_->owner[static_cast<size_t>(redirect.slot)] =
            static_cast<uint16_t>(master - map_->masters.begin());
      }
    }
    HastenRefresh();
  }
  if (call->attempts > kQuickRedirects) return Hold(std::move(call), std::move(done));
  Dispatch(std::move(call), std::move(done), redirect.address);
}

void RedisCluster::Hold(CallPtr call, Done done) {
  const SteadyTime now = std::chrono::steady_clock::now();
  if (!call->held_since.has_value()) call->held_since = now;
  const bool out_of_patience = now - *call->held_since >= owner_patience_;
  std::string down_reason;
  {
    MutexLock lock(mutex_);
    if (stopping_) {
      down_reason = std::string(kClosing);
    } else if (availability_ == Availability::kDown) {
      down_reason = down_reason_;
    } else if (out_of_patience) {
      down_reason = call->last_failure;
    } else if (waiting_.size() >= options_.backlog_limit) {
      down_reason = "too many Redis commands are waiting";
    } else {
      const auto bound = std::min<std::chrono::nanoseconds>(
          kMaxBackoff, kFirstBackoff * (1 << std::min(call->attempts, 10)));
      // Full jitter: thousands that lost the same node do not come back in step.
      const auto delay = Scale(bound, random_.Unit()) + milliseconds(1);
      const SteadyTime due = std::min<SteadyTime>(call->deadline, now + delay);
      waiting_.push_back({std::move(call), std::move(done), due});
    }
  }
  if (down_reason.empty()) {
    wake_.Signal();
  } else {
    Complete(std::move(done), DownError(down_reason));
  }
}

void RedisCluster::Complete(Done done, absl::StatusOr<RedisReply> reply) {
  {
    MutexLock lock(mutex_);
    answered_.push_back({std::move(done), std::move(reply)});
  }
  wake_.Signal();
}

void RedisCluster::OnLinkUp() {
  epoch_.fetch_add(1, std::memory_order_relaxed);
  MutexLock lock(mutex_);
  NoteConnections();
}

void RedisCluster::OnLinkDown() {
  {
    MutexLock lock(mutex_);
    NoteConnections();
    HastenRefresh();
  }
  wake_.Signal();
}

void RedisCluster::NoteConnections() {
  bool any = false;
  const SteadyTime now = std::chrono::steady_clock::now();
  for (const auto& [address, link] : links_) {
    if (link->IsConnected()) {
      any = true;
      down_since_.erase(address);
    } else {
      down_since_.try_emplace(address, now);
    }
  }
  connected_.store(any && map_ != nullptr, std::memory_order_relaxed);
}

std::string RedisCluster::AddressOf(const std::optional<int>& slot) const {
  if (map_ == nullptr) return "";
  if (!slot.has_value()) return AnyConnected();
  const uint16_t owner = map_->owner[static_cast<size_t>(*slot)];
  return owner == RedisSlotMap::kNobody ? std::string() : map_->masters[owner];
}

std::string RedisCluster::AnyConnected() const {
  for (const std::string& master : map_->masters) {
    const auto link = links_.find(master);
    if (link != links_.end() && link->second->IsConnected()) return master;
  }
  return map_->masters.empty() ? std::string() : map_->masters.front();
}

RedisCluster::LinkPtr RedisCluster::LinkTo(const std::string& address) {
  if (stopping_) return nullptr;
  const auto found = links_.find(address);
  if (found != links_.end()) return found->second;
  const auto endpoint = ParseRedisAddress(address);
  if (!endpoint.ok() || links_.size() >= kMostLinks) return nullptr;
  RedisRouter* const router = this;  // a private base, which make_shared does not see
  auto link = std::make_shared<RedisLink>(LocateAny({*endpoint}, target_.access), options_, router);
  links_[address] = link;
  return link;
}

void RedisCluster::HastenRefresh() {
  const SteadyTime soonest = last_refresh_ + kLeastRefreshPause;
  refresh_at_ = std::min(refresh_at_, std::max(soonest, std::chrono::steady_clock::now()));
}

// By value: the reason may be the very one that is kept.
void RedisCluster::GoDown(std::string why) {
  availability_ = Availability::kDown;
  down_reason_ = std::move(why);
  for (std::vector<Waiting>* calls : {&starting_, &waiting_}) {
    for (Waiting& waiting : *calls) {
      answered_.push_back({std::move(waiting.done), DownError(down_reason_)});
    }
    calls->clear();
  }
}

// ---- On the cluster's own thread ----

void RedisCluster::Loop() {
  RedisLink::BecomeLinkThread();
  while (true) {
    std::vector<Answered> answered;
    bool stopping = false;
    {
      MutexLock lock(mutex_);
      const SteadyTime now = std::chrono::steady_clock::now();
      if (const SteadyTime next = NextWork(); next > now) {
        wake_.WaitFor(mutex_, absl::FromChrono(next - now));
      }
      stopping = stopping_;
      if (stopping) GoDown(std::string(kClosing));
      answered.swap(answered_);
    }
    for (Answered& one : answered) one.done(std::move(one.reply));
    const bool closed = CloseRetired();
    if (stopping) {
      MutexLock lock(mutex_);
      if (closed && answered_.empty() && waiting_.empty() && starting_.empty()) return;
      continue;
    }
    SendStarting();
    SendDue();
    GoOnRefreshing();
  }
}

SteadyTime RedisCluster::NextWork() const {
  if (!answered_.empty() || ask_now_) return SteadyTime::min();
  const SteadyTime now = std::chrono::steady_clock::now();
  SteadyTime next = now + std::chrono::seconds(1);
  if (!refreshing_) next = std::min(next, refresh_at_);
  for (const Waiting& waiting : waiting_) next = std::min(next, waiting.due);
  if (!started_ && availability_ != Availability::kStarting) return SteadyTime::min();
  if (availability_ == Availability::kStarting || !retired_.empty() || stopping_) {
    next = std::min<SteadyTime>(next, now + (stopping_ ? milliseconds(1) : kTick));
  }
  return next;
}

void RedisCluster::SendStarting() {
  while (true) {
    std::vector<Waiting> calls;
    {
      MutexLock lock(mutex_);
      if (started_) return;
      const SteadyTime now = std::chrono::steady_clock::now();
      if (availability_ == Availability::kStarting) {
        if (now >= started_at_ + absl::ToChronoNanoseconds(options_.connect_timeout)) {
          GoDown(down_reason_);
        } else {
          const auto expired =
              std::stable_partition(starting_.begin(), starting_.end(),
                                    [now](const Waiting& waiting) { return waiting.due > now; });
          std::move(expired, starting_.end(), std::back_inserter(waiting_));  // answered there
          starting_.erase(expired, starting_.end());
          return;
        }
      }
      started_ = starting_.empty();
      calls.swap(starting_);
    }
    for (Waiting& waiting : calls) {
      Dispatch(std::move(waiting.call), std::move(waiting.done), "");
    }
  }
}

void RedisCluster::SendDue() {
  const SteadyTime now = std::chrono::steady_clock::now();
  std::vector<Waiting> due;
  {
    MutexLock lock(mutex_);
    std::vector<Waiting> later;
    for (Waiting& waiting : waiting_) {
      (waiting.due <= now ? due : later).push_back(std::move(waiting));
    }
    waiting_.swap(later);
  }
  for (Waiting& waiting : due) {
    if (now >= waiting.call->deadline) {
      waiting.done(ExpiredError(waiting.call->last_failure));
    } else {
      Dispatch(std::move(waiting.call), std::move(waiting.done), "");
    }
  }
}

bool RedisCluster::CloseRetired() {
  const SteadyTime now = std::chrono::steady_clock::now();
  std::vector<LinkPtr> closing;
  bool none_left = false;
  {
    MutexLock lock(mutex_);
    const auto stay =
        std::partition(retired_.begin(), retired_.end(), [now](const Retired& retired) {
          // Nobody else can get hold of it; and it must not be closed by its own thread.
          const bool free = retired.link.use_count() == 1;
          return !free || (now < retired.close_at && retired.link->PendingCount() > 0);
        });
    for (auto it = stay; it != retired_.end(); ++it) closing.push_back(std::move(it->link));
    retired_.erase(stay, retired_.end());
    none_left = retired_.empty();
  }
  closing.clear();  // joins their threads, which may give calls back
  return none_left;
}

}  // namespace handrail::storage
