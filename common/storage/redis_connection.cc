#include "common/storage/redis_connection.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/log.h"

namespace handrail::storage {
namespace {

constexpr size_t kReadBytes = 256 << 10;
// Replies are handled in portions, so that a flood of them does not keep new commands waiting.
constexpr int kReadsPerTurn = 4;
constexpr std::chrono::milliseconds kFirstBackoff{10};
constexpr std::chrono::milliseconds kLeastBackoff{1};

}  // namespace

RedisConnection::RedisConnection(RedisEndpoint endpoint, const RedisOptions& options,
                                 absl::string_view component, Handler& handler)
    : endpoint_(std::move(endpoint)),
      address_(endpoint_.Address()),
      connect_timeout_(absl::ToChronoNanoseconds(options.connect_timeout)),
      max_backoff_(absl::ToChronoNanoseconds(options.max_backoff)),
      component_(component),
      handler_(handler),
      wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      read_buffer_(kReadBytes) {
  if (wake_fd_ < 0) std::abort();  // no file descriptor is left: nothing can be served
}

RedisConnection::~RedisConnection() {
  resolver_.reset();  // joins; it may still Wake()
  close(wake_fd_);
}

void RedisConnection::Wake() {
  const uint64_t one = 1;
  // Can fail only when the counter is full, and then a wake-up is already pending.
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof(one));
}

void RedisConnection::DrainWakeups() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(wake_fd_, &count, sizeof(count));
}

int RedisConnection::PollTimeoutMs(SteadyTime until) const {
  if (state_ == State::kDown) {
    until = std::min(until, next_attempt_at_);
  } else if (state_ != State::kReady) {
    until = std::min(until, give_up_at_);
  }
  const SteadyTime now = std::chrono::steady_clock::now();
  if (until <= now) return 0;
  const std::chrono::nanoseconds longest = std::chrono::minutes(1);
  if (until >= now + longest) return 60'000;
  // Rounded up: waking before the time would only mean waking twice.
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(until - now).count());
}

void RedisConnection::Turn(SteadyTime until) {
  if (state_ == State::kDown && std::chrono::steady_clock::now() >= next_attempt_at_) {
    BeginAttempt();
  }
  pollfd fds[2] = {{wake_fd_, POLLIN, 0}, {-1, 0, 0}};
  if (transport_ != nullptr) {
    fds[1] = {transport_->fd(), transport_->PollEvents(UnsentBytes() > 0), 0};
  }
  const int timeout_ms = drop_reason_.empty() ? PollTimeoutMs(until) : 0;
  if (poll(fds, 2, timeout_ms) > 0) {
    if (fds[0].revents != 0) DrainWakeups();
    if (fds[1].revents != 0) {
      if (state_ == State::kConnecting) {
        GoOnConnecting();
      } else {
        if ((fds[1].revents & POLLOUT) != 0) Flush();
        if ((fds[1].revents & ~POLLOUT) != 0) ReadReplies();
      }
    }
  }
  // Not only after a wake-up: that of a slow resolver may have come during the back-off.
  if (state_ == State::kResolving) TakeResolved();
  if (!drop_reason_.empty()) {
    Fail(std::exchange(drop_reason_, std::string()));
  } else if (state_ != State::kDown && state_ != State::kReady &&
             std::chrono::steady_clock::now() >= give_up_at_) {
    Fail("no connection in time");
  }
}

void RedisConnection::BeginAttempt() {
  give_up_at_ = std::chrono::steady_clock::now() + connect_timeout_;
  addresses_.clear();
  next_address_ = 0;
  if (IsLiteral(endpoint_)) {
    addresses_ = ResolveRedisAddresses(endpoint_);
    ConnectNextAddress();
    return;
  }
  state_ = State::kResolving;
  // A resolver that is still at it from the last attempt will serve this one.
  if (resolver_busy_) return;
  if (resolver_ == nullptr) resolver_ = std::make_unique<Executor>(1, 1);
  resolver_busy_ = resolver_->TryRun([this] {
    std::vector<RedisAddress> found = ResolveRedisAddresses(endpoint_);
    {
      MutexLock lock(resolved_mutex_);
      resolved_ = std::move(found);
    }
    Wake();
  });
}

void RedisConnection::TakeResolved() {
  {
    MutexLock lock(resolved_mutex_);
    if (!resolved_.has_value()) return;
    addresses_ = *std::move(resolved_);
    resolved_.reset();
  }
  resolver_busy_ = false;
  if (addresses_.empty()) {
    Fail("the host name is not known");
    return;
  }
  ConnectNextAddress();
}

void RedisConnection::ConnectNextAddress() {
  while (next_address_ < addresses_.size()) {
    auto transport = BeginPlainTransport(addresses_[next_address_++]);
    if (!transport.ok()) continue;
    transport_ = *std::move(transport);
    state_ = State::kConnecting;
    return;
  }
  Fail("connection refused");
}

void RedisConnection::GoOnConnecting() {
  switch (transport_->Establish()) {
    case RedisTransport::Outcome::kAgain: return;
    case RedisTransport::Outcome::kFailed:
      transport_.reset();
      ConnectNextAddress();
      return;
    case RedisTransport::Outcome::kDone: SendLogin(); return;
  }
}

void RedisConnection::SendLogin() {
  reader_ = NewRedisReader();
  // How much of an idle read buffer is kept; the default of 16 KiB means an allocation per read.
  reader_->maxbuf = kReadBytes;
  output_.clear();
  output_sent_ = 0;
  login_replies_left_ = 0;
  login_has_password_ = endpoint_.has_password;
  state_ = State::kLoggingIn;
  if (endpoint_.has_password) {
    const std::string& password = endpoint_.password.Reveal();
    std::vector<absl::string_view> auth = {"AUTH"};
    if (!endpoint_.user.empty()) auth.push_back(endpoint_.user);
    auth.push_back(password);
    output_ += std::string(WireCommand(auth).bytes());
    ++login_replies_left_;
  }
  const absl::string_view set_name[] = {"CLIENT", "SETNAME", "handrail"};
  output_ += std::string(WireCommand(set_name).bytes());
  ++login_replies_left_;
  Flush();
}

void RedisConnection::HandleLoginReply(const redisReply& reply) {
  const bool is_auth = std::exchange(login_has_password_, false);
  --login_replies_left_;
  if (reply.type == REDIS_REPLY_ERROR) {
    const std::string word = RedisErrorWord(absl::string_view(reply.str, reply.len));
    // A name is a convenience, which an ACL may refuse; being let in is not.
    if (is_auth || word == "NOAUTH" || word == "DENIED") {
      DropSoon(absl::StrCat("the server did not let us in: ", word));
      return;
    }
  }
  if (login_replies_left_ > 0) return;
  state_ = State::kReady;
  reported_down_ = false;
  Log(Severity::kInfo, "redis_connected",
      {{LogField::kComponent, component_}, {LogField::kAddress, address_}});
  handler_.OnReady();
}

void RedisConnection::ReadReplies() {
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const auto transfer = transport_->Read(read_buffer_.data(), read_buffer_.size());
    if (transfer.outcome == RedisTransport::Outcome::kAgain) return;
    if (transfer.outcome == RedisTransport::Outcome::kFailed) {
      DropSoon("the server closed the connection");
      return;
    }
    last_read_ = std::chrono::steady_clock::now();
    bool broken = redisReaderFeed(reader_.get(), read_buffer_.data(), transfer.bytes) != REDIS_OK;
    while (!broken && drop_reason_.empty()) {
      void* raw = nullptr;
      broken = redisReaderGetReply(reader_.get(), &raw) != REDIS_OK;
      if (broken || raw == nullptr) break;
      const HiredisReplyPtr reply(static_cast<redisReply*>(raw));
      if (state_ == State::kLoggingIn) {
        HandleLoginReply(*reply);
      } else {
        handler_.OnReply(*reply);
      }
    }
    if (broken) DropSoon("the server sent what is not the Redis protocol");
    if (!drop_reason_.empty() || transfer.bytes < read_buffer_.size()) return;
  }
}

void RedisConnection::Send(absl::string_view wire) { output_.append(wire.data(), wire.size()); }

void RedisConnection::Send(std::string& wire) {
  if (output_.empty()) {
    output_.swap(wire);
  } else {
    output_ += wire;
  }
}

void RedisConnection::Flush() {
  if (transport_ == nullptr || state_ == State::kConnecting) return;
  while (UnsentBytes() > 0) {
    const auto transfer = transport_->Write(output_.data() + output_sent_, UnsentBytes());
    if (transfer.outcome == RedisTransport::Outcome::kAgain) return;
    if (transfer.outcome == RedisTransport::Outcome::kFailed) {
      DropSoon("the server closed the connection");
      return;
    }
    output_sent_ += transfer.bytes;
  }
  output_.clear();
  output_sent_ = 0;
}

void RedisConnection::DropSoon(absl::string_view why) {
  if (drop_reason_.empty()) drop_reason_ = std::string(why);
}

void RedisConnection::Fail(absl::string_view why) {
  transport_.reset();
  reader_.reset();
  output_.clear();
  output_sent_ = 0;
  drop_reason_.clear();
  state_ = State::kDown;
  // Full jitter: replicas that lost the same server do not come back in step.
  const int doublings = std::min(attempt_++, 16);
  const auto bound =
      std::min<std::chrono::nanoseconds>(max_backoff_, kFirstBackoff * (1 << doublings));
  const auto delay = std::max<std::chrono::nanoseconds>(
      kLeastBackoff, std::chrono::nanoseconds(static_cast<int64_t>(
                         random_.Unit() * static_cast<double>(bound.count()))));
  next_attempt_at_ = std::chrono::steady_clock::now() + delay;
  if (!std::exchange(reported_down_, true)) {  // one line per outage, not per attempt
    Log(Severity::kWarning, "redis_down",
        {{LogField::kComponent, component_},
         {LogField::kAddress, address_},
         {LogField::kDetail, why}});
  }
  handler_.OnDown(absl::StrCat("Redis at ", address_, ": ", why));
}

}  // namespace handrail::storage
