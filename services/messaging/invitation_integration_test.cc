// A group conversation by invitation, over real gRPC with open streams.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "common/crypto/hash.h"
#include "common/rpc/status_conversion.h"
#include "services/messaging/testing/running_messaging.h"

namespace handrail::messaging {
namespace {

class InvitationServiceTest : public MessagingIntegrationTest {
 protected:
  void SetUp() override { invitations_ = server_->Invitations(); }
  std::string Ann() { return Token(ann_, ann_phone_); }
  static std::string Reason(const grpc::Status& status) {
    return DetailsOf(rpc::FromGrpcStatus(status)).reason;
  }
  std::string NewRequestId() { return MessageId::Random(random_).ToString(); }
  template <typename Method, typename Request, typename Response>
  grpc::Status Call(Method method, const std::string& token, const Request& request,
                    Response* response) {
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), token);
    return ((*invitations_).*method)(context.get(), request, response);
  }
  std::string Begin(const std::string& token) {
    v1::CreateGroupConversationRequest request;
    request.set_request_id(NewRequestId());
    v1::CreateGroupConversationResponse response;
    const auto status =
        Call(&v1::InvitationService::Stub::CreateGroupConversation, token, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.conversation();
  }
  v1::Invitation Invite(const std::string& token) {
    v1::CreateInvitationRequest request;
    request.set_conversation(conversation_);
    request.set_secret_digest(crypto::Sha256(secret_));
    request.set_request_id(NewRequestId());
    v1::Invitation made;
    const auto status = Call(&v1::InvitationService::Stub::CreateInvitation, token, request, &made);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return made;
  }
  grpc::Status Accept(const std::string& token, const std::string& name, const std::string& secret,
                      v1::AcceptInvitationResponse* response) {
    v1::AcceptInvitationRequest request;
    request.set_name(name);
    request.set_secret(secret);
    request.set_request_id(NewRequestId());
    return Call(&v1::InvitationService::Stub::AcceptInvitation, token, request, response);
  }
  std::vector<std::string> OpenSeenBy(const std::string& token) {
    v1::ListInvitationsRequest request;
    request.set_conversation(conversation_);
    v1::ListInvitationsResponse response;
    const auto status =
        Call(&v1::InvitationService::Stub::ListInvitations, token, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> names;
    for (const v1::Invitation& open : response.invitations()) names.push_back(open.name());
    return names;
  }

  const std::string secret_ = "sixteen bytes ok";
  std::unique_ptr<v1::InvitationService::Stub> invitations_;
};

TEST_F(InvitationServiceTest, TheStreamsOfAllTellWhoComesAndMessagesGoOn) {
  Subscription ann(*stub_, Ann());
  ASSERT_TRUE(ann.ReadUntil(v1::SubscribeResponse::kCaughtUp));
  conversation_ = Begin(Ann());
  ASSERT_TRUE(ann.ReadUntil(v1::SubscribeResponse::kConversationChanged));
  EXPECT_EQ(ann.last.conversation_changed().conversation().members_size(), 1);
  SendMany(1);
  Subscription bob(*stub_, Bob());
  Subscription tablet(*stub_, Token(bob_, bob_tablet_));
  ASSERT_TRUE(bob.ReadUntil(v1::SubscribeResponse::kCaughtUp));
  ASSERT_TRUE(tablet.ReadUntil(v1::SubscribeResponse::kCaughtUp));

  const v1::Invitation made = Invite(Ann());
  EXPECT_EQ(made.inviter(), ann_.Name());
  EXPECT_EQ(made.conversation(), conversation_);
  EXPECT_EQ(made.expire_time().seconds() - made.create_time().seconds(), 7 * 24 * 3600);
  EXPECT_THAT(OpenSeenBy(Ann()), ::testing::ElementsAre(made.name()));
  v1::AcceptInvitationResponse joined;
  const grpc::Status accepted = Accept(Bob(), made.name(), secret_, &joined);
  ASSERT_TRUE(accepted.ok()) << accepted.error_message();
  EXPECT_EQ(joined.conversation(), conversation_);

  for (Subscription* stream : {&ann, &bob, &tablet}) {
    ASSERT_TRUE(stream->ReadUntil(v1::SubscribeResponse::kConversationChanged));
    const v1::Conversation& seen = stream->last.conversation_changed().conversation();
    EXPECT_EQ(seen.name(), conversation_);
    EXPECT_EQ(seen.members_size(), 2);
  }
  SendMany(1);
  for (Subscription* stream : {&bob, &tablet}) {
    ASSERT_TRUE(stream->ReadUntil(v1::SubscribeResponse::kEnvelope));
    EXPECT_THAT(stream->sequences, ::testing::ElementsAre(2)) << "nothing of before";
  }
}

TEST_F(InvitationServiceTest, ABadSecretIsRefusedWithoutAWordOfIt) {
  conversation_ = Begin(Ann());
  const v1::Invitation made = Invite(Ann());
  v1::AcceptInvitationResponse joined;
  const std::string guess = "a guess, 16 long";
  const grpc::Status wrong = Accept(Bob(), made.name(), guess, &joined);
  EXPECT_EQ(Reason(wrong), "NOT_FOUND");
  EXPECT_FALSE(absl::StrContains(wrong.error_message(), guess));
  EXPECT_FALSE(absl::StrContains(wrong.error_details(), guess));
  const grpc::Status longer = Accept(Bob(), made.name(), secret_ + "!", &joined);
  EXPECT_EQ(Reason(longer), "FIELD_INVALID");
  EXPECT_FALSE(absl::StrContains(longer.error_details(), secret_));
  EXPECT_EQ(Reason(Accept(Bob(), "conversations/" + std::string(32, '0'), secret_, &joined)),
            "RESOURCE_NAME_INVALID");

  v1::RevokeInvitationRequest revoke;
  revoke.set_name(made.name());
  revoke.set_request_id(NewRequestId());
  v1::RevokeInvitationResponse revoked;
  const auto method = &v1::InvitationService::Stub::RevokeInvitation;
  EXPECT_EQ(Reason(Call(method, Bob(), revoke, &revoked)), "NOT_FOUND");
  EXPECT_TRUE(Call(method, Ann(), revoke, &revoked).ok());
  EXPECT_EQ(Reason(Accept(Bob(), made.name(), secret_, &joined)), "NOT_FOUND");
  EXPECT_THAT(OpenSeenBy(Ann()), ::testing::IsEmpty());
}

}  // namespace
}  // namespace handrail::messaging
