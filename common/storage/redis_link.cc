#include "common/storage/redis_link.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "common/base/status.h"

namespace handrail::storage {
namespace {

// Aligned like the pointers that follow it in the file: GNU ld 2.40 puts a thread-local section of
// less alignment up to seven bytes before the first page of the data, now and then one page too
// early, and the dynamic linker then refuses to start the program ("cannot apply additional memory
// protection after relocation"). It depends on nothing but the sizes of the sections before it.
alignas(8) thread_local bool on_link_thread = false;

constexpr absl::string_view kClosing = "the link to Redis is being closed";

constexpr absl::string_view kAsking = "*1\r\n$6\r\nASKING\r\n";

// While this much waits for the socket, further commands stay where they can still expire unsent.
constexpr size_t kUnsentBytesEnough = 256 << 10;

absl::Status ExpiredError() {
  return Error(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded)
      .Message("Redis did not answer in time");
}

absl::Status DownError(absl::string_view why) {
  return UnavailableError(reason::kRedisUnavailable, why);
}

absl::Status MisuseError(absl::string_view what) {
  return Error(absl::StatusCode::kInternal, reason::kRedisError).Message(what);
}

SteadyTime ToSteady(absl::Duration left) {
  const absl::Duration bounded = std::min(left, absl::Hours(24));
  return std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(bounded);
}

}  // namespace

RedisLink::RedisLink(std::unique_ptr<RedisLocator> locator, const RedisOptions& options,
                     RedisRouter* router)
    : backlog_limit_(options.backlog_limit),
      backlog_bytes_limit_(options.backlog_bytes_limit),
      stall_timeout_(absl::ToChronoNanoseconds(options.stall_timeout)),
      router_(router),
      clock_(options.clock != nullptr ? *options.clock : system_clock_),
      connection_(std::move(locator), options, "redis_link", *this),
      thread_([this] { Loop(); }) {}

RedisLink::~RedisLink() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  connection_.Wake();
  thread_.join();
}

bool RedisLink::OnLinkThread() { return on_link_thread; }

bool RedisLink::BreaksPipelining(absl::string_view command) {
  for (const absl::string_view word :
       {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR", "SYNC", "PSYNC", "HELLO", "QUIT"}) {
    if (command.size() == word.size() && absl::EqualsIgnoreCase(command, word)) return true;
  }
  return false;
}

void RedisLink::BecomeLinkThread() { on_link_thread = true; }

bool RedisRouter::ShouldRoute(absl::string_view error_word) {
  for (const absl::string_view word :
       {"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY"}) {
    if (error_word == word) return true;
  }
  return false;
}

RedisSubject RedisLink::Operation::subject() const {
  if (const ScriptCall* const call = script(); call != nullptr) return {call->script.name(), {}};
  return {{}, routed != nullptr ? routed->verb : verb};
}

void RedisLink::DoCommand(absl::Time deadline, absl::Span<const absl::string_view> args,
                          Done done) {
  if (args.empty()) return Refuse(std::move(done), MisuseError("an empty Redis command"));
  if (BreaksPipelining(args[0])) {
    return Refuse(std::move(done), MisuseError("a Redis command that cannot share a link"));
  }
  const WireCommand command(args);
  Submit(deadline, command.bytes(), args[0], nullptr, std::move(done));
}

void RedisLink::DoEval(absl::Time deadline, const RedisScript& script,
                       absl::Span<const std::string> keys, absl::Span<const std::string> args,
                       Done done) {
  const WireEvalSha wire = FormatEvalSha(script, keys, args);
  auto call = std::make_unique<ScriptCall>(
      ScriptCall{script, keys.size() + args.size(), std::string(wire.tail()), false});
  Submit(deadline, wire.bytes, {}, std::move(call), std::move(done));
}

void RedisLink::Submit(absl::Time deadline, absl::string_view wire, absl::string_view verb,
                       std::unique_ptr<ScriptCall> script_call, Done done) {
  // Measured on the injected clock, kept on the steady one: a step of the clock expires nothing.
  const absl::Duration left = deadline - clock_.Now();
  if (left <= absl::ZeroDuration()) return Refuse(std::move(done), ExpiredError());
  Operation operation;
  operation.done = std::move(done);
  operation.deadline = ToSteady(left);
  operation.verb = std::string(verb);
  operation.script_call = std::move(script_call);
  Enqueue(std::move(operation), {}, wire);
}

void RedisLink::SendRouted(std::unique_ptr<RedisRoutedCall> call, Done done) {
  Operation operation;
  operation.done = std::move(done);
  operation.deadline = call->deadline;
  operation.asking_reply_due = call->asking;
  operation.routed = std::move(call);
  const RedisRoutedCall& routed = *operation.routed;  // stays where it is
  Enqueue(std::move(operation), routed.asking ? kAsking : absl::string_view(), routed.wire);
}

void RedisLink::Enqueue(Operation operation, absl::string_view prefix, absl::string_view wire) {
  operation.wire_size = prefix.size() + wire.size();
  bool wake = false;
  {
    MutexLock lock(mutex_);
    absl::Status admitted = Admit(operation.wire_size);
    if (admitted.ok()) {
      incoming_.wire.append(prefix.data(), prefix.size());
      incoming_.wire.append(wire.data(), wire.size());
      incoming_.operations.push_back(std::move(operation));
    } else {
      // What a full backlog refuses has had its turn; what finds the node down may find another.
      const bool goes_back = availability_ == Availability::kDown && !stopping_;
      refused_.push_back({std::move(operation.done), std::move(admitted),
                          goes_back ? std::move(operation.routed) : nullptr});
    }
    wake = std::exchange(sleeping_, false);
  }
  if (wake) connection_.Wake();
}

absl::Status RedisLink::Admit(size_t wire_size) const {
  if (stopping_) return DownError(kClosing);
  if (availability_ == Availability::kDown) return DownError(down_reason_);
  if (held_operations_ + incoming_.operations.size() >= backlog_limit_ ||
      held_bytes_ + incoming_.wire.size() + wire_size > backlog_bytes_limit_) {
    return DownError("too many Redis commands are waiting");
  }
  return absl::OkStatus();
}

void RedisLink::Refuse(Done done, absl::Status status) {
  bool wake = false;
  {
    MutexLock lock(mutex_);
    refused_.push_back({std::move(done), std::move(status), nullptr});
    wake = std::exchange(sleeping_, false);
  }
  if (wake) connection_.Wake();
}

void RedisLink::Answer(Refusal& refusal) {
  if (refusal.routed != nullptr) {
    router_->TakeBack(std::move(refusal.routed), std::move(refusal.done),
                      RedisRouter::Why::kNotSent, connection_.address(), refusal.status.message());
  } else {
    refusal.done(std::move(refusal.status));
  }
}

void RedisLink::ReconnectUnlessAt(std::string address) {
  {
    MutexLock lock(mutex_);
    announced_address_ = std::move(address);
    sleeping_ = false;
  }
  connection_.Wake();
}

size_t RedisLink::PendingCount() const {
  MutexLock lock(mutex_);
  return held_operations_ + incoming_.operations.size();
}

void RedisLink::Loop() {
  on_link_thread = true;
  while (TakeIncoming()) {
    if (std::chrono::steady_clock::now() >= next_expiry_) ExpireOverdue();
    SendStaged();
    CheckStall();
    connection_.Turn(PrepareToSleep());
  }
  connected_.store(false, std::memory_order_relaxed);
  FailAll(kClosing);
  // Callbacks may have sent more; nothing is accepted now, but all of it is answered.
  while (true) {
    {
      MutexLock lock(mutex_);
      if (refused_.empty()) return;
      refused_taken_.swap(refused_);
    }
    for (Refusal& refusal : refused_taken_) Answer(refusal);
    refused_taken_.clear();
  }
}

bool RedisLink::TakeIncoming() {
  bool stopping = false;
  bool is_down = false;
  std::string down_reason;
  std::string announced_address;
  {
    MutexLock lock(mutex_);
    sleeping_ = false;
    announced_address.swap(announced_address_);
    stopping = stopping_;
    taken_.wire.swap(incoming_.wire);
    taken_.operations.swap(incoming_.operations);
    refused_taken_.swap(refused_);
    // Counted at once, or the commands on their way to the socket would be in nobody's count.
    held_operations_ += taken_.operations.size();
    held_bytes_ += taken_.wire.size();
    is_down = availability_ == Availability::kDown;
    if (is_down) down_reason = down_reason_;
  }
  for (Refusal& refusal : refused_taken_) Answer(refusal);
  refused_taken_.clear();
  if (!announced_address.empty() && announced_address != connection_.address() &&
      connection_.IsReady()) {
    connection_.DropSoon("the sentinels have announced another primary");
  }
  for (const Operation& operation : taken_.operations) {
    next_expiry_ = std::min(next_expiry_, operation.deadline);
  }
  if (staged_.operations.empty()) {
    std::swap(staged_, taken_);
  } else {
    staged_.wire += taken_.wire;
    std::move(taken_.operations.begin(), taken_.operations.end(),
              std::back_inserter(staged_.operations));
  }
  taken_.wire.clear();
  taken_.operations.clear();
  // Accepted in the moment in which the connection went.
  if (is_down && !staged_.operations.empty()) FailAll(down_reason);
  return !stopping;
}

void RedisLink::SendStaged() {
  if (!connection_.IsReady() || staged_.operations.empty() ||
      connection_.UnsentBytes() > kUnsentBytesEnough) {
    return;
  }
  if (in_flight_.empty()) waiting_since_ = std::chrono::steady_clock::now();
  if (!std::exchange(staged_has_expired_, false)) {
    connection_.Send(staged_.wire);
    std::move(staged_.operations.begin(), staged_.operations.end(), std::back_inserter(in_flight_));
  } else {
    size_t offset = 0;
    for (Operation& operation : staged_.operations) {
      const size_t size = operation.wire_size;
      if (operation.done != nullptr) {
        connection_.Send(absl::string_view(staged_.wire).substr(offset, size));
        in_flight_.push_back(std::move(operation));
      }
      offset += size;
    }
  }
  staged_.wire.clear();
  staged_.operations.clear();
  connection_.Flush();
}

void RedisLink::ExpireOverdue() {
  const SteadyTime now = std::chrono::steady_clock::now();
  SteadyTime next = SteadyTime::max();
  std::vector<Done> expired;
  const auto sweep = [&](Operation& operation) {
    if (operation.done == nullptr) return false;
    if (operation.deadline > now) {
      next = std::min(next, operation.deadline);
      return false;
    }
    expired.push_back(std::exchange(operation.done, nullptr));
    return true;
  };
  for (Operation& operation : in_flight_) sweep(operation);
  for (Operation& operation : staged_.operations) {
    if (sweep(operation)) staged_has_expired_ = true;
  }
  next_expiry_ = next;
  for (Done& done : expired) done(ExpiredError());
}

void RedisLink::CheckStall() {
  if (!connection_.IsReady() || in_flight_.empty()) return;
  const SteadyTime since = std::max(connection_.last_read(), waiting_since_);
  if (std::chrono::steady_clock::now() >= since + stall_timeout_) {
    connection_.DropSoon("the server has stopped answering");
  }
}

SteadyTime RedisLink::PrepareToSleep() {
  SteadyTime until = next_expiry_;
  if (connection_.IsReady() && !in_flight_.empty()) {
    until = std::min(until, std::max(connection_.last_read(), waiting_since_) + stall_timeout_);
  }
  MutexLock lock(mutex_);
  held_operations_ = in_flight_.size() + staged_.operations.size();
  held_bytes_ = connection_.UnsentBytes() + staged_.wire.size();
  if (!incoming_.operations.empty() || !refused_.empty() || !announced_address_.empty() ||
      stopping_) {
    return SteadyTime::min();
  }
  sleeping_ = true;
  return until;
}

void RedisLink::OnReady() {
  {
    MutexLock lock(mutex_);
    availability_ = Availability::kUp;
    down_reason_.clear();
  }
  epoch_.fetch_add(1, std::memory_order_relaxed);
  connected_.store(true, std::memory_order_relaxed);
  if (router_ != nullptr) router_->OnLinkUp();
}

void RedisLink::OnReply(const redisReply& reply) {
  if (in_flight_.empty()) {
    connection_.DropSoon("the server answered what nobody asked");
    return;
  }
  if (std::exchange(in_flight_.front().asking_reply_due, false)) return;
  Operation operation = std::move(in_flight_.front());
  in_flight_.pop_front();
  if (reply.type == REDIS_REPLY_ERROR) {
    const absl::string_view text(reply.str, reply.len);
    const std::string word = RedisErrorWord(text);
    if (word == "NOSCRIPT" && operation.done != nullptr && operation.script() != nullptr &&
        !std::exchange(operation.script()->sent_as_text, true)) {
      SendAsEval(std::move(operation));
      return;
    }
    if (operation.routed != nullptr && RedisRouter::ShouldRoute(word)) {
      if (operation.done == nullptr) return;
      router_->TakeBack(std::move(operation.routed), std::move(operation.done),
                        RedisRouter::Why::kRefused, connection_.address(), text);
      return;
    }
    // After a failover this connection leads to a replica; the address may lead to the new master.
    if (word == "READONLY") connection_.DropSoon("the server has become a read-only replica");
  } else {
    connection_.ResetBackoff();
  }
  if (operation.done == nullptr) return;  // expired: this is its late reply
  operation.done(ConvertReply(reply, operation.subject()));
}

void RedisLink::SendAsEval(Operation operation) {
  const ScriptCall& call = *operation.script();
  if (operation.routed != nullptr && operation.routed->asking) {
    connection_.Send(kAsking);
    operation.asking_reply_due = true;
  }
  connection_.Send(absl::string_view(FormatEval(call.script, call.arguments, call.tail)));
  in_flight_.push_back(std::move(operation));
  connection_.Flush();
}

void RedisLink::OnDown(absl::string_view why) {
  connected_.store(false, std::memory_order_relaxed);
  {
    MutexLock lock(mutex_);
    availability_ = Availability::kDown;
    down_reason_ = std::string(why);
  }
  FailAll(why);
  if (router_ != nullptr) router_->OnLinkDown();
}

void RedisLink::FailOne(Operation& operation, RedisRouter::Why kind, absl::string_view why) {
  if (operation.done == nullptr) return;
  if (operation.routed == nullptr) {
    operation.done(DownError(why));
  } else {
    router_->TakeBack(std::move(operation.routed), std::move(operation.done), kind,
                      connection_.address(), why);
  }
}

void RedisLink::FailAll(absl::string_view why) {
  std::deque<Operation> in_flight;
  in_flight.swap(in_flight_);
  Batch staged;
  std::swap(staged, staged_);
  staged_has_expired_ = false;
  next_expiry_ = SteadyTime::max();
  for (Operation& operation : in_flight) FailOne(operation, RedisRouter::Why::kLost, why);
  for (Operation& operation : staged.operations) {
    FailOne(operation, RedisRouter::Why::kNotSent, why);
  }
}

}  // namespace handrail::storage
