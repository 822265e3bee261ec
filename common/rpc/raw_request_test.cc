// What a client sees that sends what no client of ours would.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/rpc/status_conversion.h"
#include "common/rpc/testing/raw_call.h"
#include "common/rpc/testing/test_host.h"

namespace handrail::rpc {
namespace {

using testing::Bytes;
using testing::ChatRequest;
using testing::EchoAsyncRequest;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::RawBidi;
using testing::RawServerStream;
using testing::RawUnary;
using testing::TestHost;

constexpr absl::Duration kTimeout = absl::Seconds(10);
constexpr char kChat[] = "/handrail.rpc.testing.EchoService/Chat";
constexpr char kWatch[] = "/handrail.rpc.testing.EchoService/Watch";
constexpr char kEchoAsync[] = "/handrail.rpc.testing.EchoService/EchoAsync";

// Bytes that are no message: a broken tag, a length that is not there, text that is no UTF-8, an
// unfinished varint, a group that does not end, and a good field before a bad one.
const std::string kUnreadable[] = {
    "\xff\xff\xff\xff\xff\xff\xff\xff", "\x0a\x7f", "\x0a\x02\xc3\x28", "\x08", "\x0b",
    std::string("\x0a\x01x\x00\x01", 5)};

absl::Status SendOnChat(const TestHost& host, const std::string& token, int good,
                        const std::string& bytes, int* answers) {
  const auto channel = host.PublicChannel();
  const auto context = MakeMemberContext(kTimeout, token);
  const auto stream = RawBidi(*channel, context.get(), kChat);
  grpc::ByteBuffer answer;
  ChatRequest request;
  request.set_text("hello");
  for (int i = 0; i < good; ++i) {
    stream->Write(Bytes(request.SerializeAsString()), grpc::WriteOptions());
    if (stream->Read(&answer)) ++*answers;
  }
  stream->Write(Bytes(bytes), grpc::WriteOptions());
  while (stream->Read(&answer)) ++*answers;
  return FromGrpcStatus(stream->Finish());
}

TEST(RawRequestTest, AMessageOfAStreamThatCannotBeReadIsRefusedWithAReason) {
  TestHost host;
  for (const std::string& bytes : kUnreadable) {
    SCOPED_TRACE(testing::EchoResponse().GetTypeName() + " " + std::to_string(bytes.size()));
    for (const int good : {0, 3}) {
      int answers = 0;
      const absl::Status status = SendOnChat(host, host.Token(), good, bytes, &answers);
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
      EXPECT_EQ(ReasonOf(status), reason::kFieldInvalid);
      EXPECT_EQ(answers, good);
    }
  }
}

TEST(RawRequestTest, AnEmptyMessageOfAStreamIsOneAndTheEndIsNone) {
  TestHost host;
  const auto channel = host.PublicChannel();
  const auto context = MakeMemberContext(kTimeout, host.Token());
  const auto stream = RawBidi(*channel, context.get(), kChat);
  grpc::ByteBuffer answer;
  EXPECT_TRUE(stream->Write(Bytes(""), grpc::WriteOptions()));
  EXPECT_TRUE(stream->Read(&answer));
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_FALSE(stream->Read(&answer));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(RawRequestTest, ARequestThatCannotBeReadIsRefusedWithAReason) {
  TestHost host;
  const auto channel = host.PublicChannel();
  for (const std::string& bytes : kUnreadable) {
    const auto unary = MakeMemberContext(kTimeout, host.Token());
    const absl::Status status = FromGrpcStatus(RawUnary(*channel, unary.get(), kEchoAsync, bytes));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(ReasonOf(status), reason::kFieldInvalid);
    if (bytes[0] == '\x0a') continue;  // Watch has no field 1 of that kind
    const auto watching = MakeMemberContext(kTimeout, host.Token());
    const auto watch = RawServerStream(*channel, watching.get(), kWatch, bytes);
    grpc::ByteBuffer answer;
    EXPECT_FALSE(watch->Read(&answer));
    EXPECT_EQ(ReasonOf(FromGrpcStatus(watch->Finish())), reason::kFieldInvalid);
  }
}

absl::Status EchoOf(TestHost& host, size_t bytes) {
  EchoAsyncRequest request;
  request.set_text(std::string(bytes, 'a'));
  const auto context = MakeMemberContext(kTimeout, host.Token());
  testing::EchoResponse response;
  return FromGrpcStatus(host.Stub()->EchoAsync(context.get(), request, &response));
}

TEST(RawRequestTest, ARequestBeyondTheLimitIsRefusedWithTheLimit) {
  TestHost host;
  const size_t limit = static_cast<size_t>(EdgeOptions().max_request_bytes);
  // Within the limit it is the field's own rule that it breaks.
  EXPECT_EQ(ReasonOf(EchoOf(host, limit - 100)), reason::kFieldInvalid);
  for (const size_t bytes : {limit, 2 * limit, 3 * limit, 4 * limit - 100}) {
    const absl::Status status = EchoOf(host, bytes);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bytes << " " << status;
    EXPECT_EQ(ReasonOf(status), reason::kRequestTooLarge) << bytes;
    EXPECT_EQ(DetailsOf(status).metadata.at("max_bytes"), std::to_string(limit));
  }
}

TEST(RawRequestTest, FieldsThatNobodyKnowsCountAsWell) {
  TestHost host;
  const auto channel = host.PublicChannel();
  std::string bytes;
  for (int i = 0; i < 50'000; ++i) bytes += std::string("\x78\x00", 2);  // field 15: 0
  const auto context = MakeMemberContext(kTimeout, host.Token());
  EXPECT_EQ(ReasonOf(FromGrpcStatus(RawUnary(*channel, context.get(), kEchoAsync, bytes))),
            reason::kRequestTooLarge);
  const auto watching = MakeMemberContext(kTimeout, host.Token());
  const auto watch = RawServerStream(*channel, watching.get(), kWatch, bytes);
  grpc::ByteBuffer answer;
  EXPECT_FALSE(watch->Read(&answer));
  EXPECT_EQ(ReasonOf(FromGrpcStatus(watch->Finish())), reason::kRequestTooLarge);
}

TEST(RawRequestTest, AMessageOfAStreamBeyondTheLimitIsRefusedWithTheLimit) {
  TestHost host;
  const size_t limit = static_cast<size_t>(EdgeOptions().max_request_bytes);
  ChatRequest request;
  for (const size_t bytes : {limit, 4 * limit - 100}) {
    request.set_text(std::string(bytes, 'a'));
    int answers = 0;
    const absl::Status status =
        SendOnChat(host, host.Token(), 2, request.SerializeAsString(), &answers);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(ReasonOf(status), reason::kRequestTooLarge);
    EXPECT_EQ(answers, 2);
  }
}

// docs/errors.md says so: beyond four times the limit it is libgrpc that answers.
TEST(RawRequestTest, FarBeyondTheLimitTheLibraryRefusesWithoutAReason) {
  TestHost host;
  const size_t limit = static_cast<size_t>(EdgeOptions().max_request_bytes);
  EchoAsyncRequest request;
  request.set_text(std::string(4 * limit + 100, 'a'));
  const auto context = MakeMemberContext(kTimeout, host.Token());
  testing::EchoResponse response;
  const grpc::Status unary = host.Stub()->EchoAsync(context.get(), request, &response);
  EXPECT_EQ(unary.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(unary.error_details(), IsEmpty());
  EXPECT_THAT(unary.error_message(), Not(IsEmpty()));
  int answers = 0;
  EXPECT_EQ(SendOnChat(host, host.Token(), 2, request.SerializeAsString(), &answers).code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace handrail::rpc
