#include "common/rpc/testing/test_host.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <utility>

#include "common/crypto/ed25519.h"
#include "common/crypto/key_set.h"

namespace handrail::rpc::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr char kIssuer[] = "handrail-test";
constexpr char kAudience[] = "handrail-apps";

class EchoHandler final : public EchoService::CallbackService {
 public:
  EchoHandler(Edge& edge, StreamEnvironment streams, Behaviour behaviour)
      : edge_(edge), streams_(streams), behaviour_(std::move(behaviour)) {}

  grpc::ServerUnaryReactor* Echo(grpc::CallbackServerContext* context, const EchoRequest* request,
                                 EchoResponse* response) override {
    return edge_.Unary(context, request, response,
                       [this](const Call& call, const EchoRequest& echo, EchoResponse* answer) {
                         if (behaviour_.echo) return behaviour_.echo(call, echo, answer);
                         answer->set_text(echo.text());
                         answer->set_who(call.who.member.Name());
                         answer->set_request_id(call.request_id);
                         answer->set_request_hash(call.request_hash);
                         answer->set_trace_id(call.trace_id);
                         answer->set_deadline_left_ms(
                             absl::ToInt64Milliseconds(call.deadline - SystemClock().Now()));
                         return absl::OkStatus();
                       });
  }

  grpc::ServerUnaryReactor* EchoAsync(grpc::CallbackServerContext* context,
                                      const EchoAsyncRequest* request,
                                      EchoResponse* response) override {
    return edge_.UnaryAsync(context, request, response,
                            [](const Call&, const EchoAsyncRequest& echo, EchoResponse* answer,
                               std::function<void(absl::Status)> done) {
                              answer->set_text(echo.text());
                              done(absl::OkStatus());
                            });
  }

  grpc::ServerUnaryReactor* Browse(grpc::CallbackServerContext* context,
                                   const BrowseRequest* request, EchoResponse* response) override {
    return edge_.Unary(context, request, response,
                       [this](const Call& call, const BrowseRequest&, EchoResponse*) {
                         return behaviour_.browse ? behaviour_.browse(call) : absl::OkStatus();
                       });
  }

  grpc::ServerUnaryReactor* Limited(grpc::CallbackServerContext* context,
                                    const LimitedRequest* request,
                                    EchoResponse* response) override {
    return edge_.Unary(
        context, request, response,
        [](const Call&, const LimitedRequest&, EchoResponse*) { return absl::OkStatus(); });
  }

  grpc::ServerUnaryReactor* Help(grpc::CallbackServerContext* context, const HelpRequest* request,
                                 EchoResponse* response) override {
    return edge_.Unary(context, request, response,
                       [this](const Call& call, const HelpRequest&, EchoResponse*) {
                         return behaviour_.help ? behaviour_.help(call) : absl::OkStatus();
                       });
  }

  grpc::ServerUnaryReactor* Operate(grpc::CallbackServerContext* context,
                                    const OperateRequest* request,
                                    EchoResponse* response) override {
    return edge_.Unary(
        context, request, response,
        [](const Call&, const OperateRequest&, EchoResponse*) { return absl::OkStatus(); });
  }

  grpc::ServerWriteReactor<WatchResponse>* Watch(grpc::CallbackServerContext* context,
                                                 const WatchRequest* request) override {
    auto admitted = edge_.AdmitStream(context, *request);
    if (!admitted.ok()) return RefuseStream<WatchResponse>(admitted.status());
    StreamOptions<WatchResponse> options;
    options.slot = std::move(admitted->slot);
    options.on_done = behaviour_.stream_done;
    options.closing = [](StreamEnd, absl::Duration retry_after) {
      WatchResponse last;
      last.set_closing(true);
      last.set_retry_after_ms(absl::ToInt64Milliseconds(retry_after));
      return last;
    };
    if (behaviour_.watch_options) behaviour_.watch_options(&options);
    auto stream = WatchStream::Open(streams_, context, std::move(options));
    if (behaviour_.watch) behaviour_.watch(stream, *request);
    return stream->reactor();
  }

  grpc::ServerBidiReactor<ChatRequest, ChatResponse>* Chat(
      grpc::CallbackServerContext* context) override {
    auto admitted = edge_.AdmitStream<ChatRequest>(context);
    if (!admitted.ok()) return RefuseBidiStream<ChatRequest, ChatResponse>(admitted.status());
    StreamOptions<ChatResponse> options;
    options.slot = std::move(admitted->slot);
    options.on_done = behaviour_.stream_done;
    auto stream = ChatStream::Open(streams_, context, std::move(options));
    ReadOptions<ChatRequest> reads;
    reads.on_message = [this, weak = std::weak_ptr<ChatStream>(stream)](ChatRequest& message) {
      const auto chat = weak.lock();
      if (chat == nullptr) return false;
      if (const absl::Status valid = edge_.ValidateMessage(&message); !valid.ok()) {
        chat->Close(valid);
        return false;
      }
      if (behaviour_.chat) return behaviour_.chat(*chat, message);
      ChatResponse answer;
      answer.set_text(message.text());
      chat->TryWrite(std::move(answer));
      return true;
    };
    stream->Start(std::move(reads));
    return stream->reactor();
  }

 private:
  Edge& edge_;
  const StreamEnvironment streams_;
  const Behaviour behaviour_;
};

class InsideHandler final : public InsideService::CallbackService {
 public:
  explicit InsideHandler(Edge& edge) : edge_(edge) {}
  grpc::ServerUnaryReactor* Tell(grpc::CallbackServerContext* context, const TellRequest* request,
                                 EchoResponse* response) override {
    return edge_.Unary(context, request, response,
                       [](const Call& call, const TellRequest&, EchoResponse* answer) {
                         answer->set_who(call.who.service);
                         return absl::OkStatus();
                       });
  }

 private:
  Edge& edge_;
};

}  // namespace

void Gate::Open() {
  MutexLock lock(mutex_);
  open_ = true;
  changed_.SignalAll();
}

void Gate::Pass() {
  MutexLock lock(mutex_);
  ++waiting_;
  changed_.SignalAll();
  while (!open_) {
    if (!changed_.WaitFor(mutex_, kPatience)) break;
  }
  --waiting_;
}

bool Gate::AwaitWaiting(int count) {
  MutexLock lock(mutex_);
  while (waiting_ < count) {
    if (!changed_.WaitFor(mutex_, kPatience)) return false;
  }
  return true;
}

bool WaitUntil(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(kPatience);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

TestHost::Options TestHost::DefaultOptions() {
  Options options;
  options.server.drain_serve_on = absl::ZeroDuration();
  options.server.drain_refuse = absl::ZeroDuration();
  options.server.drain_deadline = absl::Seconds(10);
  options.server.edge.worker_threads = 8;
  return options;
}

TestHost::TestHost(Options options)
    : keys(clock, kIssuer, kAudience),
      revocations(clock),
      tokens(keys, revocations),
      services({{"profiles", "matching"}, options.server.trust_domain}) {
  auto key = crypto::SigningKey::Generate(random);
  const crypto::KeySet set = {{"key-1", key.verify_key()}};
  EXPECT_TRUE(keys.Update(crypto::EncodeKeySet(set)).ok());
  auto made = crypto::TokenSigner::Create(kIssuer, "key-1", std::move(key));
  EXPECT_TRUE(made.ok()) << made.status();
  signer.emplace(*std::move(made));

  if (options.server.public_address == ServerOptions().public_address) {
    options.server.public_address = "unix:" + folder.File("public");
  }
  if (options.server.internal_address.empty()) {
    options.server.internal_address = "unix:" + folder.File("internal");
  }
  auto made_edge = Edge::Create(options.server.edge, {clock, tokens, services, drain, registry},
                                {DescriptorOf<EchoService>()}, {DescriptorOf<InsideService>()});
  EXPECT_TRUE(made_edge.ok()) << made_edge.status();
  edge = *std::move(made_edge);
  echo = std::make_unique<EchoHandler>(*edge, StreamEnvironment{timers, drain, random},
                                       std::move(options.behaviour));
  inside = std::make_unique<InsideHandler>(*edge);
  ServerServices handlers;
  handlers.public_services = {Registered<EchoService>(echo.get())};
  handlers.internal_services = {Registered<InsideService>(inside.get())};
  handlers.readiness = std::move(options.readiness);
  handlers.refresh_metrics = std::move(options.refresh_metrics);
  auto started =
      ServerHost::Start(options.server, edge->policy(), std::move(handlers), drain, registry);
  EXPECT_TRUE(started.ok()) << started.status();
  if (started.ok()) host = *std::move(started);
}

TestHost::~TestHost() {
  if (host != nullptr) host->Stop();
}

std::shared_ptr<grpc::Channel> TestHost::PublicChannel() const {
  ClientOptions options;
  options.address = host->public_address();
  return *MakeChannel(options);
}

std::shared_ptr<grpc::Channel> TestHost::InternalChannel() const {
  ClientOptions options;
  options.address = host->internal_address();
  return *MakeChannel(options);
}

std::string TestHost::Token(crypto::TokenClaims::Role role, absl::Duration life) {
  const absl::Time now = clock.Now();
  return TokenFor(MemberId::Random(random), DeviceId::Random(random), now, now + life, role);
}

std::string TestHost::TokenFor(const MemberId& member, const DeviceId& device, absl::Time issued_at,
                               absl::Time expires_at, crypto::TokenClaims::Role role) {
  crypto::TokenClaims claims;
  claims.audience = kAudience;
  claims.member = member;
  claims.device = device;
  claims.role = role;
  claims.issued_at = issued_at;
  claims.not_before = issued_at;
  claims.expires_at = expires_at;
  claims.token_id = MessageId::Random(random).ToString();
  return signer->Sign(claims);
}

EchoRequest ValidEcho() {
  EchoRequest request;
  request.set_request_id("request-1");
  request.set_text("hello");
  return request;
}

}  // namespace handrail::rpc::testing
