// What leaving a conversation means for its member, for the others and for the group, on every
// backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/messaging/domain/stream_session.h"
#include "services/messaging/stores/group_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class LeavingTest : public GroupTest {
 protected:
  // Ann's phone, Bob's and Carol's are in a group: sequence 1, epoch 1.
  void MakeGroupOfThree() {
    AddCarol();
    const auto made = Commit(MakeCommit(ann_phone_, 0, {bob_phone_, carol_phone_}));
    ASSERT_TRUE(made.ok()) << made.status();
  }
  std::vector<DeviceId> LeaveAndWake(const DeviceId& device) {
    const auto wake_ups = Leave(device);
    EXPECT_TRUE(wake_ups.ok()) << wake_ups.status();
    std::vector<DeviceId> devices;
    if (!wake_ups.ok()) return devices;
    for (const WakeUp& wake_up : *wake_ups) devices.push_back(wake_up.device);
    return devices;
  }
  Conversation SeenBy(const DeviceId& device) {
    const auto conversation = store_->GetConversation(kForever, MemberOf(device), device, id_);
    EXPECT_TRUE(conversation.ok()) << conversation.status();
    return conversation.ok() ? *conversation : Conversation();
  }
  StreamConversation StreamOf(const DeviceId& device) {
    const auto snapshot = store_->ReadStream(kForever, clock_.Now(), device, {}, true, 100);
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    EXPECT_THAT(snapshot->conversations, SizeIs(1));
    return snapshot->conversations.at(0);
  }
  StreamHeads::Head HeadOf(const DeviceId& device) {
    const auto heads = store_->ReadHeads(kForever, {&device, 1});
    EXPECT_TRUE(heads.ok()) << heads.status();
    return heads->at(0).heads.at(0);
  }
  std::string SendRefusal(int64_t epoch, const DeviceId& device) {
    return ReasonOf(SayIn(epoch, device).status());
  }
  GroupDeviceState StateOf(const DeviceId& wanted) {
    for (const GroupDevice& device : GroupNow().devices) {
      if (device.device == wanted) return device.state;
    }
    return GroupDeviceState{};
  }
};

TEST_P(LeavingTest, WhoHasLeftIsGivenNothingMoreAndSendsNothing) {
  MakeGroupOfThree();                      // 1
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());  // 2
  EXPECT_THAT(ReadableBy(carol_phone_), ElementsAre(2));
  EXPECT_THAT(LeaveAndWake(carol_phone_),
              UnorderedElementsAre(ann_phone_, bob_phone_, carol_phone_));
  EXPECT_THAT(ReadableBy(carol_phone_), IsEmpty()) << "not even what she had not read";
  EXPECT_THAT(WelcomesOf(carol_phone_), IsEmpty());
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());  // 3
  EXPECT_THAT(ReadableBy(carol_phone_), IsEmpty());
  const StreamConversation stream = StreamOf(carol_phone_);
  EXPECT_FALSE(stream.deliverable);
  EXPECT_THAT(stream.envelopes, IsEmpty());
  EXPECT_FALSE(stream.gap.has_value());
  EXPECT_EQ(stream.welcome, nullptr);
  EXPECT_EQ(SendRefusal(1, carol_phone_), "CONVERSATION_CLOSED");
  EXPECT_EQ(ReasonOf(Commit(MakeCommit(carol_phone_, 1)).status()), "CONVERSATION_CLOSED");
  CommitBundle joining = MakeCommit(carol_phone_, 1);
  joining.commit = MlsExternalCommitBytes("group", 1);
  joining.external = true;
  EXPECT_EQ(ReasonOf(Commit(joining).status()), "CONVERSATION_CLOSED");
  EXPECT_EQ(
      ReasonOf(keys_->Claim(kForever, clock_.Now(), carol_, carol_phone_, "c", id_, {}).status()),
      "NOT_FOUND");
}

TEST_P(LeavingTest, ToWhoHasLeftTheConversationIsClosedAndStandsStill) {
  MakeGroupOfThree();
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());  // 2
  LeaveAndWake(carol_phone_);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(SayIn(1, ann_phone_).ok());
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(Leave(bob_phone_).ok());
  const Conversation seen = SeenBy(carol_phone_);
  EXPECT_EQ(seen.state, ConversationState::kClosed);
  EXPECT_EQ(seen.head_sequence, 2);
  EXPECT_EQ(seen.group_id, "");
  EXPECT_EQ(seen.epoch, 0);
  EXPECT_THAT(seen.members, UnorderedElementsAre(ann_, bob_, carol_));
  EXPECT_THAT(seen.members_left, ElementsAre(carol_)) << "who went later is none of her business";
  EXPECT_EQ(HeadOf(carol_phone_).state, ConversationState::kClosed);
  EXPECT_FALSE(HeadOf(carol_phone_).deliverable);
  const auto list = store_->ListConversations(kForever, carol_, carol_phone_, {}, 10);
  ASSERT_THAT(*list, SizeIs(1));
  EXPECT_EQ(list->at(0).state, ConversationState::kClosed);
  EXPECT_EQ(list->at(0).head_sequence, 2);
  EXPECT_EQ(list->at(0).group_id, "");
  const auto group = groups_->GetGroup(kForever, carol_, carol_phone_, id_);
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ(group->state, ConversationState::kClosed);
  EXPECT_THAT(group->devices, IsEmpty());
  EXPECT_EQ(group->group_info, "");
  // Acknowledging what she had is harmless, beyond it is not.
  const Cursor at_end{id_, 2};
  const Cursor beyond{id_, 3};
  EXPECT_TRUE(store_->CheckCursors(kForever, carol_, carol_phone_, {&at_end, 1}).ok());
  EXPECT_FALSE(store_->CheckCursors(kForever, carol_, carol_phone_, {&beyond, 1}).ok());
}

TEST_P(LeavingTest, TheOthersLearnOfItAndRemoveHerDevices) {
  MakeGroupOfThree();
  const int64_t before = StreamOf(ann_phone_).revision;
  EXPECT_EQ(HeadOf(ann_phone_).revision, before);
  LeaveAndWake(carol_phone_);
  EXPECT_GT(StreamOf(ann_phone_).revision, before);
  EXPECT_GT(HeadOf(ann_phone_).revision, before);
  const Conversation seen = SeenBy(ann_phone_);
  EXPECT_EQ(seen.state, ConversationState::kOpen);
  EXPECT_THAT(seen.members_left, ElementsAre(carol_));
  EXPECT_EQ(StateOf(carol_phone_), GroupDeviceState::kRevoked);
  // She cannot be replaced, and not be let in again.
  EXPECT_EQ(
      ReasonOf(keys_->Claim(kForever, clock_.Now(), ann_, ann_phone_, "c", id_, {carol_phone_})
                   .status()),
      "NOT_FOUND");
  CommitBundle back = MakeCommit(ann_phone_, 1);
  back.added = back.removed = {carol_phone_};
  EXPECT_EQ(ReasonOf(Commit(back).status()), "GROUP_CHANGE_INVALID");
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1, {}, {carol_phone_})).ok());  // 2
  EXPECT_EQ(StateOf(carol_phone_), GroupDeviceState{}) << "not outside: not there";
  back = MakeCommit(ann_phone_, 2);
  back.added = {carol_phone_};
  EXPECT_EQ(ReasonOf(Commit(back).status()), "GROUP_CHANGE_INVALID");
  ASSERT_TRUE(SayIn(2, bob_phone_).ok());  // 3
  EXPECT_THAT(ReadableBy(ann_phone_), ElementsAre(1, 2, 3));
  EXPECT_THAT(ReadableBy(carol_phone_), IsEmpty());
}

TEST_P(LeavingTest, AStreamIsToldOnce) {
  MakeGroupOfThree();
  StreamSession session(
      ann_phone_, {}, {}, [] {}, [] {});
  session.Start(1);
  const auto read = [&] {
    for (auto plan = session.NextRead(); plan.wanted; plan = session.NextRead()) {
      session.OnRead(plan, store_->ReadStream(kForever, clock_.Now(), ann_phone_, plan.positions,
                                              plan.everything, plan.limit));
    }
    std::vector<Conversation> changes;
    for (const Event& event : session.Take(100, 1 << 20)) {
      if (const auto* changed = std::get_if<ConversationChanged>(&event)) {
        changes.push_back(changed->conversation);
      }
    }
    return changes;
  };
  EXPECT_THAT(read(), IsEmpty());
  ASSERT_TRUE(Leave(carol_phone_).ok());
  // No wake-up came: the sweep notices.
  const auto heads = store_->ReadHeads(kForever, {&ann_phone_, 1});
  EXPECT_TRUE(session.OnHeads(heads->at(0)));
  const auto changes = read();
  ASSERT_THAT(changes, SizeIs(1));
  EXPECT_EQ(changes[0].state, ConversationState::kOpen);
  EXPECT_THAT(changes[0].members_left, ElementsAre(carol_));
  EXPECT_FALSE(session.OnHeads(heads->at(0)));
  session.OnWakeUp(id_);
  EXPECT_THAT(read(), IsEmpty());
}

TEST_P(LeavingTest, OfTwoTheLeavingOfOneClosesItForBoth) {
  MakeGroup();                             // 1
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());  // 2
  LeaveAndWake(ann_phone_);
  EXPECT_EQ(SeenBy(bob_phone_).state, ConversationState::kClosed);
  EXPECT_THAT(SeenBy(bob_phone_).members_left, ElementsAre(ann_));
  EXPECT_THAT(ReadableBy(bob_phone_), ElementsAre(2)) << "what was said to him stays his";
  EXPECT_EQ(SendRefusal(1, bob_phone_), "CONVERSATION_CLOSED");
  EXPECT_EQ(SendRefusal(1, ann_phone_), "CONVERSATION_CLOSED");
  EXPECT_THAT(ReadableBy(ann_phone_), IsEmpty());
  // The pairing is matching's, and its end finds nothing left to do; it opens nothing again.
  EXPECT_EQ(Open(pairing_), id_);
  EXPECT_EQ(SeenBy(bob_phone_).state, ConversationState::kClosed);
  CloseIt();
  BlockThem();
  EXPECT_THAT(ReadableBy(bob_phone_), IsEmpty());
}

TEST_P(LeavingTest, LeavingAClosedConversationTakesWhatWasUnread) {
  MakeGroup();
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());
  CloseIt();
  EXPECT_THAT(ReadableBy(bob_phone_), ElementsAre(2));
  LeaveAndWake(bob_phone_);
  EXPECT_THAT(ReadableBy(bob_phone_), IsEmpty());
  EXPECT_THAT(ReadableBy(ann_phone_), ElementsAre(1, 2));
}

TEST_P(LeavingTest, ItIsOneWriteHoweverOftenItIsSaid) {
  AddCarol();
  const auto leave = [&](const std::string& request_id, const ConversationId& conversation) {
    Call call = CallOf(carol_phone_, request_id);
    call.request_hash = conversation.ToString();
    return store_->LeaveConversation(call, clock_.Now(), conversation);
  };
  ASSERT_TRUE(leave("r1", id_).ok());
  const int64_t revision = StreamOf(ann_phone_).revision;
  clock_.Advance(absl::Seconds(5));
  EXPECT_THAT(*leave("r1", id_), IsEmpty());
  EXPECT_THAT(*leave("r2", id_), IsEmpty());
  EXPECT_EQ(StreamOf(ann_phone_).revision, revision);
  EXPECT_EQ(ReasonOf(leave("r1", ConversationId::Random(random_)).status()), "REQUEST_ID_REUSED");
  EXPECT_EQ(ReasonOf(leave("r3", ConversationId::Random(random_)).status()), "NOT_FOUND");
  // Answers are kept for a week.
  EXPECT_EQ(CountIn("request_log"), 2);
  clock_.Advance(absl::Hours(7 * 24 + 1));
  TrimAll();
  EXPECT_EQ(CountIn("request_log"), 0);
}

TEST_P(LeavingTest, OnlyALiveDeviceOfAMemberLeaves) {
  others_[carol_phone_] = carol_;
  EXPECT_EQ(ReasonOf(Leave(carol_phone_).status()), kDeviceUnknown);
  Apply(carol_, {carol_phone_});
  EXPECT_EQ(ReasonOf(Leave(carol_phone_).status()), "NOT_FOUND");
  Apply(ann_, {ann_phone_});
  EXPECT_EQ(ReasonOf(Leave(ann_tablet_).status()), "DEVICE_REVOKED");
  EXPECT_EQ(SeenBy(bob_phone_).state, ConversationState::kOpen);
  // Who may not send may still go.
  Apply(ann_, {ann_phone_}, Standing::kSuspended);
  EXPECT_TRUE(Leave(ann_phone_).ok());
}

TEST_P(LeavingTest, ANewDeviceIsNotLetIntoWhatItsMemberHasLeft) {
  AddCarol();
  LeaveAndWake(carol_phone_);
  const DeviceId tablet = DeviceId::Random(random_);
  others_[tablet] = carol_;
  Apply(carol_, {carol_phone_, tablet});
  ASSERT_TRUE(Say(id_, "without her").ok());
  EXPECT_EQ(ReasonOf(FetchAs(carol_, tablet, id_).status()), "NOT_FOUND");
  EXPECT_THAT(ReadableBy(carol_phone_), IsEmpty());
  // Removed and taken back, a device comes back to nothing either.
  Apply(carol_, {tablet});
  Apply(carol_, {carol_phone_, tablet});
  ASSERT_TRUE(Say(id_, "still without her").ok());
  EXPECT_THAT(ReadableBy(carol_phone_), IsEmpty());
  const auto list = store_->ListConversations(kForever, carol_, tablet, {}, 10);
  ASSERT_THAT(*list, SizeIs(1));
  EXPECT_EQ(list->at(0).state, ConversationState::kClosed);
  EXPECT_EQ(list->at(0).head_sequence, 0);
  // That she is erased closes nothing for the others.
  Apply(carol_, {}, Standing::kErased);
  EXPECT_EQ(SeenBy(bob_phone_).state, ConversationState::kOpen);
}

TEST_P(LeavingTest, WhoHasLeftHoldsNothingBack) {
  MakeGroupOfThree();
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());  // 2
  LeaveAndWake(carol_phone_);
  ASSERT_TRUE(Ack(ann_phone_, id_, 2).ok());
  ASSERT_TRUE(Ack(bob_phone_, id_, 2).ok());
  clock_.Advance(absl::Hours(25));
  TrimAll();  // takes note
  clock_.Advance(absl::Hours(25));
  EXPECT_EQ(TrimAll(), 2);
}

TEST_P(LeavingTest, TheInvariantsFindWhoReadsOnAndAConversationOfOne) {
  check_invariants_ = false;
  AddCarol();
  LeaveAndWake(carol_phone_);
  ASSERT_THAT(*CheckMessages(*database_, kForever), IsEmpty());
  Plant("UPDATE conversation_devices SET departed = 0 WHERE device_id = $1", {carol_phone_});
  EXPECT_THAT(*CheckMessages(*database_, kForever), Contains(HasSubstr("has left reads on")));
  Plant("UPDATE conversation_members SET left_at = 1");
  EXPECT_THAT(*CheckMessages(*database_, kForever), Contains(HasSubstr("too few take part")));
}

INSTANTIATE_TEST_SUITE_P(Backends, LeavingTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
