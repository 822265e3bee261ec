#include "common/rpc/policy_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/rpc/server.h"
#include "common/rpc/testing/rpc_test_service.grpc.pb.h"

namespace handrail::rpc {
namespace {

using ::testing::HasSubstr;

TEST(PolicyTableTest, FillsInWhatTheProtoLeavesOut) {
  const auto table = PolicyTable::Create({DescriptorOf<testing::EchoService>()},
                                         {DescriptorOf<testing::InsideService>()});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->size(), 9u);
  const MethodRow* echo = table->Find(testing::EchoRequest::descriptor());
  ASSERT_NE(echo, nullptr);
  EXPECT_EQ(echo->method, "/handrail.rpc.testing.EchoService/Echo");
  EXPECT_EQ(echo->max_deadline, absl::Seconds(2));
  EXPECT_TRUE(echo->write);
  EXPECT_EQ(echo->calls_per_minute, 600);
  const MethodRow* limited = table->Find(testing::LimitedRequest::descriptor());
  EXPECT_EQ(limited->call_class, common::v1::CALL_CLASS_BROWSING);
  EXPECT_EQ(limited->max_deadline, absl::Seconds(30));
  EXPECT_EQ(limited->calls_per_minute, 3);
  EXPECT_EQ(table->Find(testing::WatchRequest::descriptor())->max_deadline,
            absl::InfiniteDuration());
  EXPECT_EQ(table->Find(testing::TellRequest::descriptor())->listener, Listener::kInternal);
  EXPECT_EQ(table->Find(testing::PingRequest::descriptor()), nullptr);
}

TEST(PolicyTableTest, EveryFaultStopsTheStartAndIsTold) {
  const auto table = PolicyTable::Create(
      {DescriptorOf<testing::LawlessService>(), DescriptorOf<testing::UnrepeatableService>(),
       DescriptorOf<testing::InsideService>()},
      {DescriptorOf<testing::EchoService>()});
  EXPECT_EQ(table.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReasonOf(table.status()), reason::kConfigurationInvalid);
  const std::string text(table.status().message());
  EXPECT_THAT(text, HasSubstr("LawlessService/Anything has no access rule"));
  EXPECT_THAT(text, HasSubstr("UnrepeatableService/Write is a write without a request_id"));
  EXPECT_THAT(text, HasSubstr("InsideService/Tell is for services"));
  EXPECT_THAT(text, HasSubstr("EchoService/Echo is for people"));
}

TEST(PolicyTableTest, TheSameRequestTwiceIsAFault) {
  const auto table = PolicyTable::Create(
      {DescriptorOf<testing::EchoService>(), DescriptorOf<testing::EchoService>()}, {});
  EXPECT_THAT(std::string(table.status().message()), HasSubstr("has the request of"));
}

}  // namespace
}  // namespace handrail::rpc
