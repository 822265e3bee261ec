#include "services/messaging/handlers/subscribe_stream.h"

#include <utility>

#include "services/messaging/adapters/proto_conversion.h"

namespace handrail::messaging {
namespace {

constexpr size_t kEventsAtOnce = 64;
constexpr size_t kBytesAtOnce = 256 << 10;
constexpr size_t kQueueLimit = 64;

}  // namespace

v1::SubscribeResponse PingEvent() {
  v1::SubscribeResponse response;
  ToProto(Event(Ping{}), &response);
  return response;
}

v1::SubscribeResponse ClosingEvent(rpc::StreamEnd end, absl::Duration retry_after) {
  v1::SubscribeResponse response;
  const ClosingCause cause =
      end == rpc::StreamEnd::kAge ? ClosingCause::kAge : ClosingCause::kDraining;
  ToProto(Event(Closing{cause, retry_after}), &response);
  return response;
}

grpc::ServerWriteReactor<v1::SubscribeResponse>* SubscribeStream::Begin(
    const rpc::StreamEnvironment& environment, grpc::CallbackServerContext* context,
    rpc::StreamSlot slot, Executor& openers) {
  const auto self = shared_from_this();
  rpc::StreamOptions<v1::SubscribeResponse> options;
  options.slot = std::move(slot);
  options.queue_limit = kQueueLimit;
  options.ping = PingEvent;
  options.closing = ClosingEvent;
  options.on_writable = [self] { self->pump_.Wake(); };
  options.on_done = [self] { self->OnDone(); };
  const auto writer = Writer::Open(environment, context, std::move(options));
  {
    MutexLock lock(mutex_);
    if (!done_) writer_ = writer;
  }
  const bool taken = openers.TryRun([self] { self->OpenSession(); });
  if (!taken) {
    writer->Close(Error(absl::StatusCode::kResourceExhausted, reason::kOverloaded)
                      .Message("too many streams begin at once")
                      .RetryAfter(absl::Seconds(1)));
  }
  return writer->reactor();
}

void SubscribeStream::OpenSession() {
  auto opened = messaging_.OpenStream(call_, cursors_, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->pump_.Wake();
  });
  std::shared_ptr<Writer> writer;
  bool done = false;
  {
    MutexLock lock(mutex_);
    done = done_;
    writer = writer_;
    if (opened.ok() && !done) session_ = *opened;
  }
  if (!opened.ok()) {
    if (writer != nullptr) writer->Close(opened.status());
  } else if (done) {
    messaging_.CloseStream(*opened);
  } else {
    pump_.Wake();
  }
}

void SubscribeStream::OnDone() {
  std::shared_ptr<StreamSession> session;
  {
    MutexLock lock(mutex_);
    done_ = true;
    session = std::move(session_);
    session_ = nullptr;
    writer_ = nullptr;
  }
  if (session != nullptr) messaging_.CloseStream(session);
}

void SubscribeStream::Pump() {
  std::shared_ptr<StreamSession> session;
  std::shared_ptr<Writer> writer;
  {
    MutexLock lock(mutex_);
    session = session_;
    writer = writer_;
  }
  if (session == nullptr || writer == nullptr) return;
  while (true) {
    if (unsent_.empty()) {
      if (closing_) return writer->Close();
      int64_t messages = 0;
      for (const Event& event : session->Take(kEventsAtOnce, kBytesAtOnce)) {
        closing_ = closing_ || std::holds_alternative<Closing>(event);
        messages += std::holds_alternative<EnvelopePtr>(event) ? 1 : 0;
        ToProto(event, &unsent_.emplace_back());
      }
      meter_.OnDelivered(messages);
      if (unsent_.empty()) return;
    }
    while (!unsent_.empty()) {
      if (!writer->TryMove(unsent_.front())) return;  // on_writable, or OnDone, comes
      unsent_.pop_front();
    }
  }
}

}  // namespace handrail::messaging
