#include "common/rpc/server_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "absl/strings/str_join.h"

namespace handrail::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(ServerOptionsTest, TheDefaultsWork) { EXPECT_THAT(ServerOptions().Validate(), IsEmpty()); }

TEST(ServerOptionsTest, AnOpenListenerNeedsMutualTlsOrOurProxy) {
  ServerOptions options;
  options.public_address = "0.0.0.0:443";
  EXPECT_THAT(options.Validate(), SizeIs(1));
  options.behind_edge = true;
  EXPECT_THAT(options.Validate(), IsEmpty());
  options.internal_address = "127.0.0.1:9000";  // loopback, too: the identity comes from TLS
  EXPECT_THAT(options.Validate(), SizeIs(1));
  options.internal_address = "unix:/run/handrail/internal";
  EXPECT_THAT(options.Validate(), IsEmpty());
}

TEST(ServerOptionsTest, ReflectionIsNotForProduction) {
  ServerOptions options;
  options.reflection = true;
  options.internal_address = "unix:/run/handrail/internal";
  EXPECT_THAT(options.Validate(), IsEmpty());
  options.behind_edge = true;
  EXPECT_THAT(options.Validate(), SizeIs(1));
  options.public_address = "0.0.0.0:443";
  EXPECT_THAT(options.Validate(), SizeIs(1));
  options.reflection = false;
  EXPECT_THAT(options.Validate(), IsEmpty());
}

TEST(ServerOptionsTest, RequestSizesHaveABound) {
  ServerOptions options;
  options.edge.max_request_bytes = 64 * 1024 * 1024;
  EXPECT_THAT(options.Validate(), IsEmpty());
  ++options.edge.max_request_bytes;
  options.edge.internal_max_request_bytes = 0;
  EXPECT_THAT(options.Validate(), SizeIs(2));
}

TEST(ServerOptionsTest, AllFaultsAreToldAtOnce) {
  ServerOptions options;
  options.public_address = "nowhere";
  options.admin_address = "unix:/x";
  options.tls_certificate_file = "/no/such/file";
  options.internal_ca_file = "/no/such/file";
  options.edge.max_in_flight = 0;
  options.drain_deadline = -absl::Seconds(1);
  const std::string all = absl::StrJoin(options.Validate(), "\n");
  for (const char* flag : {"--public_address", "--admin_address", "--tls_certificate_file",
                           "--internal_ca_file", "--max_in_flight", "--drain_deadline"}) {
    EXPECT_THAT(all, HasSubstr(flag));
  }
}

TEST(ServerOptionsTest, FlagsFillThem) {
  ServerOptions options;
  CLI::App app;
  AddServerFlags(app, &options);
  app.parse(
      "--public_address unix:/a --behind_edge --worker_threads 3 --drain_serve_on 250ms "
      "--rate_limit_scale 0 --allowed_services a,b");
  EXPECT_EQ(options.public_address, "unix:/a");
  EXPECT_TRUE(options.behind_edge);
  EXPECT_EQ(options.edge.worker_threads, 3);
  EXPECT_EQ(options.drain_serve_on, absl::Milliseconds(250));
  EXPECT_EQ(options.edge.rate_limit_scale, 0);
  EXPECT_THAT(options.allowed_services, ::testing::ElementsAre("a", "b"));
  CLI::App other;
  AddServerFlags(other, &options);
  EXPECT_THROW(other.parse("--drain_serve_on soon"), CLI::ValidationError);
}

TEST(ServerOptionsTest, AddressesAreTold) {
  EXPECT_EQ(AddressFault("unix:/a"), "");
  EXPECT_EQ(AddressFault("[::1]:80"), "");
  EXPECT_NE(AddressFault("unix:relative"), "");
  EXPECT_NE(AddressFault("unix:/" + std::string(200, 'a')), "");
  EXPECT_NE(AddressFault("host:70000"), "");
  EXPECT_NE(AddressFault(":80"), "");
  EXPECT_TRUE(IsLocalAddress("127.0.0.1:1"));
  EXPECT_TRUE(IsLocalAddress("unix:/a"));
  EXPECT_FALSE(IsLocalAddress("10.0.0.1:1"));
  EXPECT_FALSE(IsLocalAddress("localhost.example.org:1"));
}

}  // namespace
}  // namespace handrail::rpc
