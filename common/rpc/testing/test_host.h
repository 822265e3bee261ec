#ifndef HANDRAIL_COMMON_RPC_TESTING_TEST_HOST_H_
#define HANDRAIL_COMMON_RPC_TESTING_TEST_HOST_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/crypto/token.h"
#include "common/rpc/client.h"
#include "common/rpc/edge.h"
#include "common/rpc/key_source.h"
#include "common/rpc/server.h"
#include "common/rpc/stream_writer.h"
#include "common/rpc/testing/rpc_test_service.grpc.pb.h"
#include "common/testing/temporary_directory.h"

namespace handrail::rpc::testing {

// A gate that a handler waits at until a test opens it, so that no test sleeps.
class Gate {
 public:
  void Open();
  // Blocks at most 20 s.
  void Pass();
  // Until so many wait; false after 20 s.
  bool AwaitWaiting(int count);

 private:
  Mutex mutex_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
};

// True once `condition` holds; false after 20 s.
bool WaitUntil(const std::function<bool()>& condition);

using WatchStream = StreamWriter<WatchResponse>;
using ChatStream = BidiStream<ChatRequest, ChatResponse>;

// What the handlers do is set by the test.
struct Behaviour {
  std::function<absl::Status(const Call&, const EchoRequest&, EchoResponse*)> echo;
  std::function<absl::Status(const Call&)> browse;
  std::function<absl::Status(const Call&)> help;
  std::function<void(std::shared_ptr<WatchStream>, const WatchRequest&)> watch;
  std::function<void(StreamOptions<WatchResponse>*)> watch_options;
  std::function<bool(ChatStream&, ChatRequest&)> chat;
  std::function<void()> stream_done;
};

// A whole process of the test service: keys, edge, listeners on Unix sockets and free ports.
class TestHost {
 public:
  struct Options {
    ServerOptions server;
    Behaviour behaviour;
    std::vector<ReadinessCheck> readiness;
    std::vector<std::function<void()>> refresh_metrics;
  };
  static Options DefaultOptions();

  explicit TestHost(Options options = DefaultOptions());
  ~TestHost();

  std::shared_ptr<grpc::Channel> PublicChannel() const;
  std::shared_ptr<grpc::Channel> InternalChannel() const;
  std::unique_ptr<EchoService::Stub> Stub() const { return EchoService::NewStub(PublicChannel()); }

  // A token of a new member, with another life, role or key where a test wants one.
  std::string Token(crypto::TokenClaims::Role role = crypto::TokenClaims::Role::kMember,
                    absl::Duration life = absl::Minutes(10));
  std::string TokenFor(const MemberId& member, const DeviceId& device, absl::Time issued_at,
                       absl::Time expires_at,
                       crypto::TokenClaims::Role role = crypto::TokenClaims::Role::kMember);

  SystemClock clock;
  SystemRandom random;
  handrail::testing::TemporaryDirectory folder;
  prometheus::Registry registry;
  TimerQueue timers;
  DrainNotifier drain;
  KeySource keys;
  RevocationSet revocations;
  TokenAuthenticator tokens;
  ServiceAuthenticator services;
  std::optional<crypto::TokenSigner> signer;
  std::unique_ptr<Edge> edge;
  std::unique_ptr<EchoService::CallbackService> echo;
  std::unique_ptr<InsideService::CallbackService> inside;
  std::unique_ptr<ServerHost> host;
};

// A valid EchoRequest.
EchoRequest ValidEcho();

}  // namespace handrail::rpc::testing

#endif  // HANDRAIL_COMMON_RPC_TESTING_TEST_HOST_H_
