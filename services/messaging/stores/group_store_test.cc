// What a group store promises, on every backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/messaging/stores/group_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class GroupStoreTest : public GroupTest {
 protected:
  std::string Refusal(const CommitBundle& bundle) { return ReasonOf(Commit(bundle).status()); }
};

TEST_P(GroupStoreTest, TheFirstCommitMakesTheGroup) {
  EXPECT_EQ(GroupNow().epoch, 0);
  EXPECT_EQ(GroupNow().group_id, "");
  CommitBundle bundle = MakeCommit(ann_phone_, 0, {bob_phone_});
  bundle.group_info = MlsGroupInfoBytes("info");
  const auto made = Commit(bundle);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->sequence, 1);
  EXPECT_EQ(made->epoch, 1);
  EXPECT_THAT(made->wake_ups, ::testing::Not(IsEmpty()));

  const Group group = GroupNow();
  EXPECT_EQ(group.group_id, "group");
  EXPECT_EQ(group.epoch, 1);
  EXPECT_EQ(group.head_sequence, 1);
  EXPECT_EQ(group.group_info, bundle.group_info);
  ASSERT_THAT(group.devices, SizeIs(3));
  for (const GroupDevice& device : group.devices) {
    EXPECT_EQ(device.state, device.device == ann_tablet_ ? GroupDeviceState::kOutside
                                                         : GroupDeviceState::kInGroup);
  }
  const auto conversation = store_->GetConversation(kForever, bob_, bob_phone_, id_);
  EXPECT_EQ(conversation->group_id, "group");
  EXPECT_EQ(conversation->epoch, 1);
}

TEST_P(GroupStoreTest, ACommitIsAnEnvelopeAndItsWelcomeIsForTheAddedAlone) {
  const CommitBundle bundle = MakeCommit(ann_phone_, 0, {bob_phone_});
  ASSERT_TRUE(Commit(bundle).ok());
  const auto page = FetchAs(ann_, ann_phone_, id_);
  ASSERT_THAT(page->envelopes, SizeIs(1));
  EXPECT_EQ(page->envelopes[0]->kind, EnvelopeKind::kCommit);
  EXPECT_EQ(page->envelopes[0]->epoch, 0);
  EXPECT_EQ(page->envelopes[0]->payload, bundle.commit);
  EXPECT_EQ(page->envelopes[0]->message_id, bundle.commit_id);

  EXPECT_THAT(WelcomesOf(ann_phone_), IsEmpty());
  EXPECT_THAT(WelcomesOf(ann_tablet_), IsEmpty());
  const auto welcomes = WelcomesOf(bob_phone_);
  ASSERT_THAT(welcomes, SizeIs(1));
  EXPECT_EQ(welcomes[0]->conversation, id_);
  EXPECT_EQ(welcomes[0]->sequence, 1);
  EXPECT_EQ(welcomes[0]->epoch, 1);
  EXPECT_EQ(welcomes[0]->message, bundle.welcomes[0].message);
  // It reads what comes after the commit; who is not in the group reads nothing.
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());
  EXPECT_THAT(ReadableBy(ann_phone_), ElementsAre(1, 2));
  EXPECT_THAT(ReadableBy(bob_phone_), ElementsAre(2));
  EXPECT_THAT(ReadableBy(ann_tablet_), IsEmpty());
}

TEST_P(GroupStoreTest, AWelcomeWaitsUntilItIsAcknowledged) {
  MakeGroup();
  const auto ack = [&](int64_t sequence) {
    return groups_->AckWelcome(kForever, bob_, bob_phone_, id_, sequence);
  };
  EXPECT_THAT(WelcomesOf(bob_phone_), SizeIs(1));
  ASSERT_TRUE(ack(1).ok());
  EXPECT_THAT(WelcomesOf(bob_phone_), IsEmpty());
  EXPECT_TRUE(ack(1).ok());
  // Replaced in one commit: an acknowledgement of the first does not touch the second.
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1, {bob_phone_}, {bob_phone_})).ok());
  EXPECT_TRUE(ack(1).ok());
  ASSERT_THAT(WelcomesOf(bob_phone_), SizeIs(1));
  EXPECT_EQ(WelcomesOf(bob_phone_)[0]->sequence, 2);
  const MemberId stranger = MemberId::Random(random_);
  const DeviceId phone = DeviceId::Random(random_);
  EXPECT_TRUE(HasReason(groups_->AckWelcome(kForever, stranger, phone, id_, 2), kDeviceUnknown));
  Apply(stranger, {phone});
  EXPECT_TRUE(HasReason(groups_->AckWelcome(kForever, stranger, phone, id_, 2), reason::kNotFound));
}

TEST_P(GroupStoreTest, WhoLosesIsToldWhereTheGroupIsAndLeavesNothing) {
  const CommitBundle mine = MakeCommit(ann_phone_, 0, {bob_phone_}, {}, "mine");
  const CommitBundle theirs = MakeCommit(bob_phone_, 0, {ann_tablet_}, {}, "theirs");
  ASSERT_TRUE(Commit(mine).ok());
  const auto lost = Commit(theirs);
  EXPECT_EQ(lost.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonOf(lost.status()), "EPOCH_CONFLICT");
  const ErrorDetails details = DetailsOf(lost.status());
  EXPECT_EQ(details.metadata.at("current_epoch"), "1");
  EXPECT_EQ(details.metadata.at("head_sequence"), "1");
  EXPECT_THAT(WelcomesOf(ann_tablet_), IsEmpty());
  EXPECT_THAT(ReadableBy(ann_phone_), ElementsAre(1));
  EXPECT_EQ(GroupNow().group_id, "mine");
  // Of the right epoch, of another group; and of an epoch that nobody has reached.
  EXPECT_EQ(Refusal(MakeCommit(ann_phone_, 1, {}, {}, "theirs")), "GROUP_MISMATCH");
  EXPECT_EQ(Refusal(MakeCommit(ann_phone_, 2, {}, {}, "mine")), "EPOCH_CONFLICT");
  EXPECT_EQ(GroupNow().epoch, 1);
}

TEST_P(GroupStoreTest, ARepeatedCommitGetsItsFirstAnswer) {
  const CommitBundle bundle = MakeCommit(ann_phone_, 0, {bob_phone_});
  const auto first = Commit(bundle);
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1)).ok());
  const auto again = Commit(bundle);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->sequence, first->sequence);
  EXPECT_EQ(again->epoch, first->epoch);
  EXPECT_EQ(again->create_time, first->create_time);
  EXPECT_THAT(ReadableBy(ann_phone_), ElementsAre(1, 2));
  CommitBundle other = bundle;
  other.welcomes[0].message += "x";
  EXPECT_EQ(Refusal(other), "REQUEST_ID_REUSED");
  other = bundle;
  other.group_info = MlsGroupInfoBytes("x");
  EXPECT_EQ(Refusal(other), "REQUEST_ID_REUSED");
  // The id of a message is none for a commit.
  Append append = MakeAppend(id_, MlsPrivateBytes(MlsContentType::kApplication, "group", 2, "m"));
  ASSERT_TRUE(Send(append).ok());
  other = MakeCommit(ann_phone_, 2);
  other.commit_id = append.message_id;
  EXPECT_EQ(Refusal(other), "REQUEST_ID_REUSED");
}

TEST_P(GroupStoreTest, OnlyDevicesOfMembersAreAddedAndWithTheirOwnPackages) {
  MakeGroup();
  const DeviceId stranger = DeviceId::Random(random_);
  Apply(MemberId::Random(random_), {stranger});
  CommitBundle bundle = MakeCommit(ann_phone_, 1, {ann_tablet_});
  bundle.added = {stranger};
  bundle.welcomes[0].devices = {stranger};
  EXPECT_EQ(Refusal(bundle), "GROUP_CHANGE_INVALID");
  // In the group already; not in it.
  EXPECT_EQ(Refusal(MakeCommit(ann_phone_, 1, {bob_phone_})), "GROUP_CHANGE_INVALID");
  EXPECT_EQ(Refusal(MakeCommit(ann_phone_, 1, {}, {ann_tablet_})), "GROUP_CHANGE_INVALID");
  // A package that somebody else has claimed, one that nobody has, one of another device.
  bundle = MakeCommit(ann_phone_, 1, {ann_tablet_});
  const CommitBundle claimed_by_bob = MakeCommit(bob_phone_, 1, {ann_tablet_});
  bundle.welcomes[0].references = claimed_by_bob.welcomes[0].references;
  EXPECT_EQ(Refusal(bundle), "GROUP_CHANGE_INVALID");
  bundle.welcomes[0].references = {std::string(32, 'r')};
  EXPECT_EQ(Refusal(bundle), "GROUP_CHANGE_INVALID");
  bundle.welcomes[0].references = {ClaimOf(ann_phone_, bob_phone_)};
  EXPECT_EQ(Refusal(bundle), "GROUP_CHANGE_INVALID");
  // A device that was revoked meanwhile.
  bundle = MakeCommit(ann_phone_, 1, {ann_tablet_});
  Apply(ann_, {ann_phone_});
  EXPECT_EQ(Refusal(bundle), "GROUP_CHANGE_INVALID");
  EXPECT_EQ(GroupNow().epoch, 1);
  EXPECT_THAT(ReadableBy(ann_phone_), ElementsAre(1));
}

TEST_P(GroupStoreTest, OnlyWhoIsInTheGroupCommits) {
  MakeGroup();
  EXPECT_EQ(Refusal(MakeCommit(ann_tablet_, 1)), "DEVICE_NOT_IN_GROUP");
  const MemberId stranger = MemberId::Random(random_);
  const DeviceId phone = DeviceId::Random(random_);
  CommitBundle bundle = MakeCommit(ann_phone_, 1);
  bundle.member = stranger;
  bundle.device = phone;
  EXPECT_EQ(Refusal(bundle), kDeviceUnknown);
  Apply(stranger, {phone});
  EXPECT_EQ(Refusal(bundle), "NOT_FOUND");
  bundle = MakeCommit(ann_phone_, 1);
  bundle.conversation = ConversationId::Random(random_);
  EXPECT_EQ(Refusal(bundle), "NOT_FOUND");
  Apply(ann_, {ann_phone_}, Standing::kSuspended);
  EXPECT_EQ(Refusal(MakeCommit(ann_phone_, 1)), "MEMBER_SUSPENDED");
  Apply(ann_, {ann_tablet_});
  EXPECT_EQ(Refusal(MakeCommit(ann_phone_, 1)), "DEVICE_REVOKED");
  BlockThem();
  EXPECT_EQ(Refusal(MakeCommit(bob_phone_, 1)), "CONVERSATION_CLOSED");
  EXPECT_THAT(WelcomesOf(bob_phone_), IsEmpty()) << "nothing is delivered after a block";
}

TEST_P(GroupStoreTest, ARemovedDeviceReadsToItsEndAndOneThatComesBackFromItsStart) {
  MakeGroup();                                                            // 1
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());                                 // 2
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1, {}, {bob_phone_})).ok());  // 3
  ASSERT_TRUE(SayIn(2, ann_phone_).ok());                                 // 4
  EXPECT_THAT(ReadableBy(bob_phone_), ElementsAre(2, 3));
  EXPECT_THAT(WelcomesOf(bob_phone_), IsEmpty());
  EXPECT_EQ(ReasonOf(SayIn(2, bob_phone_).status()), "DEVICE_NOT_IN_GROUP");
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 2, {bob_phone_})).ok());  // 5
  ASSERT_TRUE(SayIn(3, bob_phone_).ok());                             // 6
  EXPECT_THAT(ReadableBy(bob_phone_), ElementsAre(6));
  EXPECT_EQ(FetchAs(bob_, bob_phone_, id_)->gap, (Gap{id_, 2, 5})) << "it never fetched 2 and 3";
  EXPECT_THAT(ReadableBy(ann_phone_), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(WelcomesOf(bob_phone_), SizeIs(1));
}

TEST_P(GroupStoreTest, ARevokedDeviceReadsNothingMoreAndIsShownUntilItIsRemoved) {
  MakeGroup();
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1, {ann_tablet_})).ok());
  Apply(ann_, {ann_phone_});
  EXPECT_EQ(CountIn("group_welcomes"), 1) << "Bob's phone's";
  ASSERT_TRUE(SayIn(2, ann_phone_).ok());
  EXPECT_THAT(ReadableBy(ann_tablet_), IsEmpty());
  const auto state = [&] {
    for (const GroupDevice& device : GroupNow().devices) {
      if (device.device == ann_tablet_) return static_cast<int>(device.state);
    }
    return 0;
  };
  EXPECT_EQ(state(), static_cast<int>(GroupDeviceState::kRevoked));
  // Its member takes it back: it reads once a commit has replaced it.
  Apply(ann_, {ann_phone_, ann_tablet_});
  EXPECT_EQ(state(), static_cast<int>(GroupDeviceState::kRevoked));
  ASSERT_TRUE(SayIn(2, ann_phone_).ok());
  EXPECT_THAT(ReadableBy(ann_tablet_), IsEmpty());
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 2, {ann_tablet_}, {ann_tablet_})).ok());
  ASSERT_TRUE(SayIn(3, ann_phone_).ok());
  EXPECT_THAT(ReadableBy(ann_tablet_), ElementsAre(6));
  Apply(ann_, {ann_phone_});
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 3, {}, {ann_tablet_})).ok());
  EXPECT_EQ(state(), 0);
  EXPECT_THAT(ReadableBy(ann_tablet_), ElementsAre(6));
}

TEST_P(GroupStoreTest, ANewDeviceWaitsOutsideUntilItIsAdded) {
  MakeGroup();
  const DeviceId watch = DeviceId::Random(random_);
  Apply(ann_, {ann_phone_, ann_tablet_, watch});
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());
  EXPECT_THAT(ReadableBy(watch), IsEmpty());
  EXPECT_EQ(ReasonOf(SayIn(1, watch).status()), "DEVICE_NOT_IN_GROUP");
  // A claim for all gives packages of those that are not in the group.
  const auto claim = keys_->Claim(kForever, clock_.Now(), ann_, ann_phone_, "all", id_, {});
  EXPECT_THAT(claim->without, ::testing::UnorderedElementsAre(ann_tablet_, watch));
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1, {watch})).ok());
  ASSERT_TRUE(SayIn(2, watch).ok());
  EXPECT_THAT(ReadableBy(watch), ElementsAre(4));
}

TEST_P(GroupStoreTest, ADeviceMayJoinByItself) {
  MakeGroup();
  CommitBundle bundle = MakeCommit(ann_tablet_, 1);
  bundle.commit = MlsExternalCommitBytes("group", 1);
  bundle.external = true;
  ASSERT_TRUE(Commit(bundle).ok());
  ASSERT_TRUE(SayIn(2, ann_tablet_).ok());
  EXPECT_THAT(ReadableBy(ann_tablet_), ElementsAre(3));
  EXPECT_THAT(ReadableBy(bob_phone_), ElementsAre(2, 3));
  // Bob's phone lost its state, and its Welcome is of no use any more.
  bundle = MakeCommit(bob_phone_, 2);
  bundle.commit = MlsExternalCommitBytes("group", 2);
  bundle.external = true;
  ASSERT_TRUE(Commit(bundle).ok());
  EXPECT_THAT(WelcomesOf(bob_phone_), IsEmpty());
}

TEST_P(GroupStoreTest, WhatWasSaidBeforeThereWasAGroupIsStillRead) {
  SayMany(id_, 3);
  ASSERT_TRUE(Ack(ann_tablet_, id_, 3).ok());
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 0, {bob_phone_, ann_tablet_})).ok());
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());
  EXPECT_THAT(ReadableBy(bob_phone_), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(ReadableBy(ann_tablet_), ElementsAre(5));
  const auto page = FetchAs(bob_, bob_phone_, id_);
  EXPECT_EQ(page->envelopes[2]->kind, EnvelopeKind::kOpaque);
  EXPECT_EQ(page->envelopes[3]->kind, EnvelopeKind::kCommit);
  EXPECT_EQ(page->envelopes[4]->kind, EnvelopeKind::kApplication);
  EXPECT_EQ(page->envelopes[4]->epoch, 1);
}

TEST_P(GroupStoreTest, AGroupsConversationTakesItsMessagesAlone) {
  EXPECT_TRUE(Say(id_, "anything, before there is a group").ok());
  MakeGroup();
  EXPECT_EQ(ReasonOf(Say(id_, "in the clear").status()), "ENCRYPTION_REQUIRED");
  EXPECT_EQ(ReasonOf(SayIn(1, ann_phone_, MlsContentType::kCommit).status()),
            "ENCRYPTION_REQUIRED");
  EXPECT_EQ(ReasonOf(SayIn(1, ann_phone_, MlsContentType::kApplication, "another").status()),
            "GROUP_MISMATCH");
  EXPECT_TRUE(SayIn(1, ann_phone_).ok());
  EXPECT_TRUE(SayIn(1, ann_phone_, MlsContentType::kProposal).ok());
  for (int64_t epoch = 1; epoch < 6; ++epoch) {
    ASSERT_TRUE(Commit(MakeCommit(ann_phone_, epoch)).ok());
  }
  // Now in epoch 6.
  EXPECT_EQ(ReasonOf(SayIn(7, ann_phone_).status()), "EPOCH_CONFLICT");
  EXPECT_TRUE(SayIn(6, ann_phone_).ok());
  EXPECT_TRUE(SayIn(2, ann_phone_).ok());
  const auto late = SayIn(1, ann_phone_);
  EXPECT_EQ(late.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(DetailsOf(late.status()).metadata.at("current_epoch"), "6");
  EXPECT_EQ(ReasonOf(SayIn(5, ann_phone_, MlsContentType::kProposal).status()), "EPOCH_CONFLICT");
}

TEST_P(GroupStoreTest, AStreamGetsTheWelcomeUntilItHasTakenIt) {
  MakeGroup();
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());
  const auto read = [&](int64_t welcomed) {
    const StreamPosition position{id_, 0, welcomed};
    auto snapshot =
        store_->ReadStream(kForever, clock_.Now(), bob_phone_, {&position, 1}, false, 10);
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    return snapshot->conversations.at(0);
  };
  ASSERT_NE(read(0).welcome, nullptr);
  EXPECT_EQ(read(0).welcome->sequence, 1);
  EXPECT_EQ(read(0).start_sequence, 2);
  EXPECT_THAT(read(0).envelopes, SizeIs(1));
  EXPECT_EQ(read(1).welcome, nullptr);
  ASSERT_TRUE(groups_->AckWelcome(kForever, bob_, bob_phone_, id_, 1).ok());
  EXPECT_EQ(read(0).welcome, nullptr);
}

TEST_P(GroupStoreTest, TheCommitGoesWithItsMessage) {
  MakeGroup();
  ASSERT_TRUE(Ack(ann_phone_, id_, 1).ok());
  clock_.Advance(absl::Hours(2));
  TrimAll();
  clock_.Advance(absl::Hours(25));
  EXPECT_EQ(TrimAll(), 1);
  EXPECT_THAT(WelcomesOf(bob_phone_), SizeIs(1)) << "the Welcome waits on";
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1)).ok());
}

// A conversation holds 32 devices.
TEST_P(GroupStoreTest, AGroupHasABound) {
  std::vector<DeviceId> devices = {ann_phone_};
  for (int i = 0; i < 32; ++i) devices.push_back(DeviceId::Random(random_));
  Apply(ann_, devices);
  devices.erase(devices.begin());
  const CommitBundle whole = MakeCommit(ann_phone_, 0, devices);
  EXPECT_EQ(Refusal(whole), "GROUP_CHANGE_INVALID");
  devices.pop_back();
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 0, devices)).ok());
  EXPECT_EQ(Refusal(MakeCommit(ann_phone_, 1, {bob_phone_})), "GROUP_CHANGE_INVALID");
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1, {bob_phone_}, {devices[0]})).ok());
}

INSTANTIATE_TEST_SUITE_P(Backends, GroupStoreTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

// Each violation is planted, and must be found.
class GroupInvariantsTest : public GroupTest {
 protected:
  void SetUp() override {
    check_invariants_ = false;
    MakeGroup();
    ASSERT_TRUE(SayIn(1, ann_phone_).ok());
    ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1)).ok());
    ASSERT_THAT(*CheckMessages(*database_, kForever), IsEmpty());
  }
  void ExpectFound(const std::string& text) {
    EXPECT_THAT(*CheckMessages(*database_, kForever),
                ::testing::Contains(::testing::HasSubstr(text)));
  }
};

TEST_P(GroupInvariantsTest, FindsTwoCommitsOfAnEpoch) {
  Plant("DROP INDEX group_commits_once");
  Plant("UPDATE group_commits SET epoch = 0");
  ExpectFound("C3: an epoch has two commits");
}

TEST_P(GroupInvariantsTest, FindsAGroupInAnotherEpoch) {
  Plant("UPDATE conversations SET epoch = 7");
  ExpectFound("C3: a group is not in the epoch");
}

TEST_P(GroupInvariantsTest, FindsACommitThatIsNoMessage) {
  Plant("UPDATE group_commits SET sequence = 9 WHERE sequence = 3");
  ExpectFound("C3: a commit is not among");
}

TEST_P(GroupInvariantsTest, FindsTheWelcomeOfALoser) {
  Plant("UPDATE group_welcomes SET sequence = 2");
  ExpectFound("C3: a Welcome is of a commit that took no epoch");
}

TEST_P(GroupInvariantsTest, FindsAWelcomeForWhoIsNotInTheGroup) {
  Plant("UPDATE conversation_devices SET in_group = 0, end_sequence = 3 WHERE device_id = $1",
        {bob_phone_});
  ExpectFound("C3: a Welcome waits for a device");
}

TEST_P(GroupInvariantsTest, FindsWhatOutlivesAClosedConversation) {
  Plant("DELETE FROM group_commits");
  Plant("DELETE FROM messages");
  Plant("UPDATE conversations SET state = 2, closed_at = 1, first_sequence = head_sequence + 1");
  ExpectFound("C3: something to join the group");
}

TEST_P(GroupInvariantsTest, FindsAReaderFromOutside) {
  Plant("UPDATE conversation_devices SET end_sequence = NULL WHERE device_id = $1", {ann_tablet_});
  ExpectFound("C5: a device reads on that is not in");
}

INSTANTIATE_TEST_SUITE_P(Backends, GroupInvariantsTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
