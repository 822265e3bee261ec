#include "common/rpc/edge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "common/rpc/status_conversion.h"
#include "common/rpc/testing/test_host.h"

namespace handrail::rpc {
namespace {

using testing::EchoRequest;
using testing::EchoResponse;
using testing::Gate;
using testing::TestHost;
using testing::ValidEcho;
using testing::WaitUntil;
using Role = crypto::TokenClaims::Role;

constexpr absl::Duration kTimeout = absl::Seconds(20);

absl::Status Echo(TestHost& host, const std::string& token, const EchoRequest& request,
                  EchoResponse* response = nullptr, absl::Duration timeout = kTimeout) {
  EchoResponse ignored;
  const auto context = token.empty() ? MakeContext(timeout) : MakeMemberContext(timeout, token);
  return FromGrpcStatus(host.Stub()->Echo(context.get(), request, response ? response : &ignored));
}

TEST(EdgeTest, AHandlerGetsACallThatTheEdgeHasEstablished) {
  TestHost host;
  const MemberId member = MemberId::Random(host.random);
  const absl::Time now = host.clock.Now();
  const auto context = MakeMemberContext(
      kTimeout, host.TokenFor(member, DeviceId::Random(host.random), now, now + absl::Minutes(10)));
  context->AddMetadata("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EchoResponse response;
  ASSERT_TRUE(host.Stub()->Echo(context.get(), ValidEcho(), &response).ok());
  EXPECT_EQ(response.who(), member.Name());
  EXPECT_EQ(response.request_id(), "request-1");
  EXPECT_EQ(response.request_hash(), RequestHash(ValidEcho()));
  EXPECT_EQ(response.trace_id(), "0af7651916cd43dd8448eb211c80319c");
}

TEST(EdgeTest, CallersAreTurnedAwayByReason) {
  TestHost host;
  EXPECT_EQ(ReasonOf(Echo(host, "", ValidEcho())), reason::kTokenMissing);
  EXPECT_EQ(ReasonOf(Echo(host, "no.token.this", ValidEcho())), reason::kTokenInvalid);
  std::string forged = host.Token();
  forged[forged.size() / 2] = forged[forged.size() / 2] == 'A' ? 'B' : 'A';
  EXPECT_EQ(ReasonOf(Echo(host, forged, ValidEcho())), reason::kTokenInvalid);
  const absl::Time now = host.clock.Now();
  const std::string expired =
      host.TokenFor(MemberId::Random(host.random), DeviceId::Random(host.random),
                    now - absl::Minutes(30), now - absl::Minutes(20));
  EXPECT_EQ(ReasonOf(Echo(host, expired, ValidEcho())), reason::kTokenExpired);
  EXPECT_EQ(Echo(host, expired, ValidEcho()).code(), absl::StatusCode::kUnauthenticated);
  const absl::Status operators = Echo(host, host.Token(Role::kOperator), ValidEcho());
  EXPECT_EQ(operators.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ReasonOf(operators), reason::kRoleRequired);
  const auto context = MakeMemberContext(kTimeout, host.Token(Role::kMember));
  EchoResponse response;
  EXPECT_EQ(ReasonOf(FromGrpcStatus(host.Stub()->Operate(context.get(), {}, &response))),
            reason::kRoleRequired);
}

TEST(EdgeTest, ARevokedDeviceIsOut) {
  TestHost host;
  const DeviceId device = DeviceId::Random(host.random);
  const absl::Time now = host.clock.Now();
  const std::string token =
      host.TokenFor(MemberId::Random(host.random), device, now, now + absl::Minutes(10));
  EXPECT_TRUE(Echo(host, token, ValidEcho()).ok());
  host.revocations.Add(device, now);
  EXPECT_EQ(ReasonOf(Echo(host, token, ValidEcho())), reason::kTokenRevoked);
}

TEST(EdgeTest, SafetyCallsTakeAnExpiredTokenOnlyWhileKeysCannotBeRead) {
  TestHost host;
  const absl::Time now = host.clock.Now();
  const auto token_that_ended = [&](absl::Duration ago) {
    return host.TokenFor(MemberId::Random(host.random), DeviceId::Random(host.random),
                         now - ago - absl::Minutes(10), now - ago);
  };
  const auto help = [&](absl::Duration ago) {
    const auto context = MakeMemberContext(kTimeout, token_that_ended(ago));
    EchoResponse response;
    return FromGrpcStatus(host.Stub()->Help(context.get(), {}, &response));
  };
  EXPECT_EQ(ReasonOf(help(absl::Minutes(30))), reason::kTokenExpired);
  host.keys.ExpectRefreshes();  // and revocations were never read
  EXPECT_TRUE(help(absl::Minutes(30)).ok());
  EXPECT_EQ(ReasonOf(help(absl::Minutes(90))), reason::kTokenExpired);
  EXPECT_EQ(ReasonOf(Echo(host, token_that_ended(absl::Minutes(30)), ValidEcho())),
            reason::kTokenExpired);
  host.keys.NoteRevocationsRead();
  EXPECT_EQ(ReasonOf(help(absl::Minutes(30))), reason::kTokenExpired);
}

TEST(EdgeTest, AUnaryCallNeedsADeadlineAndALongOneIsCut) {
  TestHost host;
  grpc::ClientContext without;
  without.AddMetadata("authorization", "Bearer " + host.Token());
  EchoResponse response;
  const absl::Status status = FromGrpcStatus(host.Stub()->Echo(&without, ValidEcho(), &response));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReasonOf(status), reason::kDeadlineRequired);
  ASSERT_TRUE(Echo(host, host.Token(), ValidEcho(), &response, absl::Hours(1)).ok());
  EXPECT_LE(response.deadline_left_ms(), 2000);  // as the proto says
}

TEST(EdgeTest, ABadRequestNamesItsFieldsOnTheWire) {
  TestHost host;
  EchoRequest request = ValidEcho();
  request.set_text(
      "a\xE2\x80\xAE"
      "b");
  request.set_color(static_cast<testing::Color>(5));
  const absl::Status status = Echo(host, host.Token(), request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(DetailsOf(status).field_violations, ::testing::SizeIs(2));
}

TEST(EdgeTest, TextThatIsNoUtf8IsRefused) {
  // Protobuf's own parser refuses it before a handler runs.
  TestHost host;
  EchoRequest request = ValidEcho();
  request.set_text("\xFF\xFE");
  const absl::Status status = Echo(host, host.Token(), request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_EQ(ReasonOf(status), reason::kFieldInvalid);
}

TEST(EdgeTest, AForeignStatusDoesNotLeakItsText) {
  TestHost::Options options = TestHost::DefaultOptions();
  options.behaviour.echo = [](const Call&, const EchoRequest&, EchoResponse*) {
    return absl::NotFoundError("row of alice in /var/lib/secret");
  };
  TestHost host(std::move(options));
  const auto context = MakeMemberContext(kTimeout, host.Token());
  EchoResponse response;
  const grpc::Status status = host.Stub()->Echo(context.get(), ValidEcho(), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_THAT(status.error_message() + status.error_details(),
              ::testing::Not(::testing::HasSubstr("alice")));
  EXPECT_EQ(ReasonOf(FromGrpcStatus(status)), reason::kInternal);
}

TEST(EdgeTest, MoreCallsThanTheRateAreRefusedWithADelay) {
  TestHost host;
  absl::Status status;
  for (int i = 0; i < 4; ++i) {
    const auto context = MakeContext(kTimeout);
    EchoResponse response;
    status = FromGrpcStatus(host.Stub()->Limited(context.get(), {}, &response));
    if (i < 3) {
      EXPECT_TRUE(status.ok()) << status;
    }
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), reason::kRateLimited);
  ASSERT_TRUE(DetailsOf(status).retry_after.has_value());
  EXPECT_LE(*DetailsOf(status).retry_after, absl::Seconds(20));
}

TEST(EdgeTest, WhenFullBrowsingIsRefusedFirstAndSafetyNever) {
  Gate gate;
  TestHost::Options options = TestHost::DefaultOptions();
  options.server.edge.max_in_flight = 20;
  options.server.edge.min_in_flight = 20;
  options.behaviour.browse = [&gate](const Call&) {
    gate.Pass();
    return absl::OkStatus();
  };
  TestHost host(std::move(options));
  const int share = 18 * 65 / 100;  // browsing's of 20 less the tenth that is kept for safety
  std::vector<std::thread> browsers;
  for (int i = 0; i < share; ++i) {
    browsers.emplace_back([&host] {
      const auto context = MakeContext(kTimeout);
      EchoResponse response;
      EXPECT_TRUE(host.Stub()->Browse(context.get(), {}, &response).ok());
    });
  }
  // More than there are threads: some of them wait in the queue, all are in flight.
  EXPECT_TRUE(WaitUntil([&] { return host.edge->InFlight() == share; }));
  const auto context = MakeContext(kTimeout);
  EchoResponse response;
  const absl::Status refused = FromGrpcStatus(host.Stub()->Browse(context.get(), {}, &response));
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(refused), reason::kOverloaded);
  EXPECT_TRUE(DetailsOf(refused).retry_after.has_value());
  const auto safe = MakeMemberContext(kTimeout, host.Token());
  EXPECT_TRUE(host.Stub()->Help(safe.get(), {}, &response).ok());
  gate.Open();
  for (std::thread& browser : browsers) browser.join();
  EXPECT_TRUE(WaitUntil([&] { return host.edge->InFlight() == 0; }));
}

TEST(EdgeTest, ACancelledCallThatStillWaitsIsNotWorkedOn) {
  Gate gate;
  std::atomic<int> worked{0};
  TestHost::Options options = TestHost::DefaultOptions();
  options.server.edge.worker_threads = 1;
  options.behaviour.browse = [&](const Call&) {
    gate.Pass();
    ++worked;
    return absl::OkStatus();
  };
  TestHost host(std::move(options));
  const auto browse = [&host](grpc::ClientContext* context) {
    EchoResponse response;
    return host.Stub()->Browse(context, {}, &response).error_code();
  };
  const auto first = MakeContext(kTimeout);
  std::thread working([&] { EXPECT_EQ(browse(first.get()), grpc::StatusCode::OK); });
  EXPECT_TRUE(gate.AwaitWaiting(1));
  const auto second = MakeContext(kTimeout);
  std::thread waiting([&] { EXPECT_EQ(browse(second.get()), grpc::StatusCode::CANCELLED); });
  EXPECT_TRUE(WaitUntil([&] { return host.edge->InFlight() == 2; }));
  second->TryCancel();
  waiting.join();
  // The server hears of it a little later; a call of ours behind it on the same path would not
  // tell.
  gate.Open();
  working.join();
  EXPECT_TRUE(WaitUntil([&] { return host.edge->InFlight() == 0; }));
  EXPECT_LE(worked, 2);
}

TEST(EdgeTest, ServicesOnAUnixSocketSayWhoTheyAre) {
  TestHost host;
  const auto stub = testing::InsideService::NewStub(host.InternalChannel());
  EchoResponse response;
  const auto known = MakeServiceContext(kTimeout, "profiles");
  ASSERT_TRUE(stub->Tell(known.get(), {}, &response).ok());
  EXPECT_EQ(response.who(), "profiles");
  const auto unknown = MakeServiceContext(kTimeout, "intruder");
  EXPECT_EQ(ReasonOf(FromGrpcStatus(stub->Tell(unknown.get(), {}, &response))),
            reason::kRoleRequired);
  const auto nobody = MakeMemberContext(kTimeout, host.Token());
  EXPECT_EQ(ReasonOf(FromGrpcStatus(stub->Tell(nobody.get(), {}, &response))),
            reason::kTokenMissing);
}

TEST(EdgeTest, TheInsideIsNotServedToApps) {
  TestHost host;
  const auto stub = testing::InsideService::NewStub(host.PublicChannel());
  EchoResponse response;
  const auto context = MakeServiceContext(kTimeout, "profiles");
  EXPECT_EQ(stub->Tell(context.get(), {}, &response).error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST(EdgeTest, WhileDrainingNewCallsAreSentElsewhere) {
  TestHost host;
  host.drain.Notify();
  const absl::Status status = Echo(host, host.Token(), ValidEcho());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), reason::kDraining);
  EXPECT_TRUE(DetailsOf(status).retry_after.has_value());
}

TEST(EdgeTest, AsynchronousHandlersAnswer) {
  TestHost host;
  const auto context = MakeMemberContext(kTimeout, host.Token());
  testing::EchoAsyncRequest request;
  request.set_text("fast");
  EchoResponse response;
  ASSERT_TRUE(host.Stub()->EchoAsync(context.get(), request, &response).ok());
  EXPECT_EQ(response.text(), "fast");
}

}  // namespace
}  // namespace handrail::rpc
