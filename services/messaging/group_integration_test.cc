// GroupService over real gRPC: a group is made, somebody is added, removed and welcomed, and the
// streams tell.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/rpc/status_conversion.h"
#include "services/messaging/testing/group_service.h"

namespace handrail::messaging {
namespace {

TEST_F(GroupServiceTest, ADeviceIsWelcomedBeforeAnythingElseAndReadsFromThere) {
  Subscription stream(*stub_, Bob());
  ASSERT_TRUE(stream.ReadUntil(v1::SubscribeResponse::kCaughtUp));
  v1::CommitBundleResponse committed;
  const v1::CommitBundleRequest bundle = Adding(0, bob_phone_);
  ASSERT_TRUE(Commit(ann_phone_, bundle, &committed).ok());
  EXPECT_EQ(committed.sequence(), 1);
  EXPECT_EQ(committed.epoch(), 1);
  ASSERT_TRUE(SayIn(1).ok());

  // Live: the Welcome, then what comes after the commit.
  ASSERT_TRUE(stream.ReadUntil(v1::SubscribeResponse::kWelcome));
  EXPECT_TRUE(stream.sequences.empty());
  EXPECT_EQ(stream.last.welcome().welcome(), bundle.welcomes(0).welcome());
  EXPECT_EQ(stream.last.welcome().conversation(), conversation_);
  EXPECT_EQ(stream.last.welcome().sequence(), 1);
  EXPECT_EQ(stream.last.welcome().epoch(), 1);
  ASSERT_TRUE(stream.ReadUntil(v1::SubscribeResponse::kEnvelope));
  EXPECT_EQ(stream.last.envelope().sequence(), 2);
  EXPECT_EQ(stream.last.envelope().kind(), v1::ENVELOPE_KIND_APPLICATION);
  EXPECT_EQ(stream.last.envelope().epoch(), 1);

  // On a new stream again, until it is acknowledged.
  Subscription second(*stub_, Bob());
  ASSERT_TRUE(second.ReadUntil(v1::SubscribeResponse::kWelcome));
  EXPECT_TRUE(second.sequences.empty());
  ASSERT_EQ(FetchWelcomes(bob_phone_).welcomes_size(), 1);
  ASSERT_TRUE(AckWelcome(bob_phone_, 1).ok());
  EXPECT_EQ(FetchWelcomes(bob_phone_).welcomes_size(), 0);
  Subscription third(*stub_, Bob());
  ASSERT_TRUE(third.ReadUntil(v1::SubscribeResponse::kStarted));
  ASSERT_TRUE(third.ReadUntil(v1::SubscribeResponse::kEnvelope));
  EXPECT_EQ(third.last.envelope().sequence(), 2);
}

TEST_F(GroupServiceTest, TheLoserIsToldWhereTheGroupIs) {
  ASSERT_TRUE(Commit(ann_phone_, Adding(0, bob_phone_)).ok());
  const grpc::Status lost = Commit(bob_phone_, Bundle(0));
  EXPECT_EQ(lost.error_code(), grpc::StatusCode::ABORTED);
  const ErrorDetails details = DetailsOf(rpc::FromGrpcStatus(lost));
  EXPECT_EQ(details.reason, "EPOCH_CONFLICT");
  EXPECT_EQ(details.metadata.at("current_epoch"), "1");
  EXPECT_EQ(details.metadata.at("head_sequence"), "1");
  ASSERT_TRUE(Commit(bob_phone_, Bundle(1)).ok());
  const v1::Group group = GetGroup(bob_phone_);
  EXPECT_EQ(group.epoch(), 2);
  EXPECT_EQ(group.group_id(), "group");
  EXPECT_EQ(group.group_info(), MlsGroupInfoBytes("info"));
  EXPECT_EQ(group.devices_size(), 3);
  EXPECT_EQ(group.state(), v1::CONVERSATION_STATE_OPEN);
}

TEST_F(GroupServiceTest, ARemovedDevicesStreamEndsWithTheCommit) {
  ASSERT_TRUE(Commit(ann_phone_, Adding(0, bob_phone_)).ok());
  Subscription stream(*stub_, Bob());
  ASSERT_TRUE(stream.ReadUntil(v1::SubscribeResponse::kWelcome));
  v1::CommitBundleRequest removal = Bundle(1);
  removal.add_devices_removed(bob_phone_.Name());
  ASSERT_TRUE(Commit(ann_phone_, removal).ok());
  ASSERT_TRUE(SayIn(2).ok());
  ASSERT_TRUE(stream.ReadToSequence(2));
  EXPECT_EQ(stream.last.envelope().kind(), v1::ENVELOPE_KIND_COMMIT);
  // Added again: a Gap, as it has acknowledged nothing, and then what comes after that.
  ASSERT_TRUE(Commit(ann_phone_, Adding(2, bob_phone_)).ok());
  ASSERT_TRUE(SayIn(3).ok());
  ASSERT_TRUE(stream.ReadUntil(v1::SubscribeResponse::kWelcome));
  EXPECT_EQ(stream.last.welcome().sequence(), 4);
  ASSERT_TRUE(stream.ReadUntil(v1::SubscribeResponse::kGap));
  EXPECT_EQ(stream.last.gap().first_sequence(), 3);
  EXPECT_EQ(stream.last.gap().last_sequence(), 4);
  ASSERT_TRUE(stream.ReadToSequence(5));
  EXPECT_THAT(stream.sequences, ::testing::ElementsAre(2, 5));
}

// A commit costs every device of the group; this server limits no calls, so the rule is read.
TEST_F(GroupServiceTest, AMemberMakesSixtyCommitsAMinute) {
  const auto* method = rpc::DescriptorOf<v1::GroupService>()->FindMethodByName("CommitBundle");
  ASSERT_NE(method, nullptr);
  EXPECT_EQ(method->options().GetExtension(common::v1::policy).calls_per_minute(), 60);
}

TEST_F(GroupServiceTest, WhatDoesNotFitIsRefused) {
  const auto field = [&](const v1::CommitBundleRequest& request) {
    const grpc::Status status = Commit(ann_phone_, request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    const ErrorDetails details = DetailsOf(rpc::FromGrpcStatus(status));
    return details.field_violations.empty() ? "" : details.field_violations[0].first;
  };
  v1::CommitBundleRequest bundle = Bundle(0);
  bundle.set_commit("no MLSMessage");
  EXPECT_EQ(field(bundle), "commit");
  bundle.set_commit(MlsPrivateBytes(MlsContentType::kApplication, "group", 0, "hello"));
  EXPECT_EQ(field(bundle), "commit");
  bundle = Bundle(0);
  bundle.set_group_info("no GroupInfo");
  EXPECT_EQ(field(bundle), "group_info");
  bundle.clear_group_info();
  EXPECT_EQ(field(bundle), "group_info") << "who loses all devices joins by it";
  bundle = Bundle(0);
  bundle.add_devices_added(bob_phone_.Name());
  EXPECT_EQ(field(bundle), "welcomes") << "nobody is added without a Welcome";
  bundle = Adding(0, bob_phone_);
  bundle.mutable_welcomes(0)->set_welcome("no Welcome");
  EXPECT_EQ(field(bundle), "welcomes[0].welcome");
  bundle = Bundle(0);
  bundle.add_devices_removed(ann_phone_.Name());
  EXPECT_EQ(field(bundle), "devices_removed");
  bundle = Bundle(0);
  bundle.set_commit_id(std::string(32, 'x'));
  EXPECT_EQ(field(bundle), "commit_id");
  EXPECT_EQ(GetGroup(ann_phone_).epoch(), 0);
  // In the clear, once there is a group.
  ASSERT_TRUE(Commit(ann_phone_, Adding(0, bob_phone_)).ok());
  const grpc::Status clear = Send(Message("in the clear"));
  EXPECT_EQ(DetailsOf(rpc::FromGrpcStatus(clear)).reason, "ENCRYPTION_REQUIRED");
}

}  // namespace
}  // namespace handrail::messaging
