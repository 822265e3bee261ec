// The whole service over real gRPC, a real Redis and a SQLite file: what clients see when streams
// are replaced, readers are slow, Redis dies and processes restart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/rpc/status_conversion.h"
#include "services/messaging/testing/running_messaging.h"

namespace handrail::messaging {
namespace {

using ::testing::IsEmpty;

TEST_F(MessagingIntegrationTest, SendsRepeatsAndRefusals) {
  const auto request = Message("hello");
  int64_t first = 0;
  int64_t again = 0;
  ASSERT_TRUE(Send(request, &first).ok());
  ASSERT_TRUE(Send(request, &again).ok());
  EXPECT_EQ(first, 1);
  EXPECT_EQ(again, 1);
  auto other = request;
  other.set_payload("other");
  EXPECT_EQ(Send(other).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  auto upper = request;
  upper.set_message_id(std::string(32, 'G'));
  EXPECT_EQ(Send(upper).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Send(Message("")).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Send(Message(std::string((64 << 10) + 1, 'x'))).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Ack(Bob(), 9).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Ack("no token", 1).error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(MessagingIntegrationTest, TwoDevicesReceiveAndGoOnAtTheirCursor) {
  SendMany(3);
  Subscription tablet(*stub_, Token(bob_, bob_tablet_));
  {
    Subscription phone(*stub_, Bob());
    ASSERT_TRUE(phone.ReadUntil(v1::SubscribeResponse::kCaughtUp));
    SendMany(2);
    ASSERT_TRUE(phone.ReadToSequence(5));
    EXPECT_EQ(phone.sequences, Range(1, 5));
  }
  SendMany(2);
  Subscription phone(*stub_, Bob(), conversation_, 5);
  ASSERT_TRUE(phone.ReadToSequence(7));
  EXPECT_EQ(phone.sequences, Range(6, 7));
  ASSERT_TRUE(tablet.ReadToSequence(7));
  EXPECT_EQ(tablet.sequences, Range(1, 7));
}

TEST_F(MessagingIntegrationTest, ANewerStreamReplacesTheOlder) {
  Subscription first(*stub_, Bob());
  ASSERT_TRUE(first.ReadUntil(v1::SubscribeResponse::kCaughtUp));
  Subscription second(*stub_, Bob());
  ASSERT_TRUE(first.ReadUntil(v1::SubscribeResponse::kClosing));
  EXPECT_EQ(first.last.closing().cause(), v1::CLOSING_CAUSE_REPLACED);
  SendMany(1);
  EXPECT_TRUE(second.ReadToSequence(1));
}

TEST_F(MessagingIntegrationTest, ASlowReaderIsHeldAtTheWindowAndHoldsUpNobody) {
  Subscription slow(*stub_, Bob());
  Subscription fast(*stub_, Token(bob_, bob_tablet_));
  for (int i = 0; i < 3; ++i) {
    SendMany(100);
    ASSERT_TRUE(fast.ReadToSequence(100 * (i + 1)));
    ASSERT_TRUE(Ack(Token(bob_, bob_tablet_), 100 * (i + 1)).ok());
  }
  ASSERT_TRUE(slow.ReadToSequence(256));
  ASSERT_TRUE(Ack(Bob(), 256).ok());
  ASSERT_TRUE(slow.ReadToSequence(300));
  EXPECT_EQ(slow.sequences, Range(1, 300));
}

TEST_F(MessagingIntegrationTest, ARedisThatDiesCostsNoMessage) {
  Subscription bob(*stub_, Bob());
  ASSERT_TRUE(bob.ReadUntil(v1::SubscribeResponse::kCaughtUp));
  redis_.Kill();
  SendMany(3);
  ASSERT_TRUE(bob.ReadToSequence(3));
  Subscription tablet(*stub_, Token(bob_, bob_tablet_));
  ASSERT_TRUE(tablet.ReadToSequence(3));
  redis_.Start();
  EXPECT_TRUE(rpc::testing::WaitUntil(
      [&] { return server_->Metric("handrail_messaging_wake_ups_missed_total") > 0; }));
  SendMany(2);
  ASSERT_TRUE(bob.ReadToSequence(5));
  EXPECT_EQ(bob.sequences, Range(1, 5));
}

TEST_F(MessagingIntegrationTest, ARestartedProcessGoesOn) {
  auto before = std::make_unique<Subscription>(*stub_, Bob());
  SendMany(3);
  ASSERT_TRUE(before->ReadToSequence(3));
  ASSERT_TRUE(Ack(Bob(), 2).ok());
  std::thread drain([this] { server_->Drain(); });
  EXPECT_TRUE(before->ReadUntil(v1::SubscribeResponse::kClosing));
  EXPECT_EQ(before->last.closing().cause(), v1::CLOSING_CAUSE_DRAINING);
  drain.join();
  before.reset();
  StartServer();
  Subscription after(*stub_, Bob());
  ASSERT_TRUE(after.ReadToSequence(3));
  SendMany(1);
  ASSERT_TRUE(after.ReadToSequence(4));
  EXPECT_EQ(after.sequences, Range(3, 4)) << "from what was acknowledged on";
}

TEST_F(MessagingIntegrationTest, ConnectSendsDeliversAndRefusesInFrames) {
  const auto context = rpc::MakeMemberContext(absl::Seconds(60), Token(ann_, ann_phone_));
  const auto stream = stub_->Connect(context.get());
  v1::ConnectRequest subscribe;
  subscribe.mutable_subscribe();
  ASSERT_TRUE(stream->Write(subscribe));
  constexpr int kSends = 2000;
  std::thread writer([&] {
    for (int i = 0; i < kSends; ++i) {
      v1::ConnectRequest send;
      *send.mutable_send() = Message("hello");
      if (i % 100 == 99) send.mutable_send()->set_message_id("short");
      if (!stream->Write(send)) return;
    }
  });
  int accepted = 0;
  int refused = 0;
  std::vector<int64_t> sequences;
  v1::ConnectResponse frame;
  while ((accepted + refused < kSends || sequences.size() < 1980) && stream->Read(&frame)) {
    accepted += frame.accepted_size();
    refused += frame.refused_size();
    for (const auto& event : frame.events()) {
      if (event.has_envelope()) sequences.push_back(event.envelope().sequence());
    }
    if (sequences.empty()) continue;
    // gRPC allows one writer at a time: acknowledge by the unary call.
    ASSERT_TRUE(Ack(Token(ann_, ann_phone_), sequences.back()).ok());
  }
  writer.join();
  EXPECT_EQ(accepted, 1980);
  EXPECT_EQ(refused, 20);
  EXPECT_EQ(sequences, Range(1, 1980));
  stream->WritesDone();
  while (stream->Read(&frame)) {
  }
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(MessagingIntegrationTest, ABatchOnConnectIsTakenInOrderAndRefusesOnlyWhatIsBad) {
  const auto context = rpc::MakeMemberContext(absl::Seconds(60), Token(ann_, ann_phone_));
  const auto stream = stub_->Connect(context.get());
  v1::ConnectRequest frame;
  frame.mutable_subscribe();
  ASSERT_TRUE(stream->Write(frame));
  v1::SendBatch& batch = *frame.mutable_send_batch();
  std::vector<std::string> good;
  for (int i = 0; i < 64; ++i) {
    *batch.add_sends() = Message(absl::StrCat("message ", i));
    if (i % 16 == 3) {
      batch.mutable_sends(i)->set_message_id("short");
    } else {
      good.push_back(batch.sends(i).message_id());
    }
  }
  ASSERT_TRUE(stream->Write(frame));
  std::vector<std::string> accepted;
  std::vector<std::string> delivered;
  int refused = 0;
  v1::ConnectResponse answer;
  while ((refused < 4 || delivered.size() < good.size()) && stream->Read(&answer)) {
    for (const auto& one : answer.accepted()) accepted.push_back(one.message_id());
    for (const auto& one : answer.refused()) {
      EXPECT_EQ(one.message_id(), "short");
      EXPECT_EQ(one.code(), static_cast<int>(grpc::StatusCode::INVALID_ARGUMENT));
      ++refused;
    }
    for (const auto& event : answer.events()) {
      if (event.has_envelope()) delivered.push_back(event.envelope().message_id());
    }
  }
  EXPECT_EQ(refused, 4);
  EXPECT_EQ(accepted, good);
  EXPECT_EQ(delivered, good);
  EXPECT_TRUE(stream->WritesDone());
  while (stream->Read(&answer)) {
  }
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(MessagingIntegrationTest, ABatchOfNoneOrOfTooManyEndsTheStream) {
  for (const int count : {0, 65}) {
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), Bob());
    const auto stream = stub_->Connect(context.get());
    v1::ConnectRequest frame;
    frame.mutable_subscribe();
    ASSERT_TRUE(stream->Write(frame));
    frame.mutable_send_batch();
    for (int i = 0; i < count; ++i) *frame.mutable_send_batch()->add_sends() = Message("hello");
    ASSERT_TRUE(stream->Write(frame));
    v1::ConnectResponse answer;
    while (stream->Read(&answer)) {
      EXPECT_EQ(answer.accepted_size() + answer.refused_size(), 0);
    }
    const absl::Status status = rpc::FromGrpcStatus(stream->Finish());
    EXPECT_EQ(ReasonOf(status), reason::kFieldInvalid) << status << " for " << count;
  }
}

TEST_F(MessagingIntegrationTest, ConnectBeginsWithSubscribe) {
  const auto context = rpc::MakeMemberContext(absl::Seconds(20), Bob());
  const auto stream = stub_->Connect(context.get());
  v1::ConnectRequest send;
  *send.mutable_send() = Message("hello");
  ASSERT_TRUE(stream->Write(send));
  v1::ConnectResponse frame;
  EXPECT_FALSE(stream->Read(&frame));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(MessagingIntegrationTest, ConnectRefusesBytesThatAreNoMessageAndWhatIsTooLarge) {
  v1::ConnectRequest subscribe;
  subscribe.mutable_subscribe();
  v1::ConnectRequest large;
  *large.mutable_send() = Message(std::string(100 << 10, 'x'));
  const std::pair<std::string, absl::string_view> cases[] = {
      {"\xff\xff\xff\xff", reason::kFieldInvalid},
      {large.SerializeAsString(), reason::kRequestTooLarge}};
  const auto channel = ChannelTo(server_->Address());
  for (const auto& [bytes, reason] : cases) {
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), Bob());
    const auto stream = rpc::testing::RawBidi(*channel, context.get(),
                                              "/handrail.messaging.v1.MessagingService/Connect");
    ASSERT_TRUE(stream->Write(rpc::testing::Bytes(subscribe.SerializeAsString()), {}));
    grpc::ByteBuffer answer;
    ASSERT_TRUE(stream->Read(&answer)) << "the stream has begun";
    ASSERT_TRUE(stream->Write(rpc::testing::Bytes(bytes), {}));
    while (stream->Read(&answer)) {
    }
    const absl::Status status = rpc::FromGrpcStatus(stream->Finish());
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(ReasonOf(status), reason);
  }
}

TEST_F(MessagingIntegrationTest, MetricsTellWhatGoesThrough) {
  const std::string prefix = "handrail_messaging_";
  const auto comes = [&](const std::string& series, double wanted) {
    return rpc::testing::WaitUntil([&] { return server_->Metric(prefix + series) == wanted; });
  };
  const auto request = Message("hello");
  ASSERT_TRUE(Send(request).ok());
  auto other = request;
  other.set_payload("other");
  EXPECT_FALSE(Send(other).ok());
  SendMany(2);
  EXPECT_TRUE(comes("sends_total{reason=\"OK\"}", 3));
  EXPECT_TRUE(comes("sends_total{reason=\"REQUEST_ID_REUSED\"}", 1));
  {
    Subscription phone(*stub_, Bob());
    ASSERT_TRUE(phone.ReadUntil(v1::SubscribeResponse::kCaughtUp));
    EXPECT_TRUE(comes("streams", 1));
    EXPECT_TRUE(comes("deliveries_total", 3));
    SendMany(300);  // beyond the window: nobody acknowledges
    EXPECT_TRUE(comes("streams_behind", 1));
  }
  EXPECT_TRUE(comes("streams", 0));
  const auto context = rpc::MakeMemberContext(absl::Seconds(20), Token(ann_, ann_phone_));
  const auto stream = stub_->Connect(context.get());
  v1::ConnectRequest frame;
  frame.mutable_subscribe();
  ASSERT_TRUE(stream->Write(frame));
  *frame.mutable_send() = Message("");  // refused alone
  ASSERT_TRUE(stream->Write(frame));
  EXPECT_TRUE(comes("sends_total{reason=\"FIELD_INVALID\"}", 1));
  context->TryCancel();
  stream->Finish();
}

TEST_F(MessagingIntegrationTest, ListsInPagesWithTokensOfItsOwn) {
  for (int i = 0; i < 4; ++i) Open(PairingId::Random(random_));
  v1::ListConversationsRequest request;
  request.set_page_size(2);
  std::set<std::string> names;
  for (int page = 0; page < 3; ++page) {
    v1::ListConversationsResponse response;
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), Bob());
    ASSERT_TRUE(stub_->ListConversations(context.get(), request, &response).ok());
    for (const auto& conversation : response.conversations()) names.insert(conversation.name());
    EXPECT_EQ(response.next_page_token().empty(), page == 2);
    if (page == 0) {
      // A token of one member is worth nothing to another.
      request.set_page_token(response.next_page_token());
      v1::ListConversationsResponse refused;
      const auto ann = rpc::MakeMemberContext(absl::Seconds(20), Token(ann_, ann_phone_));
      EXPECT_EQ(stub_->ListConversations(ann.get(), request, &refused).error_code(),
                grpc::StatusCode::INVALID_ARGUMENT);
    }
    request.set_page_token(response.next_page_token());
  }
  EXPECT_EQ(names.size(), 5u);
}

}  // namespace
}  // namespace handrail::messaging
