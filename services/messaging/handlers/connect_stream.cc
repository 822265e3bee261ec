#include "services/messaging/handlers/connect_stream.h"

#include <utility>

#include "services/messaging/adapters/proto_conversion.h"
#include "services/messaging/handlers/subscribe_stream.h"

namespace handrail::messaging {
namespace {

constexpr size_t kEventsAFrame = 256;
constexpr size_t kBytesAFrame = 512 << 10;
// One frame waits while one is being written: what comes meanwhile collects in the next.
constexpr size_t kQueueLimit = 1;
// Sends of one stream that are not answered yet, answers that wait for a frame included; the client
// is read no further until half of them are.
constexpr int64_t kSendsLimit = 512;
constexpr size_t kMessageIdBytes = 32;
constexpr int kBatchLimit = 64;  // as its rule says
constexpr absl::Duration kSendTimeout = absl::Seconds(10);

v1::Refused Refusal(const std::string& message_id, const absl::Status& status) {
  const ErrorDetails details = DetailsOf(status);
  v1::Refused refused;
  refused.set_message_id(message_id);
  refused.set_code(static_cast<int32_t>(status.code()));
  refused.set_reason(details.reason);
  if (details.retry_after.has_value()) {
    refused.set_retry_after_ms(
        static_cast<int32_t>(absl::ToInt64Milliseconds(*details.retry_after)));
  }
  return refused;
}

v1::ConnectResponse FrameOf(v1::SubscribeResponse event) {
  v1::ConnectResponse frame;
  *frame.add_events() = std::move(event);
  return frame;
}

// A batch of which something in its messages may be at fault, not their number.
bool IsBatchWithinBounds(const v1::ConnectRequest& request) {
  const int count = request.send_batch().sends_size();
  return count >= 1 && count <= kBatchLimit;
}

}  // namespace

grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>* ConnectStream::Begin(
    const rpc::StreamEnvironment& environment, grpc::CallbackServerContext* context,
    rpc::StreamSlot slot) {
  const auto self = shared_from_this();
  rpc::StreamOptions<v1::ConnectResponse> options;
  options.slot = std::move(slot);
  options.queue_limit = kQueueLimit;
  options.ping = [] { return FrameOf(PingEvent()); };
  options.closing = [](rpc::StreamEnd end, absl::Duration retry_after) {
    return FrameOf(ClosingEvent(end, retry_after));
  };
  options.on_writable = [self] { self->pump_.Wake(); };
  options.on_done = [self] { self->OnDone(); };
  const auto stream = Stream::Open(environment, context, std::move(options));
  {
    MutexLock lock(mutex_);
    if (!done_) stream_ = stream;
  }
  stream->Start({[self](v1::ConnectRequest& request) { return self->OnMessage(request); },
                 [self] { self->OnHalfClose(); }});
  return stream->reactor();
}

std::shared_ptr<ConnectStream::Stream> ConnectStream::stream() {
  MutexLock lock(mutex_);
  return stream_;
}

bool ConnectStream::Fail(absl::Status status) {
  if (const auto open = stream()) open->Close(std::move(status));
  return false;
}

bool ConnectStream::RefuseSend(const std::string& message_id, const absl::Status& why) {
  meter_.OnSend(why);
  bool read_on = false;
  {
    MutexLock lock(mutex_);
    ++sends_under_way_;
    read_on = sends_under_way_ < kSendsLimit;
    reads_paused_ = !read_on;
    // An id that is none is not sent back: it may be as long as a message.
    const bool is_id = message_id.size() <= kMessageIdBytes;
    refused_.push_back(Refusal(is_id ? message_id : std::string(), why));
  }
  Wake();
  return read_on;
}

bool ConnectStream::OnMessage(v1::ConnectRequest& request) {
  const absl::Status valid = edge_.ValidateMessage(&request);
  if (request.command_case() == v1::ConnectRequest::kSend && !valid.ok()) {
    // One bad message is refused alone; it counts like a good one, so that refusals stay few.
    return RefuseSend(request.send().message_id(), valid);
  }
  const bool bad_batch = !valid.ok() && IsBatchWithinBounds(request);
  if (!valid.ok() && !bad_batch) return Fail(valid);
  bool in_order = false;
  {
    MutexLock lock(mutex_);
    in_order = subscribed_ != request.has_subscribe();
  }
  if (!in_order) return Fail(FieldError("subscribe", "must come first, and once"));
  switch (request.command_case()) {
    case v1::ConnectRequest::kSubscribe: return OnSubscribe(request.subscribe());
    case v1::ConnectRequest::kSend: return OnSend(*request.mutable_send());
    case v1::ConnectRequest::kAck: return OnAck(request.ack());
    case v1::ConnectRequest::kSendBatch:
      return bad_batch ? OnDoubtfulBatch(*request.mutable_send_batch())
                       : OnSendBatch(*request.mutable_send_batch());
    case v1::ConnectRequest::COMMAND_NOT_SET: break;
  }
  return Fail(FieldError("command", "must be set"));
}

bool ConnectStream::OnSubscribe(const v1::SubscribeRequest& request) {
  auto cursors = FromProto(request.cursors());
  if (!cursors.ok()) return Fail(cursors.status());
  {
    MutexLock lock(mutex_);
    subscribed_ = true;
  }
  // Nothing more is read until the session is open.
  const auto self = shared_from_this();
  if (openers_.TryRun([self, cursors = *std::move(cursors)] { self->OpenSession(cursors); })) {
    return false;
  }
  return Fail(Error(absl::StatusCode::kResourceExhausted, reason::kOverloaded)
                  .Message("too many streams begin at once")
                  .RetryAfter(absl::Seconds(1)));
}

void ConnectStream::OpenSession(const std::vector<Cursor>& cursors) {
  auto opened = messaging_.OpenStream(call_, cursors, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->pump_.Wake();
  });
  std::shared_ptr<Stream> open;
  {
    MutexLock lock(mutex_);
    open = stream_;
    if (opened.ok() && !done_) session_ = *opened;
  }
  if (!opened.ok()) {
    if (open != nullptr) open->Close(opened.status());
    return;
  }
  if (open == nullptr) return messaging_.CloseStream(*opened);
  pump_.Wake();
  open->ResumeReads();
}

bool ConnectStream::OnSend(v1::SendMessageRequest& request) {
  const std::string message_id = request.message_id();
  Call call = call_;
  call.deadline = clock_.Now() + kSendTimeout;
  bool read_on = false;
  {
    MutexLock lock(mutex_);
    ++sends_under_way_;
    read_on = sends_under_way_ < kSendsLimit;
    reads_paused_ = !read_on;
  }
  const auto self = shared_from_this();
  const absl::Status rate = edge_.CheckRate<v1::SendMessageRequest>(call);
  absl::StatusOr<Messaging::Message> message =
      rate.ok() ? TakeMessage(request) : absl::StatusOr<Messaging::Message>(rate);
  if (!message.ok()) {
    OnSent(message_id, message.status());
    Wake();
    return read_on;
  }
  messaging_.Send(
      call, *std::move(message), self,
      [self, message_id](absl::StatusOr<Appended> result) { self->OnSent(message_id, result); });
  return read_on;
}

bool ConnectStream::OnSendBatch(v1::SendBatch& batch) {
  bool read_on = true;
  for (v1::SendMessageRequest& send : *batch.mutable_sends()) read_on = OnSend(send);
  return read_on;
}

bool ConnectStream::OnDoubtfulBatch(v1::SendBatch& batch) {
  bool read_on = true;
  for (v1::SendMessageRequest& send : *batch.mutable_sends()) {
    const absl::Status valid = edge_.ValidateMessage(&send);
    read_on = valid.ok() ? OnSend(send) : RefuseSend(send.message_id(), valid);
  }
  return read_on;
}

void ConnectStream::OnSent(const std::string& message_id, const absl::StatusOr<Appended>& result) {
  meter_.OnSend(result.status());
  MutexLock lock(mutex_);
  if (!result.ok()) {
    refused_.push_back(Refusal(message_id, result.status()));
    return;
  }
  v1::Accepted& accepted = accepted_.emplace_back();
  accepted.set_message_id(message_id);
  accepted.set_sequence(result->sequence);
  ToProto(result->create_time, accepted.mutable_create_time());
}

bool ConnectStream::OnAck(const v1::AckMessagesRequest& request) {
  auto cursors = FromProto(request.cursors());
  if (!cursors.ok()) return Fail(cursors.status());
  std::shared_ptr<StreamSession> session;
  {
    MutexLock lock(mutex_);
    session = session_;
  }
  if (session != nullptr) messaging_.AcknowledgeLazily(call_, *session, *cursors);
  return true;
}

void ConnectStream::OnHalfClose() {
  {
    MutexLock lock(mutex_);
    half_closed_ = true;
  }
  Wake();
}

void ConnectStream::OnDone() {
  std::shared_ptr<StreamSession> session;
  {
    MutexLock lock(mutex_);
    done_ = true;
    session = std::move(session_);
    session_ = nullptr;
    stream_ = nullptr;
  }
  if (session != nullptr) messaging_.CloseStream(session);
}

bool ConnectStream::FillFrame(StreamSession* session) {
  v1::ConnectResponse frame;
  if (session != nullptr && !closing_) {
    int64_t messages = 0;
    for (const Event& event : session->Take(kEventsAFrame, kBytesAFrame)) {
      closing_ = closing_ || std::holds_alternative<Closing>(event);
      messages += std::holds_alternative<EnvelopePtr>(event) ? 1 : 0;
      ToProto(event, frame.add_events());
    }
    meter_.OnDelivered(messages);
  }
  std::shared_ptr<Stream> resume;
  {
    MutexLock lock(mutex_);
    for (v1::Accepted& accepted : accepted_) frame.add_accepted()->Swap(&accepted);
    for (v1::Refused& refused : refused_) frame.add_refused()->Swap(&refused);
    sends_under_way_ -= static_cast<int64_t>(accepted_.size() + refused_.size());
    accepted_.clear();
    refused_.clear();
    if (reads_paused_ && sends_under_way_ <= kSendsLimit / 2) {
      reads_paused_ = false;
      resume = stream_;
    }
  }
  if (resume != nullptr) resume->ResumeReads();
  if (frame.events_size() + frame.accepted_size() + frame.refused_size() == 0) return false;
  unsent_ = std::move(frame);
  return true;
}

void ConnectStream::Pump() {
  std::shared_ptr<Stream> open;
  std::shared_ptr<StreamSession> session;
  {
    MutexLock lock(mutex_);
    open = stream_;
    session = session_;
  }
  if (open == nullptr) return;
  while (true) {
    if (!unsent_.has_value() && !FillFrame(session.get())) break;
    if (!open->TryMove(*unsent_)) return;  // on_writable, or OnDone, comes
    unsent_.reset();
  }
  bool finished = closing_;
  {
    MutexLock lock(mutex_);
    finished = finished || (half_closed_ && sends_under_way_ == 0);
  }
  if (finished) open->Close();
}

}  // namespace handrail::messaging
