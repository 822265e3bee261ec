#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "tools/benchmark/echo.grpc.pb.h"
#include "tools/benchmark/runs.h"
#include "tools/benchmark/unary_call.h"

namespace handrail::benchmark {
namespace {

using EchoConnections = Connections<EchoService>;

// Keeps `window` messages in flight on one stream until it is told to stop.
class EchoStream final : public grpc::ClientBidiReactor<EchoStreamRequest, EchoStreamResponse> {
 public:
  EchoStream(EchoConnections::AsyncStub* stub, int window, const std::string& payload,
             std::atomic<int64_t>& echoed)
      : echoed_(echoed), owed_(window) {
    request_.set_payload(payload);
    stub->EchoStream(&context_, this);
    StartRead(&response_);
    Pump();
    StartCall();
  }
  ~EchoStream() override {
    context_.TryCancel();
    MutexLock lock(mutex_);
    while (!done_) changed_.Wait(mutex_);
  }

  void Stop() {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  bool failed() {
    MutexLock lock(mutex_);
    return done_;
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    echoed_.fetch_add(1, std::memory_order_relaxed);
    StartRead(&response_);
    {
      MutexLock lock(mutex_);
      ++owed_;
    }
    Pump();
  }
  void OnWriteDone(bool ok) override {
    {
      MutexLock lock(mutex_);
      writing_ = false;
      if (!ok) owed_ = 0;
    }
    Pump();
  }
  void OnDone(const grpc::Status&) override {
    MutexLock lock(mutex_);
    done_ = true;
    changed_.SignalAll();
  }

 private:
  void Pump() {
    {
      MutexLock lock(mutex_);
      if (writing_ || stopping_ || owed_ == 0) return;
      --owed_;
      writing_ = true;
    }
    StartWrite(&request_);
  }

  std::atomic<int64_t>& echoed_;
  grpc::ClientContext context_;
  EchoStreamRequest request_;
  EchoStreamResponse response_;
  Mutex mutex_;
  CondVar changed_;
  int owed_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

absl::Status MeasureUnaryEcho(Bench& bench) {
  const EchoConnections connections(bench.deployment.echo_address(), bench.plan.connections);
  EchoRequest request;
  request.set_payload(std::string(static_cast<size_t>(bench.plan.payload_bytes), 'x'));
  ClosedLoop loop(bench.plan.unary_in_flight, [&](int lane, int64_t, ClosedLoop::Done done) {
    StartCall<EchoConnections::AsyncStub, EchoRequest, EchoResponse>(
        connections[lane], &EchoConnections::AsyncStub::Echo, {}, request,
        [done](const grpc::Status& status, EchoResponse&) { done(ToAbsl(status, "Echo")); });
  });
  UsageWindow usage(bench.deployment);
  const LoadResult result = loop.RunFor(bench.plan.warm_up, bench.plan.measured, usage.window());
  RETURN_IF_ERROR(CheckLoad(bench, "unary_echo", result));
  bench.AddBare("unary_echo", result.PerSecond(), "calls/s");
  bench.AddBare("cpu_per_unary_echo",
                usage.CpuMicros("echo") / static_cast<double>(result.completed), "us/call");
  return absl::OkStatus();
}

absl::Status MeasureStreamEcho(Bench& bench) {
  const EchoConnections connections(bench.deployment.echo_address(), bench.plan.connections);
  const std::string payload(static_cast<size_t>(bench.plan.payload_bytes), 'x');
  std::atomic<int64_t> echoed{0};
  std::vector<std::unique_ptr<EchoStream>> streams;
  for (int i = 0; i < bench.plan.stream_count; ++i) {
    streams.push_back(
        std::make_unique<EchoStream>(connections[i], bench.plan.window, payload, echoed));
  }
  SleepUntil(SteadyNanoseconds() + absl::ToInt64Nanoseconds(bench.plan.warm_up));
  UsageWindow usage(bench.deployment);
  const Window window = usage.window();
  window.open();
  const int64_t before = echoed;
  const int64_t begin = SteadyNanoseconds();
  SleepUntil(begin + absl::ToInt64Nanoseconds(bench.plan.measured));
  const auto messages = static_cast<double>(echoed - before);
  const double seconds = static_cast<double>(SteadyNanoseconds() - begin) / 1e9;
  window.close();
  for (const auto& stream : streams) {
    if (stream->failed()) return absl::InternalError("an echo stream ended");
    stream->Stop();
  }
  bench.AddBare("stream_echo", messages / seconds, "messages/s");
  bench.AddBare("cpu_per_stream_echo", usage.CpuMicros("echo") / messages, "us/message");
  return absl::OkStatus();
}

absl::Status MeasureEchoLatency(Bench& bench) {
  const EchoConnections connections(bench.deployment.echo_address(), bench.plan.connections);
  EchoRequest request;
  request.set_payload(std::string(static_cast<size_t>(bench.plan.payload_bytes), 'x'));
  for (const auto& [per_second, suffix] : kDeliveryRates) {
    Histogram latencies;
    std::atomic<int64_t> ended{0};
    std::atomic<int64_t> failed{0};
    const int64_t started =
        RunOpenLoop(per_second, bench.plan.delivery, [&](int64_t number, int64_t intended) {
          StartCall<EchoConnections::AsyncStub, EchoRequest, EchoResponse>(
              connections[number], &EchoConnections::AsyncStub::Echo, {}, request,
              [&, intended](const grpc::Status& status, EchoResponse&) {
                latencies.Add(absl::Nanoseconds(SteadyNanoseconds() - intended));
                if (!status.ok()) ++failed;
                ++ended;
              });
        });
    while (ended < started) SleepUntil(SteadyNanoseconds() + 1'000'000);  // each has a deadline
    if (failed > 0) return absl::InternalError("echo calls failed");
    for (const auto& [name, share] : kPercentiles) {
      bench.AddBare(absl::StrCat("unary_echo_", name, suffix),
                    absl::ToDoubleMilliseconds(latencies.Percentile(share)), "ms");
    }
  }
  return absl::OkStatus();
}

}  // namespace handrail::benchmark
