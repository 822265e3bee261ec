#ifndef HANDRAIL_SERVICES_MESSAGING_HANDLERS_SUBSCRIBE_STREAM_H_
#define HANDRAIL_SERVICES_MESSAGING_HANDLERS_SUBSCRIBE_STREAM_H_

#include <deque>
#include <memory>
#include <vector>

#include "common/base/call.h"
#include "common/base/executor.h"
#include "common/rpc/stream_writer.h"
#include "handrail/messaging/v1/messaging.pb.h"
#include "services/messaging/domain/messaging.h"
#include "services/messaging/domain/meter.h"
#include "services/messaging/handlers/event_pump.h"

namespace handrail::messaging {

// One call of Subscribe: moves events from the session to the wire as fast as the client takes
// them. Held by the stream's callbacks; gone when the stream is.
class SubscribeStream final : public std::enable_shared_from_this<SubscribeStream> {
 public:
  using Writer = rpc::StreamWriter<v1::SubscribeResponse>;

  SubscribeStream(Messaging& messaging, Meter& meter, Call call, std::vector<Cursor> cursors)
      : messaging_(messaging),
        meter_(meter),
        call_(std::move(call)),
        cursors_(std::move(cursors)),
        pump_([this] { Pump(); }) {}

  // Opens the session on `openers`, because that blocks. Returns what gRPC wants.
  grpc::ServerWriteReactor<v1::SubscribeResponse>* Begin(const rpc::StreamEnvironment& environment,
                                                         grpc::CallbackServerContext* context,
                                                         rpc::StreamSlot slot, Executor& openers);

 private:
  void OpenSession();
  void OnDone();
  void Pump();

  Messaging& messaging_;
  Meter& meter_;
  const Call call_;
  const std::vector<Cursor> cursors_;
  EventPump pump_;
  std::deque<v1::SubscribeResponse> unsent_;  // the pump's own
  bool closing_ = false;                      // likewise: the last event is in unsent_
  Mutex mutex_;
  std::shared_ptr<Writer> writer_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<StreamSession> session_ ABSL_GUARDED_BY(mutex_);
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
};

// The events with which a stream tells that it lives, and that it ends by itself.
v1::SubscribeResponse PingEvent();
v1::SubscribeResponse ClosingEvent(rpc::StreamEnd end, absl::Duration retry_after);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_HANDLERS_SUBSCRIBE_STREAM_H_
