// What the edge costs: unary echoes a second through the bare callback API and through the edge, in
// the same process and in turns, 64 calls in flight over four connections.
#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <vector>

#include "common/rpc/testing/test_host.h"

namespace handrail::rpc::testing {
namespace {

constexpr int kInFlight = 64;
constexpr int kChannels = 4;
constexpr int kRounds = 5;

class BareHandler final : public BareService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Ping(grpc::CallbackServerContext* context, const PingRequest* request,
                                 EchoResponse* response) override {
    response->set_text(request->text());
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

struct Figures {
  double calls_per_second = 0;
  double cpu_us_per_call = 0;
};

double CpuMicroseconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

// A closed loop of asynchronous calls for two seconds.
template <typename Request, typename Start>
Figures Measure(const Request& request, const std::string& token, const Start& start) {
  struct One {
    std::unique_ptr<grpc::ClientContext> context;
    EchoResponse response;
  };
  std::vector<One> calls(kInFlight);
  std::atomic<int64_t> completed{0};
  std::atomic<int> running{kInFlight};
  std::atomic<bool> stop{false};
  std::function<void(size_t)> next = [&](size_t i) {
    calls[i].context = MakeMemberContext(absl::Seconds(10), token);
    start(i % kChannels, calls[i].context.get(), &request, &calls[i].response,
          [&, i](grpc::Status status) {
            if (!status.ok()) std::cerr << status.error_message() << "\n";
            ++completed;
            if (stop) {
              --running;
            } else {
              next(i);
            }
          });
  };
  const double cpu_us = CpuMicroseconds();
  const auto begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < kInFlight; ++i) next(i);
  std::this_thread::sleep_for(std::chrono::seconds(2));
  stop = true;
  WaitUntil([&] { return running == 0; });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const auto count = static_cast<double>(completed);
  return {count / took.count(), (CpuMicroseconds() - cpu_us) / count};
}

Figures Median(std::vector<Figures> rounds) {
  const auto median = [&rounds](double Figures::*member) {
    std::vector<double> values;
    for (const Figures& round : rounds) values.push_back(round.*member);
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  };
  return {median(&Figures::calls_per_second), median(&Figures::cpu_us_per_call)};
}

void Print(const char* name, const Figures& figures, const Figures& ceiling) {
  std::cout << name << ": " << figures.calls_per_second << " calls/s, ratio "
            << figures.calls_per_second / ceiling.calls_per_second << "; "
            << figures.cpu_us_per_call << " us of processor a call, ratio "
            << ceiling.cpu_us_per_call / figures.cpu_us_per_call << "\n";
}

int Main() {
  TestHost::Options options = TestHost::DefaultOptions();
  options.server.edge.rate_limit_scale = 0;
  TestHost host(std::move(options));
  BareHandler bare;
  grpc::ServerBuilder builder;
  const std::string bare_address = "unix:" + host.folder.File("bare");
  builder.AddListeningPort(bare_address, grpc::InsecureServerCredentials());
  builder.RegisterService(&bare);
  const auto bare_server = builder.BuildAndStart();
  std::vector<std::unique_ptr<BareService::Stub>> bare_stubs;
  std::vector<std::unique_ptr<EchoService::Stub>> stubs;
  for (int i = 0; i < kChannels; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt("channel", i);  // so that each is a connection of its own
    const auto channel = [&](const std::string& address) {
      return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    };
    bare_stubs.push_back(BareService::NewStub(channel(bare_address)));
    stubs.push_back(EchoService::NewStub(channel(host.host->public_address())));
  }
  const std::string token = host.Token();
  PingRequest ping;
  ping.set_text("hello");
  EchoAsyncRequest echo_async;
  echo_async.set_text("hello");
  std::vector<Figures> bare_rates, async_rates, pool_rates;
  for (int round = 0; round < kRounds; ++round) {
    bare_rates.push_back(Measure(
        ping, token, [&](size_t i, auto... rest) { bare_stubs[i]->async()->Ping(rest...); }));
    async_rates.push_back(Measure(
        echo_async, token, [&](size_t i, auto... rest) { stubs[i]->async()->EchoAsync(rest...); }));
    pool_rates.push_back(Measure(
        ValidEcho(), token, [&](size_t i, auto... rest) { stubs[i]->async()->Echo(rest...); }));
  }
  const Figures ceiling = Median(bare_rates);
  Print("bare", ceiling, ceiling);
  Print("UnaryAsync", Median(async_rates), ceiling);
  Print("Unary", Median(pool_rates), ceiling);
  return 0;
}

}  // namespace
}  // namespace handrail::rpc::testing

int main() { return handrail::rpc::testing::Main(); }
