// A group that cannot be mended is started anew, on every backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "services/messaging/stores/group_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class GroupResetTest : public GroupTest {
 protected:
  CommitBundle MakeReset(const DeviceId& device, int64_t epoch, std::vector<DeviceId> added,
                         const std::string& group = "second", const std::string& old = "group") {
    CommitBundle bundle = MakeCommit(device, 0, std::move(added), {}, group);
    bundle.replaces = ReplacedGroup{old, epoch};
    return bundle;
  }
  std::string Refusal(const CommitBundle& bundle) { return ReasonOf(Commit(bundle).status()); }
  StreamConversation StreamOf(const DeviceId& device, int64_t next = 0) {
    const StreamPosition position{id_, next, 0};
    const auto snapshot =
        store_->ReadStream(kForever, clock_.Now(), device, {&position, 1}, false, 100);
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    EXPECT_THAT(snapshot->conversations, SizeIs(1));
    return snapshot->conversations.at(0);
  }
  static std::vector<int64_t> SequencesOf(const StreamConversation& stream) {
    std::vector<int64_t> sequences;
    for (const EnvelopePtr& envelope : stream.envelopes) sequences.push_back(envelope->sequence);
    return sequences;
  }
  std::vector<DeviceId> InGroup() {
    std::vector<DeviceId> devices;
    for (const GroupDevice& device : GroupNow().devices) {
      if (device.state == GroupDeviceState::kInGroup) devices.push_back(device.device);
    }
    return devices;
  }
};

TEST_P(GroupResetTest, TheOldGroupEndsAndTheNewOneIsJoinedByWelcomes) {
  MakeGroup();                                                         // 1
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1, {ann_tablet_})).ok());  // 2
  const int64_t revision = StreamOf(ann_phone_).revision;
  const CommitBundle reset = MakeReset(ann_phone_, 2, {ann_tablet_, bob_phone_});
  const auto made = Commit(reset);  // 3
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->sequence, 3);
  EXPECT_EQ(made->epoch, 1);
  EXPECT_EQ(made->generation, 1);
  EXPECT_EQ(GroupNow().group_id, "second");
  EXPECT_EQ(GroupNow().epoch, 1);
  EXPECT_EQ(GroupNow().generation, 1);
  EXPECT_EQ(GroupNow().group_info, reset.group_info);
  EXPECT_THAT(InGroup(), UnorderedElementsAre(ann_phone_, ann_tablet_, bob_phone_));
  EXPECT_GT(StreamOf(ann_phone_).revision, revision);
  const auto seen = store_->GetConversation(kForever, bob_, bob_phone_, id_);
  EXPECT_EQ(seen->group_id, "second");
  EXPECT_EQ(seen->generation, 1);
  for (const DeviceId& device : {ann_tablet_, bob_phone_}) {
    ASSERT_THAT(WelcomesOf(device), SizeIs(1)) << "the one to the group that ended is gone";
    EXPECT_EQ(WelcomesOf(device)[0]->sequence, 3);
  }
  // Nothing of the old group is taken any more, whatever its epoch; the new one goes on.
  EXPECT_EQ(Refusal(MakeCommit(bob_phone_, 2)), "GROUP_MISMATCH");
  EXPECT_EQ(Refusal(MakeCommit(bob_phone_, 1)), "GROUP_MISMATCH");
  EXPECT_EQ(ReasonOf(SayIn(2, bob_phone_).status()), "GROUP_MISMATCH");
  ASSERT_TRUE(SayIn(1, bob_phone_, MlsContentType::kApplication, "second").ok());  // 4
  ASSERT_TRUE(Commit(MakeCommit(bob_phone_, 1, {}, {}, "second")).ok());           // 5
  EXPECT_EQ(GroupNow().epoch, 2);
}

TEST_P(GroupResetTest, OfSeveralOneWins) {
  MakeGroup();
  const CommitBundle first = MakeReset(ann_phone_, 1, {bob_phone_});
  const CommitBundle second = MakeReset(bob_phone_, 1, {ann_phone_}, "third");
  ASSERT_TRUE(Commit(first).ok());
  const auto lost = Commit(second);
  EXPECT_EQ(lost.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonOf(lost.status()), "EPOCH_CONFLICT");
  const ErrorDetails details = DetailsOf(lost.status());
  EXPECT_EQ(details.metadata.at("current_epoch"), "1");
  EXPECT_EQ(details.metadata.at("head_sequence"), "2");
  EXPECT_EQ(details.metadata.at("group_generation"), "1");
  EXPECT_THAT(WelcomesOf(ann_phone_), IsEmpty());
  EXPECT_EQ(GroupNow().group_id, "second");
  // Whoever won is repeated, and nothing happens twice.
  const auto again = Commit(first);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->sequence, 2);
  EXPECT_EQ(again->generation, 1);
  EXPECT_THAT(again->wake_ups, IsEmpty());
  CommitBundle other = first;
  other.replaces->epoch = 7;
  EXPECT_EQ(Refusal(other), "REQUEST_ID_REUSED");
  // A commit that mended it meanwhile wins as well.
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1, {}, {}, "second")).ok());
  EXPECT_EQ(Refusal(MakeReset(bob_phone_, 1, {ann_phone_}, "third", "second")), "EPOCH_CONFLICT");
}

TEST_P(GroupResetTest, OfMembersThatRaceOneWins) {
  MakeGroup();
  std::vector<CommitBundle> resets;
  for (int i = 0; i < 8; ++i) {
    const bool ann = i % 2 == 0;
    resets.push_back(MakeReset(ann ? ann_phone_ : bob_phone_, 1, {ann ? bob_phone_ : ann_phone_},
                               "group of " + std::to_string(i)));
  }
  std::atomic<int> won = 0;
  std::atomic<int> lost = 0;
  std::vector<std::thread> threads;
  for (const CommitBundle& reset : resets) {
    threads.emplace_back([&] {
      const auto committed = Commit(reset);
      if (committed.ok()) ++won;
      if (HasReason(committed.status(), reason::kEpochConflict)) ++lost;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(lost, 7);
  EXPECT_EQ(GroupNow().generation, 1);
  EXPECT_EQ(CountIn("ended_groups"), 1);
}

TEST_P(GroupResetTest, WhatIsLeftOfTheOldGroupComesBeforeTheWelcome) {
  MakeGroup();  // 1
  ASSERT_TRUE(groups_->AckWelcome(kForever, bob_, bob_phone_, id_, 1).ok());
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());  // 2
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());  // 3
  ASSERT_TRUE(Ack(bob_phone_, id_, 2).ok());
  ASSERT_TRUE(Commit(MakeReset(ann_phone_, 1, {bob_phone_})).ok());                // 4
  ASSERT_TRUE(SayIn(1, ann_phone_, MlsContentType::kApplication, "second").ok());  // 5
  const StreamConversation old = StreamOf(bob_phone_);
  EXPECT_EQ(old.welcome, nullptr);
  EXPECT_THAT(SequencesOf(old), ElementsAre(3));
  EXPECT_TRUE(old.has_more);
  EXPECT_FALSE(old.gap.has_value());
  const StreamConversation after = StreamOf(bob_phone_, 4);
  ASSERT_NE(after.welcome, nullptr);
  EXPECT_EQ(after.welcome->sequence, 4);
  EXPECT_THAT(SequencesOf(after), ElementsAre(4, 5));
  EXPECT_FALSE(after.has_more);
  EXPECT_THAT(ReadableBy(bob_phone_), ElementsAre(2, 3, 4, 5));
}

TEST_P(GroupResetTest, WhoIsNotAddedReadsUpToTheOldGroupsEndAndWaitsOutside) {
  MakeGroup();                                                         // 1
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1, {ann_tablet_})).ok());  // 2
  ASSERT_TRUE(SayIn(2, ann_phone_).ok());                              // 3
  ASSERT_TRUE(Commit(MakeReset(ann_phone_, 2, {bob_phone_})).ok());    // 4
  EXPECT_THAT(ReadableBy(ann_tablet_), ElementsAre(3));
  EXPECT_THAT(WelcomesOf(ann_tablet_), IsEmpty());
  EXPECT_EQ(ReasonOf(SayIn(1, ann_tablet_, MlsContentType::kApplication, "second").status()),
            "DEVICE_NOT_IN_GROUP");
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1, {ann_tablet_}, {}, "second")).ok());  // 5
  EXPECT_EQ(FetchAs(ann_, ann_tablet_, id_)->gap, (Gap{id_, 3, 5})) << "it never fetched 3";
}

TEST_P(GroupResetTest, ADeviceOutsideMayDoItWhereNobodyElseCan) {
  MakeGroup();
  const DeviceId second = DeviceId::Random(random_);
  others_[second] = bob_;
  Apply(bob_, {second});  // his phone is gone
  const auto made = Commit(MakeReset(second, 1, {ann_phone_, ann_tablet_}));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_THAT(InGroup(), UnorderedElementsAre(second, ann_phone_, ann_tablet_));
  ASSERT_TRUE(SayIn(1, second, MlsContentType::kApplication, "second").ok());
  EXPECT_THAT(ReadableBy(second), ElementsAre(3));
  EXPECT_EQ(Refusal(MakeReset(bob_phone_, 1, {}, "third", "second")), "DEVICE_REVOKED");
  Leave(ann_phone_).IgnoreError();
  EXPECT_EQ(Refusal(MakeReset(second, 1, {}, "third", "second")), "CONVERSATION_CLOSED");
}

TEST_P(GroupResetTest, ThereMustBeAGroupAndItsIdNeverComesBack) {
  EXPECT_EQ(Refusal(MakeReset(ann_phone_, 1, {bob_phone_})), "EPOCH_CONFLICT");
  MakeGroup();
  EXPECT_EQ(Refusal(MakeReset(ann_phone_, 1, {bob_phone_}, "second", "another")), "EPOCH_CONFLICT");
  ASSERT_TRUE(Commit(MakeReset(ann_phone_, 1, {bob_phone_})).ok());
  EXPECT_EQ(Refusal(MakeReset(ann_phone_, 1, {bob_phone_}, "group", "second")),
            "GROUP_CHANGE_INVALID");
  EXPECT_EQ(GroupNow().group_id, "second");
  const DeviceId stranger = DeviceId::Random(random_);
  others_[stranger] = MemberId::Random(random_);
  Apply(others_[stranger], {stranger});
  EXPECT_EQ(Refusal(MakeReset(stranger, 1, {}, "third", "second")), "NOT_FOUND");
}

TEST_P(GroupResetTest, AmongThreeNobodyDoesItAlone) {
  AddCarol();
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 0, {bob_phone_, carol_phone_})).ok());
  EXPECT_EQ(Refusal(MakeReset(ann_phone_, 1, {bob_phone_, carol_phone_})),
            "GROUP_RESET_NOT_AGREED");
  EXPECT_EQ(GroupNow().group_id, "group");
  EXPECT_THAT(InGroup(), SizeIs(3));
  // One has left: two may again.
  ASSERT_TRUE(Leave(carol_phone_).ok());
  EXPECT_TRUE(Commit(MakeReset(ann_phone_, 1, {bob_phone_})).ok());
}

TEST_P(GroupResetTest, AnEpochHasOneCommitInEachGroup) {
  MakeGroup();
  ASSERT_TRUE(Commit(MakeReset(ann_phone_, 1, {bob_phone_})).ok());
  ASSERT_TRUE(Commit(MakeReset(bob_phone_, 1, {ann_phone_}, "third", "second")).ok());
  EXPECT_EQ(GroupNow().generation, 2);
  EXPECT_EQ(CountIn("group_commits"), 3);
  EXPECT_EQ(CountIn("ended_groups"), 2);
  CloseIt();
  clock_.Advance(absl::Hours(31 * 24));
  TrimAll();
  EXPECT_EQ(CountIn("ended_groups"), 0);
}

TEST_P(GroupResetTest, TheInvariantsFindAnIdThatCameBack) {
  check_invariants_ = false;
  MakeGroup();
  ASSERT_TRUE(Commit(MakeReset(ann_phone_, 1, {bob_phone_})).ok());
  ASSERT_THAT(*CheckMessages(*database_, kForever), IsEmpty());
  Plant("UPDATE ended_groups SET group_id = $1", {storage::Blob{"second"}});
  EXPECT_THAT(*CheckMessages(*database_, kForever), Contains(HasSubstr("one whose id came back")));
}

INSTANTIATE_TEST_SUITE_P(Backends, GroupResetTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
