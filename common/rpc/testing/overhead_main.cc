// What the edge costs: unary echoes a second through the bare callback API and through the edge, in
// the same process and in turns, 64 calls in flight over four connections.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <vector>

#include "common/rpc/bad_request_interceptor.h"
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

// A closed loop of asynchronous calls for a second; returns calls a second.
template <typename Request, typename Start>
double Measure(const Request& request, const std::string& token, const Start& start) {
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
  const auto begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < kInFlight; ++i) next(i);
  std::this_thread::sleep_for(std::chrono::seconds(2));
  stop = true;
  WaitUntil([&] { return running == 0; });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  return static_cast<double>(completed) / took.count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
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
  std::vector<double> bare_rates, async_rates, pool_rates;
  for (int round = 0; round < kRounds; ++round) {
    bare_rates.push_back(Measure(
        ping, token, [&](size_t i, auto... rest) { bare_stubs[i]->async()->Ping(rest...); }));
    async_rates.push_back(Measure(
        echo_async, token, [&](size_t i, auto... rest) { stubs[i]->async()->EchoAsync(rest...); }));
    pool_rates.push_back(Measure(
        ValidEcho(), token, [&](size_t i, auto... rest) { stubs[i]->async()->Echo(rest...); }));
  }
  const double ceiling = Median(bare_rates);
  std::cout << "bare " << ceiling << "/s, UnaryAsync " << Median(async_rates) << "/s ("
            << Median(async_rates) / ceiling << "), Unary " << Median(pool_rates) << "/s ("
            << Median(pool_rates) / ceiling << ")\n";
  return 0;
}

}  // namespace
}  // namespace handrail::rpc::testing

int main() { return handrail::rpc::testing::Main(); }
