// What a block between two does to a conversation of more, on every backend (M5).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "services/messaging/domain/stream_session.h"
#include "services/messaging/stores/invitation_test_util.h"
#include "services/messaging/stores/sql_attachment_store.h"

namespace handrail::messaging {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class GroupBlocksTest : public InvitationTest {
 protected:
  // Ann, Bob and Carol are in a group: sequence 1, epoch 1.
  void SetUp() override {
    others_[carol_phone_] = carol_;
    Apply(carol_, {carol_phone_});
    LetIn(bob_phone_);
    LetIn(carol_phone_);
    const auto made = Commit(MakeCommit(ann_phone_, 0, {bob_phone_, carol_phone_}));
    ASSERT_TRUE(made.ok()) << made.status();
  }
  // The sequences that this device is given with what they hold, and those without.
  struct Told {
    std::vector<int64_t> spoken;
    std::vector<int64_t> silent;
  };
  static void Take(const Envelope& envelope, Told& told) {
    (envelope.payload.empty() ? told.silent : told.spoken).push_back(envelope.sequence);
  }
  Told ToldTo(const DeviceId& device) {
    Told told;
    const auto page = FetchAs(MemberOf(device), device, id_);
    EXPECT_TRUE(page.ok()) << page.status();
    for (const EnvelopePtr& envelope : page->envelopes) Take(*envelope, told);
    return told;
  }
  // Reads for a stream until it has what there is.
  void Drain(StreamSession& session, const DeviceId& device) {
    for (auto plan = session.NextRead(); plan.wanted; plan = session.NextRead()) {
      session.OnRead(plan, store_->ReadStream(kForever, clock_.Now(), device, plan.positions,
                                              plan.everything, plan.limit));
    }
  }
};

TEST_P(GroupBlocksTest, WhoIsBlockedIsOutAsIfTheyHadLeftAndTheOthersGoOn) {
  BlockOf(carol_phone_, bob_phone_);
  EXPECT_EQ(SeenBy(carol_phone_).state, ConversationState::kOpen);
  EXPECT_THAT(SeenBy(ann_phone_).members_left, ElementsAre(bob_));
  const Conversation his = SeenBy(bob_phone_);
  EXPECT_EQ(his.state, ConversationState::kClosed);
  EXPECT_THAT(his.members, UnorderedElementsAre(ann_, bob_, carol_));
  EXPECT_THAT(his.members_left, IsEmpty()) << "it looks as if it had ended";
  EXPECT_EQ(ReasonOf(SayIn(1, bob_phone_).status()), "CONVERSATION_CLOSED");
  ASSERT_TRUE(SayIn(1, carol_phone_).ok());  // 2
  EXPECT_THAT(ToldTo(bob_phone_).spoken, IsEmpty());
  EXPECT_THAT(ToldTo(ann_phone_).spoken, ElementsAre(1, 2));
  EXPECT_EQ(StateOf(bob_phone_), GroupDeviceState::kRevoked) << "the next commit removes him";
  // Said again it changes nothing, and neither does the same the other way round.
  BlockOf(carol_phone_, bob_phone_);
  BlockOf(bob_phone_, carol_phone_);
  EXPECT_THAT(SeenBy(ann_phone_).members_left, ElementsAre(bob_));
  EXPECT_EQ(ReasonOf(Accept(bob_phone_, Invite(ann_phone_)).status()), "NOT_FOUND");
}

TEST_P(GroupBlocksTest, WhatWasSaidBetweenTheTwoAndIsUnreadIsDeliveredNoMore) {
  ASSERT_TRUE(SayIn(1, bob_phone_).ok());                             // 2
  ASSERT_TRUE(SayIn(1, carol_phone_).ok());                           // 3
  ASSERT_TRUE(SayIn(1, bob_phone_, MlsContentType::kProposal).ok());  // 4
  ASSERT_TRUE(Commit(MakeCommit(bob_phone_, 1)).ok());                // 5
  ASSERT_TRUE(SayIn(2, ann_phone_).ok());                             // 6
  EXPECT_THAT(ToldTo(carol_phone_).spoken, ElementsAre(2, 3, 4, 5, 6));
  BlockOf(carol_phone_, bob_phone_);
  EXPECT_THAT(ToldTo(carol_phone_).spoken, ElementsAre(3, 4, 5, 6))
      << "the group's own steps say nothing, and without them she could not follow";
  EXPECT_THAT(ToldTo(carol_phone_).silent, ElementsAre(2));
  EXPECT_THAT(ToldTo(ann_phone_).spoken, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(ToldTo(bob_phone_).spoken, IsEmpty());
  EXPECT_THAT(ToldTo(bob_phone_).silent, IsEmpty());
}

TEST_P(GroupBlocksTest, OfWhoHadLeftBeforeNothingIsDeliveredEither) {
  ASSERT_TRUE(SayIn(1, bob_phone_).ok());  // 2
  ASSERT_TRUE(Leave(bob_phone_).ok());
  EXPECT_THAT(ToldTo(carol_phone_).spoken, ElementsAre(2));
  BlockOf(bob_phone_, carol_phone_);
  EXPECT_EQ(SeenBy(carol_phone_).state, ConversationState::kOpen) << "he is out already";
  EXPECT_THAT(ToldTo(carol_phone_).silent, ElementsAre(2));
}

TEST_P(GroupBlocksTest, AStreamTakesBackWhatWaitsInIt) {
  ASSERT_TRUE(SayIn(1, bob_phone_).ok());  // 2
  StreamSession session(
      carol_phone_, {}, {}, [] {}, [] {});
  session.Start(1);
  Drain(session, carol_phone_);
  BlockOf(carol_phone_, bob_phone_);
  session.OnWakeUp(id_);
  Drain(session, carol_phone_);
  // One that was stored before the block, and is heard of after it.
  auto late = std::make_shared<Envelope>();
  late->conversation = id_;
  late->sequence = 3;
  late->sender = bob_;
  late->payload = "secret";
  late->kind = EnvelopeKind::kApplication;
  session.OnCommitted({id_, {late}, {carol_phone_}});
  Told told;
  for (const Event& event : session.Take(100, 1 << 20)) {
    if (const auto* envelope = std::get_if<EnvelopePtr>(&event)) Take(**envelope, told);
  }
  EXPECT_THAT(told.spoken, IsEmpty());
  EXPECT_THAT(told.silent, ElementsAre(2, 3));
}

TEST_P(GroupBlocksTest, AttachmentsOfTheOtherAreGoneToTheTwoAndThereForTheRest) {
  SqlAttachmentStore attachments(*database_, AttachmentLimits());
  const std::string bytes = "ciphertext";
  const NewAttachment made{AttachmentId::Random(random_), id_, static_cast<int64_t>(bytes.size()),
                           crypto::Sha256(bytes)};
  const AttachmentCaller bob{bob_, bob_phone_};
  const absl::Time now = clock_.Now();
  ASSERT_TRUE(attachments.Begin(kForever, now, bob, made).ok());
  ASSERT_TRUE(attachments.PutChunk(kForever, now, bob, made.id, 0, bytes).ok());
  ASSERT_TRUE(attachments.Finish(kForever, now, bob, made.id).ok());
  const auto fetch = [&](const MemberId& member, const DeviceId& device) {
    return attachments.FetchChunk(kForever, now, {member, device}, made.id, 0);
  };
  ASSERT_TRUE(fetch(carol_, carol_phone_).ok());
  BlockOf(carol_phone_, bob_phone_);
  EXPECT_EQ(ReasonOf(fetch(carol_, carol_phone_).status()), "NOT_FOUND");
  EXPECT_EQ(ReasonOf(attachments.Get(kForever, now, {carol_, carol_phone_}, made.id).status()),
            "NOT_FOUND");
  EXPECT_TRUE(fetch(ann_, ann_phone_).ok());
}

TEST_P(GroupBlocksTest, ThePairingOfTheTwoEndsAsItAlwaysDid) {
  const ConversationId group = id_;
  id_ = Open(pairing_);
  BlockOf(ann_phone_, bob_phone_);
  EXPECT_EQ(SeenBy(ann_phone_).state, ConversationState::kClosed);
  id_ = group;
  EXPECT_EQ(SeenBy(ann_phone_).state, ConversationState::kOpen);
  EXPECT_EQ(SeenBy(bob_phone_).state, ConversationState::kClosed);
}

TEST_P(GroupBlocksTest, WhoAcceptsAtTheMomentOfABlockIsNotThereWithTheOther) {
  constexpr int kRaces = 20;
  for (int i = 0; i < kRaces; ++i) {
    const DeviceId dan = MakePerson()[0];
    const InvitationId id = Invite(ann_phone_);
    const bool by_dan = i % 2 == 0;
    Block block{BlockId(), MemberOf(dan), carol_};
    if (!by_dan) std::swap(block.blocker, block.blocked);
    const Call call = FreshCall(dan);
    const ShownInvitation shown = Show(id);
    std::thread blocking([&] {
      const auto wake_ups = store_->ApplyBlock(kForever, clock_.Now(), block);
      EXPECT_TRUE(wake_ups.ok()) << wake_ups.status();
    });
    const auto joined = invitations_->Accept(call, clock_.Now(), shown);
    blocking.join();
    EXPECT_TRUE(joined.ok() || ReasonOf(joined.status()) == "NOT_FOUND") << joined.status();
    EXPECT_THAT(Violations(), IsEmpty());
    // As it was, for the next race.
    ASSERT_TRUE(joined.ok() ? Leave(dan).ok() : Revoke(ann_phone_, id).ok());
    if (SeenBy(carol_phone_).state == ConversationState::kClosed) LetIn(carol_phone_);
  }
}

TEST_P(GroupBlocksTest, TheInvariantsFindTwoWhoAreBlockedAndTakePart) {
  check_invariants_ = false;
  BlockOf(carol_phone_, bob_phone_);
  ASSERT_THAT(Violations(), IsEmpty());
  Plant("UPDATE conversation_members SET left_at = NULL");
  EXPECT_THAT(Violations(), Contains(HasSubstr("M5: a conversation of two who are blocked")));
}

INSTANTIATE_TEST_SUITE_P(Backends, GroupBlocksTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
