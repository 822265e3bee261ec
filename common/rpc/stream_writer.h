#ifndef HANDRAIL_COMMON_RPC_STREAM_WRITER_H_
#define HANDRAIL_COMMON_RPC_STREAM_WRITER_H_

#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <limits>
#include <memory>
#include <utility>

#include "common/rpc/stream_sender.h"

namespace handrail::rpc {

// A server-streaming response. Whoever produces responses holds the shared_ptr; it may outlive the
// call, after which TryWrite returns false. In a CallbackService:
//
//   auto admitted = edge_.AdmitStream(context, *request);
//   if (!admitted.ok()) return RefuseStream<v1::WatchTicketResponse>(admitted.status());
//   StreamOptions<v1::WatchTicketResponse> options;
//   options.slot = std::move(admitted->slot);
//   options.on_done = [...] { stop producing };
//   auto stream = StreamWriter<v1::WatchTicketResponse>::Open(streams_, context,
//   std::move(options));
//   ... hand `stream` to the producer ...
//   return stream->reactor();
//
// The reactor must be returned to gRPC: it owns itself until the stream is done.
template <typename Response>
class StreamWriter final : public StreamSender<Response> {
 public:
  static std::shared_ptr<StreamWriter> Open(const StreamEnvironment& environment,
                                            grpc::CallbackServerContext* context,
                                            StreamOptions<Response> options) {
    std::shared_ptr<StreamWriter> stream(
        new StreamWriter(environment, context, std::move(options)));
    stream->reactor_ = new Reactor(stream);
    stream->StartTimers();
    return stream;
  }

  grpc::ServerWriteReactor<Response>* reactor() const { return reactor_; }

 private:
  class Reactor final : public grpc::ServerWriteReactor<Response> {
   public:
    explicit Reactor(std::shared_ptr<StreamWriter> stream) : stream_(std::move(stream)) {}
    void OnWriteDone(bool ok) override { stream_->OnStreamWriteDone(ok); }
    void OnCancel() override { stream_->OnStreamCancelled(); }
    void OnDone() override {
      stream_->OnStreamDone();
      delete this;
    }

   private:
    const std::shared_ptr<StreamWriter> stream_;
  };

  using StreamSender<Response>::StreamSender;
  void StartWriteNow(const Response* response) override { reactor_->StartWrite(response); }
  void FinishNow(grpc::Status status) override { reactor_->Finish(std::move(status)); }

  Reactor* reactor_ = nullptr;
};

// What a client of a bidirectional stream says. Callbacks run one after another on threads of the
// library and must not block.
template <typename Request>
struct ReadOptions {
  // One message. True: read the next at once. False: read no more until ResumeReads, which is how a
  // full queue of ours slows the client down.
  std::function<bool(Request&)> on_message;
  // The client sends nothing more. Null: the stream is closed with OK once what is queued is
  // written.
  std::function<void()> on_half_close;
};

namespace internal {

// gRPC says the same, OnReadDone(false), of a message that cannot be parsed and of the end of all
// messages. Parsing clears the message before anything else, so a mark in it that is gone tells
// that there was one. The mark is an unknown field with a number that no tag on the wire can have.
constexpr int kUnreadMark = std::numeric_limits<int>::max();

template <typename Request>
void MarkUnread(Request* request) {
  request->Clear();
  request->GetReflection()->MutableUnknownFields(request)->AddVarint(kUnreadMark, 0);
}

template <typename Request>
bool IsUnread(const Request& request) {
  const auto& fields = request.GetReflection()->GetUnknownFields(request);
  return fields.field_count() == 1 && fields.field(0).number() == kUnreadMark;
}

}  // namespace internal

// A bidirectional stream: StreamWriter, and a loop that reads. `Start` begins to read; until then
// nothing of the client is seen, so that what on_message needs can be set up with the stream in
// hand. A message that cannot be parsed ends the stream with UnreadableRequest.
template <typename Request, typename Response>
class BidiStream final : public StreamSender<Response> {
 public:
  static std::shared_ptr<BidiStream> Open(const StreamEnvironment& environment,
                                          grpc::CallbackServerContext* context,
                                          StreamOptions<Response> options) {
    std::shared_ptr<BidiStream> stream(new BidiStream(environment, context, std::move(options)));
    stream->reactor_ = new Reactor(stream);
    stream->StartTimers();
    return stream;
  }

  // Once, before the reactor is returned to gRPC.
  void Start(ReadOptions<Request> reads) {
    MutexLock lock(this->mutex_);
    reads_ = std::make_shared<const ReadOptions<Request>>(std::move(reads));
    if (!this->finishing_) ReadNext();
  }

  // After on_message returned false. Thread-safe; without effect otherwise.
  void ResumeReads() {
    // Under the lock, so that no Finish can come between the question and the read.
    MutexLock lock(this->mutex_);
    if (in_message_) {
      resume_wanted_ = true;
    } else if (paused_ && !this->finishing_) {
      paused_ = false;
      ReadNext();
    }
  }

  grpc::ServerBidiReactor<Request, Response>* reactor() const { return reactor_; }

 private:
  class Reactor final : public grpc::ServerBidiReactor<Request, Response> {
   public:
    explicit Reactor(std::shared_ptr<BidiStream> stream) : stream_(std::move(stream)) {}
    void OnReadDone(bool ok) override { stream_->OnStreamReadDone(ok); }
    void OnWriteDone(bool ok) override { stream_->OnStreamWriteDone(ok); }
    void OnCancel() override { stream_->OnStreamCancelled(); }
    void OnDone() override {
      {
        MutexLock lock(stream_->mutex_);
        stream_->reads_ = nullptr;
      }
      stream_->OnStreamDone();
      delete this;
    }

   private:
    const std::shared_ptr<BidiStream> stream_;
  };

  using StreamSender<Response>::StreamSender;
  void StartWriteNow(const Response* response) override { reactor_->StartWrite(response); }
  void FinishNow(grpc::Status status) override { reactor_->Finish(std::move(status)); }

  void ReadNext() {
    internal::MarkUnread(&request_);
    reactor_->StartRead(&request_);
  }

  void OnStreamReadDone(bool ok) {
    std::shared_ptr<const ReadOptions<Request>> reads;
    {
      MutexLock lock(this->mutex_);
      reads = reads_;
      if (this->finishing_) return;
      in_message_ = true;
    }
    if (!ok) {
      // The end of the client's messages, or of the stream; OnCancel tells the latter.
      if (!internal::IsUnread(request_)) {
        request_ = Request();  // what could be read of it is kept no longer than the answer takes
        this->Close(UnreadableRequest());
      } else if (reads != nullptr && reads->on_half_close) {
        reads->on_half_close();
      } else {
        this->Close();
      }
      return;
    }
    const bool go_on = reads != nullptr && reads->on_message && reads->on_message(request_);
    MutexLock lock(this->mutex_);
    in_message_ = false;
    if (this->finishing_) return;
    if (go_on || std::exchange(resume_wanted_, false)) {
      resume_wanted_ = false;
      ReadNext();
    } else {
      paused_ = true;
    }
  }

  Reactor* reactor_ = nullptr;
  Request request_;  // being read; touched between reads only
  std::shared_ptr<const ReadOptions<Request>> reads_ ABSL_GUARDED_BY(this->mutex_);
  bool paused_ = false;  // these three under mutex_
  bool in_message_ = false;
  bool resume_wanted_ = false;
};

namespace internal {

template <typename Base>
class RefusingReactor final : public Base {
 public:
  explicit RefusingReactor(const absl::Status& status) { this->Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace internal

// Answers a stream that was not admitted.
template <typename Response>
grpc::ServerWriteReactor<Response>* RefuseStream(const absl::Status& status) {
  return new internal::RefusingReactor<grpc::ServerWriteReactor<Response>>(status);
}
template <typename Request, typename Response>
grpc::ServerBidiReactor<Request, Response>* RefuseBidiStream(const absl::Status& status) {
  return new internal::RefusingReactor<grpc::ServerBidiReactor<Request, Response>>(status);
}

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_STREAM_WRITER_H_
