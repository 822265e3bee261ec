#include "tools/benchmark/chat_stream.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "common/base/random.h"

namespace handrail::benchmark {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

uint64_t RunId() {
  static const uint64_t id = [] {
    SystemRandom random;
    return random.Next64();
  }();
  return id;
}

}  // namespace

std::string NewMessageId() {
  static std::atomic<uint64_t> next{0};
  return absl::StrFormat("%016x%016x", RunId(), next.fetch_add(1, std::memory_order_relaxed));
}

ChatStream::ChatStream(MessagingConnections::AsyncStub* stub, const Member& member,
                       ChatTotals& totals, Options options)
    : totals_(totals), options_(std::move(options)) {
  context_.AddMetadata("authorization", member.authorization);
  stub->Connect(&context_, this);
  AddHold();  // writes start from other threads than the reactions: given back when it breaks
  {
    MutexLock lock(mutex_);
    frames_.emplace_back().mutable_subscribe();
  }
  StartRead(&response_);
  Pump();
  StartCall();
}

ChatStream::~ChatStream() {
  context_.TryCancel();
  MutexLock lock(mutex_);
  while (!done_) changed_.Wait(mutex_);
}

void ChatStream::Pump() {
  {
    MutexLock lock(mutex_);
    if (writing_ || broken_ || frames_.empty()) return;
    writing_ = true;
    writing_frame_ = std::move(frames_.front());
    frames_.pop_front();
  }
  StartWrite(&writing_frame_);
}

void ChatStream::OnWriteDone(bool ok) {
  {
    MutexLock lock(mutex_);
    writing_ = false;
    if (!ok) frames_.clear();
  }
  if (ok) Pump();
}

messaging::v1::SendMessageRequest* ChatStream::NextSend() {
  if (options_.sends_a_frame <= 1) return frames_.emplace_back().mutable_send();
  if (frames_.empty() || !frames_.back().has_send_batch() ||
      frames_.back().send_batch().sends_size() >= options_.sends_a_frame) {
    frames_.emplace_back();
  }
  return frames_.back().mutable_send_batch()->add_sends();
}

void ChatStream::QueueSend() {
  messaging::v1::SendMessageRequest* send = NextSend();
  send->set_conversation(conversation_);
  send->set_message_id(NewMessageId());
  send->set_payload(payload_);
  ++in_flight_;
}

void ChatStream::QueueAck() {
  messaging::v1::AckMessagesRequest* ack = frames_.emplace_back().mutable_ack();
  for (const auto& [conversation, sequence] : newest_) {
    messaging::v1::Cursor* cursor = ack->add_cursors();
    cursor->set_conversation(conversation);
    cursor->set_after_sequence(sequence);
  }
  newest_.clear();
  unacknowledged_ = 0;
}

void ChatStream::OnReadDone(bool ok) {
  if (!ok) {
    bool first = false;
    {
      MutexLock lock(mutex_);
      first = !broken_;
      broken_ = true;
      frames_.clear();
    }
    if (first) RemoveHold();
    return;
  }
  OnEvents(response_);
  StartRead(&response_);
  Pump();
}

void ChatStream::OnEvents(const messaging::v1::ConnectResponse& response) {
  const int answered = response.accepted_size() + response.refused_size();
  // Counted before anybody who waits for it is told.
  totals_.accepted += response.accepted_size();
  totals_.refused += response.refused_size();
  totals_.delivered += std::count_if(response.events().begin(), response.events().end(),
                                     [](const auto& event) { return event.has_envelope(); });
  {
    MutexLock lock(mutex_);
    for (const auto& event : response.events()) {
      if (event.has_caught_up()) caught_up_ = true;
      if (!event.has_envelope()) continue;
      ++unacknowledged_;
      int64_t& newest = newest_[event.envelope().conversation()];
      newest = std::max(newest, event.envelope().sequence());
    }
    if (unacknowledged_ >= options_.acknowledge_every) QueueAck();
    in_flight_ -= answered;
    for (int i = 0; sending_ && i < answered; ++i) QueueSend();
    changed_.SignalAll();
  }
  Pump();  // first, so that an acknowledgement is on its way when others learn what came
  if (options_.on_answers != nullptr && answered > 0) options_.on_answers(response);
  if (options_.on_event == nullptr) return;
  for (const auto& event : response.events()) options_.on_event(event);
}

void ChatStream::OnDone(const grpc::Status& status) {
  MutexLock lock(mutex_);
  status_ = status.ok() ? absl::UnavailableError("the stream ended") : ToAbsl(status, "Connect");
  done_ = true;
  changed_.SignalAll();
}

absl::Status ChatStream::status() {
  MutexLock lock(mutex_);
  return done_ ? status_ : absl::OkStatus();
}

absl::Status ChatStream::WaitUntilCaughtUp() {
  MutexLock lock(mutex_);
  while (!caught_up_ && !done_) {
    if (!changed_.WaitFor(mutex_, kPatience)) {
      return absl::DeadlineExceededError("a stream did not catch up");
    }
  }
  return caught_up_ ? absl::OkStatus() : status_;
}

void ChatStream::StartSending(const std::string& conversation, int window,
                              const std::string& payload) {
  {
    MutexLock lock(mutex_);
    conversation_ = conversation;
    payload_ = payload;
    sending_ = true;
    for (int i = 0; i < window; ++i) QueueSend();
  }
  Pump();
}

void ChatStream::Send(const std::string& conversation, const std::string& payload) {
  {
    MutexLock lock(mutex_);
    conversation_ = conversation;
    payload_ = payload;
    QueueSend();
  }
  Pump();
}

absl::Status ChatStream::StopSending() {
  MutexLock lock(mutex_);
  sending_ = false;
  while (in_flight_ > 0 && !done_) {
    if (!changed_.WaitFor(mutex_, kPatience)) {
      return absl::DeadlineExceededError("sent messages were not answered");
    }
  }
  return done_ ? status_ : absl::OkStatus();
}

}  // namespace handrail::benchmark
