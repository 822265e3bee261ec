#include "tools/benchmark/echo_server.h"

#include <grpc/support/time.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <deque>
#include <iostream>
#include <memory>

#include "common/base/mutex.h"
#include "tools/benchmark/echo.grpc.pb.h"

namespace handrail::benchmark {
namespace {

// Reads and writes at the same time; what was read and not yet written back waits in a queue.
class EchoStreamReactor final
    : public grpc::ServerBidiReactor<EchoStreamRequest, EchoStreamResponse> {
 public:
  EchoStreamReactor() { StartRead(&request_); }

  void OnReadDone(bool ok) override {
    if (!ok) {
      MutexLock lock(mutex_);
      ended_ = true;
      if (!writing_) Finish(grpc::Status::OK);
      return;
    }
    bool write = false;
    {
      MutexLock lock(mutex_);
      waiting_.emplace_back().set_allocated_payload(request_.release_payload());
      write = TakeNext();
    }
    if (write) StartWrite(&response_);
    StartRead(&request_);
  }

  void OnWriteDone(bool ok) override {
    bool write = false;
    {
      MutexLock lock(mutex_);
      writing_ = false;
      if (!ok) waiting_.clear();
      write = TakeNext();
      if (!write && ended_) Finish(grpc::Status::OK);
    }
    if (write) StartWrite(&response_);
  }

  void OnDone() override { delete this; }

 private:
  bool TakeNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || waiting_.empty()) return false;
    response_ = std::move(waiting_.front());
    waiting_.pop_front();
    writing_ = true;
    return true;
  }

  EchoStreamRequest request_;
  EchoStreamResponse response_;
  Mutex mutex_;
  std::deque<EchoStreamResponse> waiting_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

class EchoHandler final : public EchoService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Echo(grpc::CallbackServerContext* context, const EchoRequest* request,
                                 EchoResponse* response) override {
    response->set_payload(request->payload());
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerBidiReactor<EchoStreamRequest, EchoStreamResponse>* EchoStream(
      grpc::CallbackServerContext*) override {
    return new EchoStreamReactor;
  }
};

}  // namespace

int RunEchoServer(const std::string& address) {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  sigprocmask(SIG_BLOCK, &ending, nullptr);
  EchoHandler handler;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&handler);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) {
    std::cerr << "cannot listen on " << address << "\n";
    return 1;
  }
  int received = 0;
  sigwait(&ending, &received);
  server->Shutdown(gpr_now(GPR_CLOCK_MONOTONIC));
  return 0;
}

}  // namespace handrail::benchmark
