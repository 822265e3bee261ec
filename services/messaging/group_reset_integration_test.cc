// ResetConversation over real gRPC: the streams of everybody tell, and lead into the new group.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/crypto/hash.h"
#include "common/rpc/status_conversion.h"
#include "services/messaging/testing/group_service.h"

namespace handrail::messaging {
namespace {

class GroupResetServiceTest : public GroupServiceTest {
 protected:
  v1::ResetConversationRequest Resetting(const DeviceId& device, const DeviceId& other,
                                         const std::string& group = "second") {
    v1::ResetConversationRequest request;
    request.set_conversation(conversation_);
    request.set_commit_id(MessageId::Random(random_).ToString());
    request.set_replaced_group_id("group");
    request.set_replaced_epoch(1);
    request.set_commit(MlsPrivateBytes(MlsContentType::kCommit, group, 0, "commit"));
    request.set_group_info(MlsGroupInfoBytes("info"));
    request.add_devices_added(other.Name());
    v1::WelcomeBundle* welcome = request.add_welcomes();
    welcome->set_welcome(MlsWelcomeBytes({Claim(other, device)}, "group info of " + group));
    welcome->add_devices(other.Name());
    return request;
  }
  grpc::Status Reset(const DeviceId& device, const v1::ResetConversationRequest& request,
                     v1::ResetConversationResponse* response = nullptr) {
    v1::ResetConversationResponse unused;
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), TokenOf(device));
    return groups_->ResetConversation(context.get(), request,
                                      response == nullptr ? &unused : response);
  }
};

TEST_F(GroupResetServiceTest, StreamsTellOfItAndLeadIntoTheNewGroup) {
  ASSERT_TRUE(Commit(ann_phone_, Adding(0, bob_phone_)).ok());
  ASSERT_TRUE(AckWelcome(bob_phone_, 1).ok());
  ASSERT_TRUE(SayIn(1).ok());
  Subscription live(*stub_, Token(ann_, ann_phone_));
  ASSERT_TRUE(live.ReadToSequence(2));
  const auto request = Resetting(bob_phone_, ann_phone_);
  v1::ResetConversationResponse made;
  const grpc::Status status = Reset(bob_phone_, request, &made);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(made.sequence(), 3);
  EXPECT_EQ(made.epoch(), 1);
  EXPECT_EQ(made.generation(), 1);
  EXPECT_EQ(server_->Metric("handrail_messaging_group_resets_total"), 1);

  ASSERT_TRUE(live.ReadUntil(v1::SubscribeResponse::kConversationChanged));
  EXPECT_EQ(live.last.conversation_changed().conversation().group_id(), "second");
  EXPECT_EQ(live.last.conversation_changed().conversation().group_generation(), 1);
  ASSERT_TRUE(live.ReadUntil(v1::SubscribeResponse::kWelcome));
  EXPECT_EQ(live.last.welcome().welcome(), request.welcomes(0).welcome());
  EXPECT_THAT(live.sequences, ::testing::ElementsAre(1, 2));
  // A device that was away gets what is left of the old group first.
  Subscription late(*stub_, Token(ann_, ann_phone_));
  ASSERT_TRUE(late.ReadUntil(v1::SubscribeResponse::kWelcome));
  EXPECT_THAT(late.sequences, ::testing::ElementsAre(1, 2));
  ASSERT_TRUE(late.ReadToSequence(3));

  v1::ResetConversationResponse again;
  ASSERT_TRUE(Reset(bob_phone_, request, &again).ok());
  EXPECT_EQ(again.sequence(), 3);
  EXPECT_EQ(server_->Metric("handrail_messaging_group_resets_total"), 1);
  EXPECT_EQ(GetGroup(ann_phone_).generation(), 1);
  EXPECT_EQ(DetailsOf(rpc::FromGrpcStatus(SayIn(1))).reason, "GROUP_MISMATCH");
  const ErrorDetails lost =
      DetailsOf(rpc::FromGrpcStatus(Reset(ann_phone_, Resetting(ann_phone_, bob_phone_, "third"))));
  EXPECT_EQ(lost.reason, "EPOCH_CONFLICT");
  EXPECT_EQ(lost.metadata.at("group_generation"), "1");
}

TEST_F(GroupResetServiceTest, WhatIsNoFirstCommitIsRefused) {
  ASSERT_TRUE(Commit(ann_phone_, Adding(0, bob_phone_)).ok());
  const auto field = [&](const v1::ResetConversationRequest& request) {
    const grpc::Status status = Reset(ann_phone_, request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    const ErrorDetails details = DetailsOf(rpc::FromGrpcStatus(status));
    return details.field_violations.empty() ? "" : details.field_violations[0].first;
  };
  const v1::ResetConversationRequest good = Resetting(ann_phone_, bob_phone_);
  v1::ResetConversationRequest reset = good;
  reset.set_commit(MlsPrivateBytes(MlsContentType::kCommit, "second", 1, "commit"));
  EXPECT_EQ(field(reset), "commit");
  reset.set_commit(MlsPrivateBytes(MlsContentType::kCommit, "group", 0, "commit"));
  EXPECT_EQ(field(reset), "commit");
  reset.set_commit(MlsExternalCommitBytes("second", 0));
  EXPECT_EQ(field(reset), "commit");
  reset = good;
  reset.set_replaced_epoch(0);
  EXPECT_EQ(field(reset), "replaced_epoch");
  reset = good;
  reset.clear_replaced_group_id();
  EXPECT_EQ(field(reset), "replaced_group_id");
  EXPECT_EQ(GetGroup(ann_phone_).generation(), 0);
  ASSERT_TRUE(Reset(ann_phone_, good).ok());
}

TEST_F(GroupResetServiceTest, ACommitThatDoesNotProcessIsReportedAndCounted) {
  ASSERT_TRUE(Commit(ann_phone_, Adding(0, bob_phone_)).ok());
  const v1::CommitBundleRequest bad = Bundle(1);
  ASSERT_TRUE(Commit(ann_phone_, bad).ok());
  v1::ReportInvalidCommitRequest request;
  request.set_conversation(conversation_);
  request.set_group_id("group");
  request.set_epoch(1);
  request.set_commit_digest(crypto::Sha256(bad.commit()));
  request.set_request_id("report-1");
  const auto report = [&](const DeviceId& device) {
    v1::ReportInvalidCommitResponse response;
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), TokenOf(device));
    const grpc::Status status = groups_->ReportInvalidCommit(context.get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.mending();
  };
  const std::string counter = "handrail_messaging_invalid_commits_total";
  EXPECT_EQ(report(bob_phone_), v1::GROUP_MENDING_JOIN_AGAIN);
  EXPECT_EQ(report(bob_phone_), v1::GROUP_MENDING_JOIN_AGAIN);
  EXPECT_EQ(server_->Metric(counter + "{mending=\"join_again\"}"), 1);
  EXPECT_EQ(report(ann_phone_), v1::GROUP_MENDING_RESET) << "her state is lost, too";
  EXPECT_EQ(server_->Metric(counter + "{mending=\"reset\"}"), 1);
  request.set_request_id("report-2");
  EXPECT_EQ(report(bob_phone_), v1::GROUP_MENDING_RESET);
  EXPECT_EQ(server_->Metric(counter + "{mending=\"reset\"}"), 1) << "said before";
}

}  // namespace
}  // namespace handrail::messaging
