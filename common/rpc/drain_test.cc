// What clients see of health and of a drain.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/rpc/server.h"
#include "common/rpc/status_conversion.h"
#include "common/rpc/testing/raw_call.h"
#include "common/rpc/testing/test_host.h"

namespace handrail::rpc {
namespace {

using ::testing::AnyOf;
using testing::EchoResponse;
using testing::Gate;
using testing::Health;
using testing::HealthResponse;
using testing::TestHost;
using testing::WaitUntil;

constexpr absl::Duration kTimeout = absl::Seconds(10);
const char* const kPublicNames[] = {"", "handrail.rpc.testing.EchoService"};
const char* const kInternalNames[] = {"", "handrail.rpc.testing.InsideService"};

Health HealthOf(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
  const auto context = MakeContext(kTimeout);
  Health health = Health::kUnknown;
  const grpc::Status status = testing::CheckHealth(*channel, context.get(), service, &health);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return health;
}

void ExpectHealth(const TestHost& host, Health wanted) {
  const auto channel = host.PublicChannel();
  for (const char* service : kPublicNames) {
    EXPECT_TRUE(WaitUntil([&] { return HealthOf(channel, service) == wanted; })) << service;
  }
  const auto internal = host.InternalChannel();
  for (const char* service : kInternalNames) {
    EXPECT_TRUE(WaitUntil([&] { return HealthOf(internal, service) == wanted; })) << service;
  }
}

TEST(HealthTest, FollowsTheReadinessChecks) {
  std::atomic<bool> database_is_up{false};
  TestHost::Options options = TestHost::DefaultOptions();
  options.readiness = {
      {"database", [&] { return database_is_up ? absl::OkStatus() : absl::UnavailableError(""); }}};
  TestHost host(std::move(options));
  ExpectHealth(host, Health::kNotServing);
  database_is_up = true;
  ExpectHealth(host, Health::kServing);
  database_is_up = false;
  ExpectHealth(host, Health::kNotServing);
}

TEST(HealthTest, AServiceThatIsNotHereIsNotFound) {
  TestHost host;
  const auto channel = host.PublicChannel();
  for (const char* service : {"nobody", "handrail.rpc.testing.InsideService"}) {
    const auto context = MakeContext(kTimeout);
    Health health = Health::kUnknown;
    EXPECT_EQ(testing::CheckHealth(*channel, context.get(), service, &health).error_code(),
              grpc::StatusCode::NOT_FOUND);
  }
}

TEST(HealthTest, TurnsWhenADrainBeginsAndWatchersAreTold) {
  TestHost::Options options = TestHost::DefaultOptions();
  options.server.drain_serve_on = absl::Hours(1);
  options.server.drain_deadline = absl::Minutes(1);
  TestHost host(std::move(options));
  ExpectHealth(host, Health::kServing);
  const auto channel = host.PublicChannel();
  const auto watching = MakeContext(absl::Minutes(2));
  const auto watch = testing::WatchHealth(*channel, watching.get(), "");
  HealthResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.value(), static_cast<unsigned>(Health::kServing));
  std::thread drainer([&host] { host.host->Drain(); });
  ASSERT_TRUE(watch->Read(&response)) << "told, not asked";
  EXPECT_EQ(response.value(), static_cast<unsigned>(Health::kNotServing));
  ExpectHealth(host, Health::kNotServing);
  // Still it serves.
  const auto context = MakeContext(kTimeout);
  EchoResponse echo;
  EXPECT_TRUE(host.Stub()->Browse(context.get(), {}, &echo).ok());
  host.host->Stop();
  drainer.join();
}

TEST(DrainTest, AHealthWatcherDoesNotHoldItUp) {
  TestHost::Options options = TestHost::DefaultOptions();
  options.server.drain_deadline = absl::Minutes(1);
  TestHost host(std::move(options));
  const auto channel = host.PublicChannel();
  const auto watching = MakeContext(absl::Minutes(2));
  const auto watch = testing::WatchHealth(*channel, watching.get(), "");
  HealthResponse response;
  ASSERT_TRUE(watch->Read(&response));
  const auto start = std::chrono::steady_clock::now();
  host.host->Drain();
  EXPECT_LT(absl::FromChrono(std::chrono::steady_clock::now() - start), absl::Seconds(20));
}

// What a client saw, by code and reason.
class Seen {
 public:
  void Count(const absl::Status& status) {
    MutexLock lock(mutex_);
    ++seen_[absl::StrCat(CodeName(status.code()), " ", ReasonOf(status))];
  }
  std::map<std::string, int> All() const {
    MutexLock lock(mutex_);
    return seen_;
  }

 private:
  mutable Mutex mutex_;
  std::map<std::string, int> seen_ ABSL_GUARDED_BY(mutex_);
};

bool IsDraining(const absl::Status& status) {
  const ErrorDetails details = DetailsOf(status);
  return status.code() == absl::StatusCode::kUnavailable && details.reason == reason::kDraining &&
         details.retry_after.has_value();
}

absl::Status Browse(testing::EchoService::Stub& stub) {
  const auto context = MakeContext(kTimeout);
  EchoResponse response;
  return FromGrpcStatus(stub.Browse(context.get(), {}, &response));
}

// Clients that do what docs/errors.md says: told DRAINING, they go elsewhere. None of them sees
// anything but an answer or that word, through the whole drain.
TEST(DrainTest, EveryCallIsAnsweredOrToldToGoElsewhere) {
  TestHost::Options options = TestHost::DefaultOptions();
  options.server.drain_serve_on = absl::Milliseconds(100);
  options.server.drain_refuse = absl::Seconds(2);
  options.server.edge.rate_limit_scale = 0;
  TestHost host(std::move(options));
  constexpr int kClients = 8;
  Seen seen;
  std::atomic<int> answered{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      const auto stub = testing::EchoService::NewStub(host.PublicChannel());
      while (true) {
        const absl::Status status = Browse(*stub);
        seen.Count(status);
        if (status.ok()) ++answered;
        if (status.ok()) continue;
        EXPECT_TRUE(IsDraining(status)) << status;
        return;
      }
    });
  }
  EXPECT_TRUE(WaitUntil([&] { return answered > 10 * kClients; }));
  host.host->Drain();
  for (std::thread& client : clients) client.join();
  const auto all = seen.All();
  EXPECT_EQ(all.size(), 2u);
  EXPECT_EQ(all.at("UNAVAILABLE DRAINING"), kClients);
  RecordProperty("answered", all.at("OK "));
}

// Clients that never leave: what they see after the listeners close, docs/errors.md tells.
TEST(DrainTest, WhoStaysSeesNothingElseUntilTheListenersClose) {
  TestHost::Options options = TestHost::DefaultOptions();
  options.server.drain_refuse = absl::Milliseconds(300);
  options.server.edge.rate_limit_scale = 0;
  TestHost host(std::move(options));
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0};
  Seen seen;
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      const auto stub = testing::EchoService::NewStub(host.PublicChannel());
      bool told = false;
      while (!stop) {
        const absl::Status status = Browse(*stub);
        seen.Count(status);
        if (status.ok()) {
          EXPECT_FALSE(told) << "answered after DRAINING";
          ++answered;
        } else if (IsDraining(status)) {
          told = true;
        } else {
          EXPECT_TRUE(told) << "before DRAINING: " << status;
          EXPECT_THAT(status.code(),
                      AnyOf(absl::StatusCode::kUnavailable, absl::StatusCode::kCancelled))
              << status;
        }
      }
    });
  }
  EXPECT_TRUE(WaitUntil([&] { return answered > 100; }));
  host.host->Drain();
  stop = true;
  for (std::thread& client : clients) client.join();
  for (const auto& [what, count] : seen.All()) {
    std::string key = what;
    for (char& c : key) c = c == ' ' ? '_' : c;
    RecordProperty(key, count);
    std::cout << what << ": " << count << "\n";
  }
}

}  // namespace
}  // namespace handrail::rpc
