#include "common/rpc/status_conversion.h"

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace handrail::rpc {
namespace {

TEST(StatusConversionTest, EveryDetailMakesTheRoundTrip) {
  const absl::Status sent = Error(absl::StatusCode::kResourceExhausted, reason::kQueueFull)
                                .Message("too much waits")
                                .Detail("conversation", "conversations/1")
                                .Field("text", "too long")
                                .Field("tags[1]", "too many")
                                .RetryAfter(absl::Milliseconds(1500));
  const absl::Status received = FromGrpcStatus(ToGrpcStatus(sent));
  EXPECT_EQ(received.code(), sent.code());
  EXPECT_EQ(received.message(), sent.message());
  const ErrorDetails details = DetailsOf(received);
  EXPECT_EQ(details.reason, reason::kQueueFull);
  EXPECT_EQ(details.metadata, DetailsOf(sent).metadata);
  EXPECT_EQ(details.field_violations.size(), 2u);
  EXPECT_EQ(details.retry_after, absl::Milliseconds(1500));
  EXPECT_TRUE(FromGrpcStatus(ToGrpcStatus(absl::OkStatus())).ok());
}

TEST(StatusConversionTest, ForeignTextStaysInside) {
  const grpc::Status status = ToGrpcStatus(absl::UnknownError("alice@example.org"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(status.error_message().find("alice"), std::string::npos);
  EXPECT_EQ(status.error_details().find("alice"), std::string::npos);
  EXPECT_EQ(ReasonOf(FromGrpcStatus(status)), reason::kInternal);
  EXPECT_EQ(ToGrpcStatus(absl::CancelledError("x")).error_code(), grpc::StatusCode::CANCELLED);
}

TEST(StatusConversionTest, AnswersThatAreNotOursGetAReason) {
  const absl::Status down = FromGrpcStatus(grpc::Status(grpc::StatusCode::UNAVAILABLE, "proxy"));
  EXPECT_EQ(down.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(down), reason::kPeerUnavailable);
  EXPECT_EQ(down.ToString().find("proxy"), std::string::npos);
  const absl::Status garbled =
      FromGrpcStatus(grpc::Status(grpc::StatusCode::NOT_FOUND, "", "\x99 no status"));
  EXPECT_EQ(garbled.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(garbled), reason::kInternal);
}

}  // namespace
}  // namespace handrail::rpc
