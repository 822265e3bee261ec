// A member leaves, over real gRPC with open streams.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/rpc/status_conversion.h"
#include "services/messaging/testing/running_messaging.h"

namespace handrail::messaging {
namespace {

class LeavingServiceTest : public MessagingIntegrationTest {
 protected:
  grpc::Status Leave(const std::string& token, const std::string& request_id) {
    v1::LeaveConversationRequest request;
    request.set_name(conversation_);
    request.set_request_id(request_id);
    v1::LeaveConversationResponse response;
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), token);
    return stub_->LeaveConversation(context.get(), request, &response);
  }
  static std::string Reason(const grpc::Status& status) {
    return DetailsOf(rpc::FromGrpcStatus(status)).reason;
  }
};

TEST_F(LeavingServiceTest, TheStreamsOfBothTellAndNothingIsSentAnyMore) {
  SendMany(2);
  Subscription bob(*stub_, Bob());
  ASSERT_TRUE(bob.ReadToSequence(2));
  Subscription ann(*stub_, Token(ann_, ann_phone_));
  ASSERT_TRUE(ann.ReadUntil(v1::SubscribeResponse::kCaughtUp));
  const grpc::Status left = Leave(Token(ann_, ann_phone_), "leave-1");
  ASSERT_TRUE(left.ok()) << left.error_message();

  ASSERT_TRUE(bob.ReadUntil(v1::SubscribeResponse::kConversationChanged));
  const v1::Conversation& seen = bob.last.conversation_changed().conversation();
  EXPECT_EQ(seen.name(), conversation_);
  EXPECT_EQ(seen.state(), v1::CONVERSATION_STATE_CLOSED);
  EXPECT_EQ(seen.members_size(), 2);
  ASSERT_EQ(seen.members_left_size(), 1);
  EXPECT_EQ(seen.members_left(0), ann_.Name());
  ASSERT_TRUE(ann.ReadUntil(v1::SubscribeResponse::kConversationChanged));
  EXPECT_EQ(ann.last.conversation_changed().conversation().state(), v1::CONVERSATION_STATE_CLOSED);

  EXPECT_EQ(Reason(Send(Message("after all"))), "CONVERSATION_CLOSED");
  EXPECT_TRUE(Leave(Token(ann_, ann_phone_), "leave-1").ok());
  EXPECT_TRUE(Leave(Token(ann_, ann_phone_), "leave-2").ok());
  // Nothing of before comes to her again; to him it does.
  Subscription again(*stub_, Token(ann_, ann_phone_), conversation_, 0);
  ASSERT_TRUE(again.ReadUntil(v1::SubscribeResponse::kCaughtUp));
  EXPECT_THAT(again.sequences, ::testing::IsEmpty());
  Subscription his(*stub_, Token(bob_, bob_tablet_));
  ASSERT_TRUE(his.ReadToSequence(2));
}

TEST_F(LeavingServiceTest, WhatIsNotYoursOrNamesNoRequestIsRefused) {
  const MemberId stranger = MemberId::Random(random_);
  const DeviceId phone = DeviceId::Random(random_);
  ApplyMember(stranger, {phone}, 1);
  const grpc::Status refused = Leave(Token(stranger, phone), "leave-1");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Reason(refused), "NOT_FOUND");
  EXPECT_EQ(Reason(Leave(Bob(), "")), "REQUEST_ID_REQUIRED");
  ASSERT_TRUE(Leave(Bob(), "leave-1").ok());
  conversation_ = Open(PairingId::Random(random_));
  EXPECT_EQ(Reason(Leave(Bob(), "leave-1")), "REQUEST_ID_REUSED");
}

}  // namespace
}  // namespace handrail::messaging
