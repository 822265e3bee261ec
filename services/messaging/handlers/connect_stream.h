#ifndef HANDRAIL_SERVICES_MESSAGING_HANDLERS_CONNECT_STREAM_H_
#define HANDRAIL_SERVICES_MESSAGING_HANDLERS_CONNECT_STREAM_H_

#include <memory>
#include <optional>
#include <vector>

#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/rpc/edge.h"
#include "common/rpc/stream_writer.h"
#include "handrail/messaging/v1/messaging.pb.h"
#include "services/messaging/domain/messaging.h"
#include "services/messaging/domain/meter.h"
#include "services/messaging/handlers/event_pump.h"

namespace handrail::messaging {

// One call of Connect. Deliveries, acceptances and refusals that come together go in one frame:
// while one frame is being written the next one collects. Held by the stream's callbacks.
class ConnectStream final : public Wakeable, public std::enable_shared_from_this<ConnectStream> {
 public:
  using Stream = rpc::BidiStream<v1::ConnectRequest, v1::ConnectResponse>;

  ConnectStream(Messaging& messaging, rpc::Edge& edge, const Clock& clock, Executor& openers,
                Meter& meter, Call call)
      : messaging_(messaging),
        edge_(edge),
        clock_(clock),
        openers_(openers),
        meter_(meter),
        call_(std::move(call)),
        pump_([this] { Pump(); }) {}

  grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>* Begin(
      const rpc::StreamEnvironment& environment, grpc::CallbackServerContext* context,
      rpc::StreamSlot slot);

  void Wake() override { pump_.Wake(); }

 private:
  // True: read on.
  bool OnMessage(v1::ConnectRequest& request);
  bool OnSubscribe(const v1::SubscribeRequest& request);
  bool OnSend(v1::SendMessageRequest& request);
  bool OnSendBatch(v1::SendBatch& batch);
  // A batch with a bad message: refuses those that are bad.
  bool OnDoubtfulBatch(v1::SendBatch& batch);
  // Answers a send that was not tried. False when the client is read no further for now.
  bool RefuseSend(const std::string& message_id, const absl::Status& why);
  bool OnAck(const v1::AckMessagesRequest& request);
  void OnHalfClose();
  void OnDone();
  void OnSent(const std::string& message_id, const absl::StatusOr<Appended>& result);

  void OpenSession(const std::vector<Cursor>& cursors);
  void Pump();
  // False when there is nothing to send.
  bool FillFrame(StreamSession* session);
  // The stream, or null when it is over.
  std::shared_ptr<Stream> stream();
  // Ends the stream with an error; false, for OnMessage.
  bool Fail(absl::Status status);

  Messaging& messaging_;
  rpc::Edge& edge_;
  const Clock& clock_;
  Executor& openers_;
  Meter& meter_;
  const Call call_;
  EventPump pump_;

  // The pump's own.
  std::optional<v1::ConnectResponse> unsent_;
  bool closing_ = false;

  Mutex mutex_;
  std::shared_ptr<Stream> stream_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<StreamSession> session_ ABSL_GUARDED_BY(mutex_);
  bool subscribed_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool reads_paused_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t sends_under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<v1::Accepted> accepted_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::Refused> refused_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_HANDLERS_CONNECT_STREAM_H_
