#include "common/rpc/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/rpc/socket_probe.h"
#include "common/rpc/status_conversion.h"
#include "common/rpc/testing/raw_call.h"
#include "common/rpc/testing/test_host.h"

namespace handrail::rpc {
namespace {

using testing::EchoResponse;
using testing::Gate;
using ::testing::HasSubstr;
using testing::TestHost;
using testing::WaitUntil;

constexpr absl::Duration kTimeout = absl::Seconds(10);

void Run(const std::string& command) {
  ASSERT_EQ(std::system((command + " >/dev/null 2>&1").c_str()), 0) << command;
}

// A certificate authority and what it signs, made with the openssl tool.
class Authority {
 public:
  explicit Authority(const std::string& folder) : folder_(folder) {
    std::filesystem::create_directories(folder);
    Run(absl::StrCat(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 ",
        "-subj /CN=authority -keyout ", ca_key(), " -out ", ca()));
  }
  std::string ca() const { return folder_ + "/ca.pem"; }
  std::string ca_key() const { return folder_ + "/ca.key"; }
  std::string certificate(const std::string& name) const { return folder_ + "/" + name + ".pem"; }
  std::string key(const std::string& name) const { return folder_ + "/" + name + ".key"; }

  // `names` such as "DNS:localhost,URI:spiffe://handrail/profiles".
  void Issue(const std::string& name, const std::string& names) const {
    const std::string request = folder_ + "/" + name + ".csr";
    const std::string extensions = folder_ + "/" + name + ".ext";
    std::ofstream(extensions) << "subjectAltName=" << names << "\n";
    Run(absl::StrCat("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=",
                     name, " -keyout ", key(name), ".new -out ", request));
    Run(absl::StrCat("openssl x509 -req -days 2 -in ", request, " -CA ", ca(), " -CAkey ", ca_key(),
                     " -CAcreateserial -extfile ", extensions, " -out ", certificate(name),
                     ".new"));
    std::filesystem::rename(key(name) + ".new", key(name));
    std::filesystem::rename(certificate(name) + ".new", certificate(name));
  }

 private:
  const std::string folder_;
};

absl::Status Browse(const ClientOptions& client) {
  const auto stub = testing::EchoService::NewStub(*MakeChannel(client));
  const auto context = MakeContext(kTimeout);
  EchoResponse response;
  return FromGrpcStatus(stub->Browse(context.get(), {}, &response));
}

absl::Status Tell(const ClientOptions& client, const std::string& claimed, std::string* who) {
  const auto stub = testing::InsideService::NewStub(*MakeChannel(client));
  const auto context = MakeServiceContext(kTimeout, claimed);
  EchoResponse response;
  const absl::Status status = FromGrpcStatus(stub->Tell(context.get(), {}, &response));
  *who = response.who();
  return status;
}

TEST(ServerTest, TlsWithACertificateThatIsReadAgain) {
  handrail::testing::TemporaryDirectory folder;
  const Authority old_authority(folder.File("old"));
  const Authority new_authority(folder.File("new"));
  old_authority.Issue("server", "DNS:localhost,IP:127.0.0.1");
  new_authority.Issue("server", "DNS:localhost,IP:127.0.0.1");
  TestHost::Options options = TestHost::DefaultOptions();
  options.server.public_address = "127.0.0.1:00";  // a free port
  options.server.tls_certificate_file = old_authority.certificate("server");
  options.server.tls_key_file = old_authority.key("server");
  TestHost host(std::move(options));
  ClientOptions old_client;
  old_client.address = host.host->public_address();
  old_client.ca_file = old_authority.ca();
  old_client.server_name = "localhost";
  ClientOptions new_client = old_client;
  new_client.ca_file = new_authority.ca();
  EXPECT_TRUE(Browse(old_client).ok());
  EXPECT_EQ(Browse(new_client).code(), absl::StatusCode::kUnavailable);
  ClientOptions plain = old_client;
  plain.ca_file.clear();
  EXPECT_EQ(Browse(plain).code(), absl::StatusCode::kUnavailable);
  for (const char* kind : {".key", ".pem"}) {
    const std::string name = std::string("server") + kind;
    std::filesystem::rename(folder.File("new/" + name), folder.File("old/" + name));
  }
  EXPECT_TRUE(WaitUntil([&] { return Browse(new_client).ok(); }));
}

TEST(ServerTest, BetweenServicesTheIdentityIsThatOfTheCertificate) {
  handrail::testing::TemporaryDirectory folder;
  const Authority authority(folder.File("ca"));
  const Authority stranger(folder.File("stranger"));
  authority.Issue("server", "DNS:localhost,URI:spiffe://handrail/messaging");
  authority.Issue("profiles", "URI:spiffe://handrail/profiles");
  authority.Issue("unknown", "URI:spiffe://handrail/intruder");
  authority.Issue("elsewhere", "URI:spiffe://other/profiles");
  authority.Issue("nameless", "DNS:profiles");
  authority.Issue("double", "URI:spiffe://handrail/matching,URI:spiffe://handrail/profiles");
  stranger.Issue("profiles", "URI:spiffe://handrail/profiles");
  TestHost::Options options = TestHost::DefaultOptions();
  options.server.internal_address = "127.0.0.1:0";
  options.server.internal_certificate_file = authority.certificate("server");
  options.server.internal_key_file = authority.key("server");
  options.server.internal_ca_file = authority.ca();
  TestHost host(std::move(options));
  const auto as = [&](const Authority& issuer, const std::string& name) {
    ClientOptions client;
    client.address = host.host->internal_address();
    client.ca_file = authority.ca();
    client.server_name = "localhost";
    if (!name.empty()) {
      client.certificate_file = issuer.certificate(name);
      client.key_file = issuer.key(name);
    }
    return client;
  };
  std::string who;
  // What it claims in metadata counts for nothing.
  EXPECT_TRUE(Tell(as(authority, "profiles"), "matching", &who).ok());
  EXPECT_EQ(who, "profiles");
  EXPECT_EQ(Tell(as(authority, "unknown"), "profiles", &who).code(),
            absl::StatusCode::kPermissionDenied);
  for (const char* name : {"elsewhere", "nameless", "double"}) {
    EXPECT_EQ(Tell(as(authority, name), "profiles", &who).code(),
              absl::StatusCode::kUnauthenticated)
        << name;
  }
  EXPECT_EQ(Tell(as(stranger, "profiles"), "profiles", &who).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(Tell(as(authority, ""), "profiles", &who).code(), absl::StatusCode::kUnavailable);
}

TEST(ServerTest, ProbesAndMetrics) {
  std::atomic<bool> database_is_up{false};
  TestHost::Options options = TestHost::DefaultOptions();
  options.readiness = {
      {"database", [&] { return database_is_up ? absl::OkStatus() : absl::UnavailableError(""); }}};
  std::atomic<int> refreshed{0};
  options.refresh_metrics = {[&] { ++refreshed; }, [&] { ++refreshed; }};
  TestHost host(std::move(options));
  httplib::Client http("http://" + host.host->admin_address());
  EXPECT_EQ(http.Get("/livez")->status, 200);  // never depends on the database
  EXPECT_EQ(http.Get("/readyz")->status, 503);
  EXPECT_THAT(http.Get("/readyz")->body, HasSubstr("database"));
  database_is_up = true;
  EXPECT_EQ(http.Get("/readyz")->status, 200);
  const auto context = MakeContext(kTimeout);
  EchoResponse response;
  EXPECT_TRUE(host.Stub()->Browse(context.get(), {}, &response).ok());
  EXPECT_THAT(http.Get("/metrics")->body,
              HasSubstr("handrail_rpc_calls_total{code=\"OK\",method=\"/handrail.rpc.testing."
                        "EchoService/Browse\"} 1"));
  EXPECT_EQ(refreshed, 2);  // both, for the one question
  EXPECT_EQ(http.Get("/other")->status, 404);
}

TEST(ServerTest, WhatAlertsCountIsThereBeforeItHappens) {
  TestHost::Options options = TestHost::DefaultOptions();
  options.behaviour.browse = [](const Call&) {
    return Error(absl::StatusCode::kResourceExhausted, reason::kDatabaseFull).ToStatus();
  };
  TestHost host(std::move(options));
  httplib::Client http("http://" + host.host->admin_address());
  const std::string before = http.Get("/metrics")->body;
  for (const char* code : {"INTERNAL", "UNKNOWN", "DATA_LOSS"}) {
    EXPECT_THAT(before, HasSubstr(absl::StrCat("handrail_rpc_calls_total{code=\"", code,
                                               "\",method=\"/handrail.rpc.testing.EchoService/"
                                               "Browse\"} 0")));
  }
  EXPECT_THAT(before, HasSubstr("\nhandrail_database_full_total 0"));
  const auto context = MakeContext(kTimeout);
  EchoResponse response;
  EXPECT_FALSE(host.Stub()->Browse(context.get(), {}, &response).ok());
  EXPECT_THAT(http.Get("/metrics")->body, HasSubstr("\nhandrail_database_full_total 1"));
}

TEST(ServerTest, ADrainLetsWorkEndAndTurnsReadinessOff) {
  Gate gate;
  TestHost::Options options = TestHost::DefaultOptions();
  options.behaviour.browse = [&gate](const Call&) {
    gate.Pass();
    return absl::OkStatus();
  };
  TestHost host(std::move(options));
  std::thread caller([&host] {
    const auto context = MakeContext(kTimeout);
    EchoResponse response;
    EXPECT_TRUE(host.Stub()->Browse(context.get(), {}, &response).ok());
  });
  EXPECT_TRUE(gate.AwaitWaiting(1));
  std::thread drainer([&host] { host.host->Drain(); });
  EXPECT_TRUE(WaitUntil([&] { return host.drain.Draining(); }));
  httplib::Client http("http://" + host.host->admin_address());
  EXPECT_EQ(http.Get("/readyz")->status, 503);
  EXPECT_THAT(http.Get("/readyz")->body, HasSubstr("draining"));
  gate.Open();
  caller.join();
  drainer.join();
  EXPECT_EQ(http.Get("/livez")->status, 503);
}

TEST(ServerTest, AnAddressInUseIsNamed) {
  TestHost host;
  ServerOptions options;
  options.public_address = host.host->public_address();
  options.admin_address.clear();
  DrainNotifier drain;
  prometheus::Registry registry;
  const auto second = ServerHost::Start(options, host.edge->policy(), {}, drain, registry);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(options.public_address));
  options.public_address = host.host->admin_address();  // a TCP port that is taken
  const auto third = ServerHost::Start(options, host.edge->policy(), {}, drain, registry);
  EXPECT_THAT(std::string(third.status().message()), HasSubstr(options.public_address));
}

TEST(ServerTest, ASocketThatAKilledPredecessorLeftIsReplaced) {
  handrail::testing::TemporaryDirectory folder;
  const std::string path = folder.File("socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  close(fd);
  ASSERT_TRUE(std::filesystem::exists(path));
  EXPECT_TRUE(PrepareUnixSocket("unix:" + path).ok());
  EXPECT_FALSE(std::filesystem::exists(path));
  std::ofstream(path) << "a file";
  EXPECT_FALSE(PrepareUnixSocket("unix:" + path).ok());
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(ServerTest, AServiceThatThePolicyDoesNotKnowIsNotServed) {
  TestHost host;
  testing::LawlessService::CallbackService lawless;
  ServerOptions options;
  options.public_address = "unix:" + host.folder.File("lawless");
  ServerServices services;
  services.public_services = {Registered<testing::LawlessService>(&lawless)};
  const auto started = ServerHost::Start(options, host.edge->policy(), std::move(services),
                                         host.drain, host.registry);
  EXPECT_EQ(started.status().code(), absl::StatusCode::kInvalidArgument);
}

grpc::StatusCode Reflect(const std::shared_ptr<grpc::Channel>& channel) {
  const auto context = MakeContext(kTimeout);
  const auto stream = testing::RawBidi(
      *channel, context.get(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");
  stream->WritesDone();
  return stream->Finish().error_code();
}

TEST(ServerTest, ReflectionIsThereOnlyWhenItIsAskedFor) {
  {
    TestHost host;
    EXPECT_EQ(Reflect(host.PublicChannel()), grpc::StatusCode::UNIMPLEMENTED);
    EXPECT_EQ(Reflect(host.InternalChannel()), grpc::StatusCode::UNIMPLEMENTED);
  }
  TestHost::Options options = TestHost::DefaultOptions();
  options.server.reflection = true;
  TestHost host(std::move(options));
  EXPECT_EQ(Reflect(host.PublicChannel()), grpc::StatusCode::OK);
}

TEST(ClientTest, RetriesWhatIsUnavailableAtMostThreeTimes) {
  SystemRandom random;
  int attempts = 0;
  const auto unavailable = [&](absl::Duration) -> absl::Status {
    ++attempts;
    return Error(absl::StatusCode::kUnavailable, reason::kPeerUnavailable);
  };
  EXPECT_FALSE(CallWithRetry(kTimeout, random, unavailable).ok());
  EXPECT_EQ(attempts, 3);
  attempts = 0;
  const auto wrong = [&](absl::Duration) -> absl::Status {
    ++attempts;
    return Error(absl::StatusCode::kNotFound, reason::kNotFound);
  };
  EXPECT_FALSE(CallWithRetry(kTimeout, random, wrong).ok());
  EXPECT_EQ(attempts, 1);
}

}  // namespace
}  // namespace handrail::rpc
