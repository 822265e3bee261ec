#ifndef HANDRAIL_TOOLS_BENCHMARK_CHAT_STREAM_H_
#define HANDRAIL_TOOLS_BENCHMARK_CHAT_STREAM_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "handrail/messaging/v1/messaging.grpc.pb.h"
#include "tools/benchmark/population.h"
#include "tools/benchmark/unary_call.h"

namespace handrail::benchmark {

using MessagingConnections = Connections<messaging::v1::MessagingService>;

// 32 hexadecimal digits that no other message has.
std::string NewMessageId();

// What the streams of a run have seen together.
struct ChatTotals {
  std::atomic<int64_t> accepted{0};
  std::atomic<int64_t> refused{0};
  std::atomic<int64_t> delivered{0};
};

// One device on a Connect stream: takes what is delivered and acknowledges it, and sends when asked
// to. Thread-safe.
class ChatStream final : public grpc::ClientBidiReactor<messaging::v1::ConnectRequest,
                                                        messaging::v1::ConnectResponse> {
 public:
  // The functions, when not null, run on a thread of gRPC and must not block.
  using OnEvent = std::function<void(const messaging::v1::SubscribeResponse& event)>;
  struct Options {
    OnEvent on_event;  // sees every event, after it was acknowledged if it is
    // Sees the answers to what was sent.
    std::function<void(const messaging::v1::ConnectResponse& frame)> on_answers;
    // Acknowledges when so many messages have come. The server sends at most 256 more.
    int acknowledge_every = 64;
    // More than 1: messages that are ready at once share frames of up to so many.
    int sends_a_frame = 1;
  };
  static Options OptionsWith(OnEvent on_event) {
    Options options;
    options.on_event = std::move(on_event);
    return options;
  }
  // All must outlive the stream.
  ChatStream(MessagingConnections::AsyncStub* stub, const Member& member, ChatTotals& totals,
             Options options);
  ChatStream(MessagingConnections::AsyncStub* stub, const Member& member, ChatTotals& totals)
      : ChatStream(stub, member, totals, Options()) {}
  ~ChatStream() override;  // closes, and waits until it is over

  // Waits until everything that was stored has been delivered. The stream's error when it ended.
  absl::Status WaitUntilCaughtUp();
  // Keeps `window` messages of `payload` in flight to `conversation`, until StopSending.
  void StartSending(const std::string& conversation, int window, const std::string& payload);
  // Returns once what was sent has been answered; the stream's error when it ended before.
  absl::Status StopSending();
  // One message.
  void Send(const std::string& conversation, const std::string& payload);
  // The stream's error when it has ended.
  absl::Status status();

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  using Frame = messaging::v1::ConnectRequest;
  void OnEvents(const messaging::v1::ConnectResponse& response);
  // Room for one more message in the frames that wait.
  messaging::v1::SendMessageRequest* NextSend() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void QueueSend() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void QueueAck() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes the next frame if there is one and none is being written.
  void Pump();

  ChatTotals& totals_;
  const Options options_;
  grpc::ClientContext context_;
  messaging::v1::ConnectResponse response_;
  Frame writing_frame_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<Frame> frames_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool caught_up_ ABSL_GUARDED_BY(mutex_) = false;
  bool sending_ ABSL_GUARDED_BY(mutex_) = false;
  int in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string conversation_ ABSL_GUARDED_BY(mutex_);
  std::string payload_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int64_t> newest_ ABSL_GUARDED_BY(mutex_);  // not acknowledged yet
  int unacknowledged_ ABSL_GUARDED_BY(mutex_) = 0;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_CHAT_STREAM_H_
