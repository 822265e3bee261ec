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
#include "common/base/status.h"

namespace handrail::storage {
namespace {

constexpr size_t kReadBytes = 256 << 10;
// Replies are handled in portions, so that a flood of them does not keep new commands waiting.
constexpr int kReadsPerTurn = 4;
constexpr std::chrono::milliseconds kFirstBackoff{10};
constexpr std::chrono::milliseconds kLeastBackoff{1};

}  // namespace

RedisConnection::RedisConnection(std::unique_ptr<RedisLocator> locator, const RedisOptions& options,
                                 absl::string_view component, Handler& handler)
    : locator_(std::move(locator)),
      address_(locator_->Name()),
      connect_timeout_(absl::ToChronoNanoseconds(options.connect_timeout)),
      max_backoff_(absl::ToChronoNanoseconds(options.max_backoff)),
      component_(component),
      handler_(handler),
      wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      read_buffer_(kReadBytes) {
  if (wake_fd_ < 0) std::abort();  // no file descriptor is left: nothing can be served
}

RedisConnection::~RedisConnection() {
  locating_.reset();  // joins; it may still Wake()
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
  const bool buffered = transport_ != nullptr && transport_->HasBufferedInput();
  const int timeout_ms = drop_reason_.empty() && !buffered ? PollTimeoutMs(until) : 0;
  if (poll(fds, 2, timeout_ms) > 0 || buffered) {
    if (buffered) fds[1].revents = static_cast<short>(fds[1].revents | POLLIN);
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
  // Not only after a wake-up: that of a slow search may have come during the back-off.
  if (state_ == State::kLocating) TakeLocated();
  if (!drop_reason_.empty()) {
    Fail(std::exchange(drop_reason_, std::string()));
  } else if (state_ != State::kDown && state_ != State::kReady &&
             std::chrono::steady_clock::now() >= give_up_at_) {
    Fail(transport_ == nullptr ? "no connection in time" : MissingInTime());
  }
}

void RedisConnection::BeginAttempt() {
  give_up_at_ = std::chrono::steady_clock::now() + connect_timeout_;
  addresses_.clear();
  next_address_ = 0;
  last_failure_ = "connection refused";
  state_ = State::kLocating;
  if (locator_->IsImmediate()) {
    UseLocated(locator_->Locate());
    return;
  }
  // A search that is still at it from the last attempt will serve this one.
  if (locator_busy_) return;
  if (locating_ == nullptr) locating_ = std::make_unique<Executor>(1, 1);
  locator_busy_ = locating_->TryRun([this] {
    RedisLocator::Found found = locator_->Locate();
    {
      MutexLock lock(located_mutex_);
      located_ = std::move(found);
    }
    Wake();
  });
}

void RedisConnection::TakeLocated() {
  RedisLocator::Found found;
  {
    MutexLock lock(located_mutex_);
    if (!located_.has_value()) return;
    found = *std::move(located_);
    located_.reset();
  }
  locator_busy_ = false;
  UseLocated(std::move(found));
}

void RedisConnection::UseLocated(RedisLocator::Found found) {
  addresses_ = std::move(found.addresses);
  if (addresses_.empty()) {
    Fail(found.why_none);
    return;
  }
  ConnectNextAddress();
}

void RedisConnection::ConnectNextAddress() {
  while (next_address_ < addresses_.size()) {
    const RedisAddress& address = addresses_[next_address_++];
    address_ = address.text;
    auto transport = BeginRedisTransport(address, locator_->access());
    if (!transport.ok()) {
      last_failure_ = std::string(transport.status().message());
      continue;
    }
    transport_ = *std::move(transport);
    state_ = State::kConnecting;
    return;
  }
  Fail(last_failure_);
}

void RedisConnection::GoOnConnecting() {
  switch (transport_->Establish()) {
    case RedisTransport::Outcome::kAgain: return;
    case RedisTransport::Outcome::kFailed:
      last_failure_ = transport_->Failure();
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
  login_steps_.clear();
  state_ = State::kLoggingIn;
  const RedisAccess& access = locator_->access();
  if (access.HasPassword()) {
    const auto password = access.ReadPassword();
    if (!password.ok()) {
      DropSoon(password.status().message());
      return;
    }
    output_ += FormatAuth(access.user, *password);
    login_steps_.push_back(LoginStep::kAuth);
  }
  const absl::string_view set_name[] = {"CLIENT", "SETNAME", "handrail"};
  output_ += std::string(WireCommand(set_name).bytes());
  login_steps_.push_back(LoginStep::kSetName);
  if (locator_->WantsPrimary()) {
    const absl::string_view role[] = {"ROLE"};
    output_ += std::string(WireCommand(role).bytes());
    login_steps_.push_back(LoginStep::kRole);
  }
  Flush();
}

// What is wrong with an answer during log-in; empty when it is as it should be.
std::string RedisConnection::LoginFault(LoginStep step, const redisReply& reply) const {
  if (step == LoginStep::kRole && reply.type == REDIS_REPLY_ARRAY && reply.elements > 0) {
    const redisReply& role = *reply.element[0];
    const bool primary =
        role.type == REDIS_REPLY_STRING && absl::string_view(role.str, role.len) == "master";
    return primary ? "" : "the server that the sentinels name is a replica";
  }
  if (reply.type != REDIS_REPLY_ERROR) return "";
  const std::string word = RedisErrorWord(absl::string_view(reply.str, reply.len));
  // A name is a convenience, which an ACL may refuse; being let in is not.
  if (step == LoginStep::kSetName && word != "NOAUTH" && word != "DENIED") return "";
  const absl::string_view hint = step == LoginStep::kRole ? " (ROLE)" : "";
  return absl::StrCat("the server did not let us in: ", word, hint);
}

void RedisConnection::HandleLoginReply(const redisReply& reply) {
  const LoginStep step = login_steps_.front();
  login_steps_.pop_front();
  if (const std::string fault = LoginFault(step, reply); !fault.empty()) {
    DropSoon(fault);
    return;
  }
  if (!login_steps_.empty()) return;
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
      DropSoon(ClosedReason());
      return;
    }
    // A server that wants TLS answers a command with an alert, a record of type 21.
    if (state_ == State::kLoggingIn && locator_->access().tls == nullptr &&
        read_buffer_[0] == '\x15') {
      DropSoon("the server wants TLS on this port: use rediss");
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
      DropSoon(ClosedReason());
      return;
    }
    output_sent_ += transfer.bytes;
  }
  output_.clear();
  output_sent_ = 0;
}

std::string RedisConnection::MissingInTime() const {
  return state_ == State::kConnecting ? std::string(transport_->Missing())
                                      : "no answer to the log-in in time";
}

std::string RedisConnection::ClosedReason() const {
  if (state_ != State::kLoggingIn) return transport_->Failure();
  // Of a server that closes without a word only one thing is common enough to be worth a guess.
  const absl::string_view guess = locator_->access().tls == nullptr
                                      ? " (does it want TLS?)"
                                      : " (does it accept our client certificate?)";
  return absl::StrCat(transport_->Failure(), " before the log-in was answered", guess);
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
