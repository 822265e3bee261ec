// Who may read what of a group, what is told of it, and how long it is kept, on every backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/messaging/stores/group_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class GroupReadingTest : public GroupTest {
 protected:
  using GroupTest::GroupTest;

  // A month and a day, and retention.
  int64_t TrimAfterAMonth() {
    clock_.Advance(absl::Hours(31 * 24));
    return TrimAll();
  }
  void ExpectNothingToJoinBy() {
    EXPECT_EQ(CountIn("group_infos"), 0);
    EXPECT_EQ(CountIn("group_welcomes"), 0);
  }
};

TEST_P(GroupReadingTest, NothingToJoinByOutlivesAClosedConversation) {
  MakeGroup();
  CloseIt();
  EXPECT_EQ(CountIn("group_infos"), 1) << "what was said can still be read";
  EXPECT_EQ(TrimAfterAMonth(), 1);
  ExpectNothingToJoinBy();
}

TEST_P(GroupReadingTest, NothingToJoinByIsLeftOfAnEmptyConversationThatIsClosed) {
  MakeGroup();
  EXPECT_EQ(TrimAfterAMonth(), 1);
  EXPECT_THAT(WelcomesOf(bob_phone_), SizeIs(1)) << "it is open";
  CloseIt();
  ExpectNothingToJoinBy();
}

TEST_P(GroupReadingTest, NothingToJoinByIsLeftOfAnEmptyConversationAfterABlock) {
  MakeGroup();
  EXPECT_EQ(TrimAfterAMonth(), 1);
  BlockThem();
  ExpectNothingToJoinBy();
}

TEST_P(GroupReadingTest, NothingToJoinByIsLeftOfAnEmptyConversationWhoseMemberIsErased) {
  MakeGroup();
  EXPECT_EQ(TrimAfterAMonth(), 1);
  Apply(ann_, {}, Standing::kErased);
  ExpectNothingToJoinBy();
}

TEST_P(GroupReadingTest, AClosedConversationTellsNothingOfTheDevicesOfOthers) {
  MakeGroup();
  CloseIt();
  // A new one of Bob's, synced into what is closed.
  Apply(bob_, {bob_phone_, DeviceId::Random(random_)});
  const Group group = GroupNow();
  EXPECT_EQ(group.state, ConversationState::kClosed);
  EXPECT_EQ(group.group_id, "group");
  EXPECT_EQ(group.epoch, 1);
  EXPECT_EQ(group.group_info, "");
  EXPECT_THAT(group.devices, SizeIs(2));
  for (const GroupDevice& device : group.devices) EXPECT_EQ(device.member, ann_);
}

TEST_P(GroupReadingTest, ABlockedConversationTellsThatItIsClosed) {
  MakeGroup();
  BlockThem();
  const Group group = GroupNow();
  EXPECT_EQ(group.conversation, id_);
  EXPECT_EQ(group.state, ConversationState::kClosed);
  EXPECT_EQ(group.group_id, "");
  EXPECT_EQ(group.epoch, 0);
  EXPECT_EQ(group.head_sequence, 0);
  EXPECT_EQ(group.group_info, "");
  EXPECT_THAT(group.devices, IsEmpty());
}

TEST_P(GroupReadingTest, ARevokedDeviceIsToldNothing) {
  MakeGroup();
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1, {ann_tablet_})).ok());
  Apply(ann_, {ann_phone_});
  const auto expect_revoked = [](const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
    EXPECT_TRUE(HasReason(status, reason::kDeviceRevoked));
  };
  expect_revoked(groups_->GetGroup(kForever, ann_, ann_tablet_, id_).status());
  expect_revoked(groups_->FetchWelcomes(kForever, ann_, ann_tablet_).status());
  expect_revoked(groups_->AckWelcome(kForever, ann_, ann_tablet_, id_, 2));
  EXPECT_EQ(GroupNow().state, ConversationState::kOpen);
}

TEST_P(GroupReadingTest, WhoComesBackFindsAGapWhereItHadStopped) {
  MakeGroup();                                                            // 1
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());                                 // 2
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());                                 // 3
  ASSERT_TRUE(Ack(bob_phone_, id_, 2).ok());                              // 3 is not fetched
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1, {}, {bob_phone_})).ok());  // 4
  ASSERT_TRUE(SayIn(2, ann_phone_).ok());                                 // 5
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 2, {bob_phone_})).ok());      // 6
  ASSERT_TRUE(SayIn(3, ann_phone_).ok());                                 // 7
  const Gap gap{id_, 3, 6};
  const auto page = FetchAs(bob_, bob_phone_, id_, 2);
  EXPECT_EQ(page->gap, gap);
  EXPECT_THAT(Sequences(*page), ElementsAre(7));
  const auto stream = [&] {
    auto snapshot = store_->ReadStream(kForever, clock_.Now(), bob_phone_, {}, true, 10);
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    return snapshot->conversations.at(0);
  };
  EXPECT_EQ(stream().gap, gap);
  EXPECT_THAT(stream().envelopes, SizeIs(1));
  ASSERT_NE(stream().welcome, nullptr);
  // Acknowledged, it is over; and what was said while it was out stays closed to it.
  ASSERT_TRUE(Ack(bob_phone_, id_, 6).ok());
  EXPECT_FALSE(stream().gap.has_value());
  EXPECT_THAT(ReadableBy(bob_phone_), ElementsAre(7));
  // Replaced in one commit with something unread; then once more with nothing.
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 3, {bob_phone_}, {bob_phone_})).ok());  // 8
  EXPECT_EQ(stream().gap, (Gap{id_, 7, 8}));
  ASSERT_TRUE(Ack(bob_phone_, id_, 8).ok());
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 4, {bob_phone_}, {bob_phone_})).ok());  // 9
  EXPECT_FALSE(stream().gap.has_value());
}

TEST_P(GroupReadingTest, WhoJoinsByItselfAgainFindsAGapWhereItHadStopped) {
  MakeGroup();                             // 1
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());  // 2
  CommitBundle bundle = MakeCommit(bob_phone_, 1);
  bundle.commit = MlsExternalCommitBytes("group", 1);
  bundle.external = true;
  ASSERT_TRUE(Commit(bundle).ok());        // 3
  ASSERT_TRUE(SayIn(2, ann_phone_).ok());  // 4
  const auto page = FetchAs(bob_, bob_phone_, id_);
  EXPECT_EQ(page->gap, (Gap{id_, 2, 3}));
  EXPECT_THAT(Sequences(*page), ElementsAre(4));
}

// Ann's phone makes a group of its own, and Bob's is not in it.
TEST_P(GroupReadingTest, WhoIsNotInTheGroupHoldsNothingBack) {
  SayMany(id_, 2);
  ASSERT_TRUE(Ack(bob_phone_, id_, 1).ok());
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 0)).ok());  // 3
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());               // 4
  const auto trim_when_acknowledged = [&] {
    ASSERT_TRUE(Ack(ann_phone_, id_, 4).ok());
    clock_.Advance(absl::Hours(25));
    TrimAll();  // takes note
    clock_.Advance(absl::Hours(25));
    TrimAll();
  };
  trim_when_acknowledged();
  EXPECT_EQ(CountIn("messages"), 3) << "what Bob's phone can still read waits for it";
  EXPECT_THAT(ReadableBy(bob_phone_), ElementsAre(2));
  ASSERT_TRUE(Ack(bob_phone_, id_, 2).ok());
  trim_when_acknowledged();
  EXPECT_EQ(CountIn("messages"), 0);
}

SqlMessageStore::Options FewKept() {
  SqlMessageStore::Options options;
  options.limits.stored_messages = 5;
  return options;
}

class GroupBoundTest : public GroupReadingTest {
 protected:
  GroupBoundTest() : GroupReadingTest(FewKept()) {}
};

TEST_P(GroupBoundTest, WhatIsKeptOfAConversationHasABound) {
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 0)).ok());
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(SayIn(1, ann_phone_).ok());
  ASSERT_TRUE(Ack(ann_phone_, id_, 5).ok());
  for (const absl::Status& status :
       {SayIn(1, ann_phone_).status(), Commit(MakeCommit(ann_phone_, 1)).status()}) {
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_TRUE(HasReason(status, reason::kQueueFull));
    EXPECT_TRUE(DetailsOf(status).retry_after.has_value());
  }
  EXPECT_EQ(CountIn("messages"), 5);
  // Retention makes room.
  clock_.Advance(absl::Hours(25));
  TrimAll();
  clock_.Advance(absl::Hours(25));
  EXPECT_EQ(TrimAll(), 5);
  EXPECT_TRUE(SayIn(1, ann_phone_).ok());
  EXPECT_TRUE(Commit(MakeCommit(ann_phone_, 1)).ok());
}

SqlMessageStore::Options FewBytesKept() {
  SqlMessageStore::Options options;
  options.limits.stored_bytes = 2000;
  return options;
}

class BytesBoundTest : public GroupReadingTest {
 protected:
  BytesBoundTest() : GroupReadingTest(FewBytesKept()) {}
};

TEST_P(BytesBoundTest, TheBytesThatAreKeptOfAConversationHaveABound) {
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 0)).ok());
  int said = 0;
  while (said < 200 && SayIn(1, ann_phone_).ok()) ++said;
  ASSERT_GT(said, 0);
  ASSERT_LT(said, 200);
  ASSERT_TRUE(Ack(ann_phone_, id_, said + 1).ok());
  for (const absl::Status& status :
       {SayIn(1, ann_phone_).status(), Commit(MakeCommit(ann_phone_, 1)).status()}) {
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_TRUE(HasReason(status, reason::kQueueFull));
    EXPECT_TRUE(DetailsOf(status).retry_after.has_value());
  }
  EXPECT_EQ(CountIn("messages"), said + 1);
  // Retention makes room.
  clock_.Advance(absl::Hours(25));
  TrimAll();
  clock_.Advance(absl::Hours(25));
  EXPECT_EQ(TrimAll(), said + 1);
  EXPECT_TRUE(SayIn(1, ann_phone_).ok());
  EXPECT_TRUE(Commit(MakeCommit(ann_phone_, 1)).ok());
}

TEST_P(BytesBoundTest, TheBytesAreCountedAnewWhereAnOldReplicaDidNotCount) {
  ASSERT_TRUE(Say(id_, std::string(1500, 'x')).ok());
  Plant("UPDATE conversations SET kept_bytes = 0");
  clock_.Advance(absl::Hours(2));
  EXPECT_EQ(TrimAll(), 0);
  EXPECT_TRUE(HasReason(Say(id_, std::string(600, 'y')).status(), reason::kQueueFull));
}

INSTANTIATE_TEST_SUITE_P(Backends, BytesBoundTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

TEST_P(GroupBoundTest, TheBoundHoldsWithinABatchToo) {
  Mutex mutex;
  CondVar signal;
  int stored = 0;
  int refused = 0;
  for (int i = 0; i < 12; ++i) {
    store_->AppendAsync(MakeAppend(id_, "x"), nullptr, [&](absl::StatusOr<Appended> appended) {
      MutexLock lock(mutex);
      ++(appended.ok() ? stored : refused);
      signal.SignalAll();
    });
  }
  MutexLock lock(mutex);
  while (stored + refused < 12) signal.Wait(mutex);
  EXPECT_EQ(stored, 5);
}

INSTANTIATE_TEST_SUITE_P(Backends, GroupBoundTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

INSTANTIATE_TEST_SUITE_P(Backends, GroupReadingTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
