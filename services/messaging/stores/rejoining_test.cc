// Who comes into a conversation that has a group, for the first time or again, on every backend:
// they read from the commit on that adds their device, never anything before (C5).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/messaging/stores/invitation_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RejoiningTest : public InvitationTest {
 protected:
  // Ann's phone and Bob's are in a group: sequence 1, epoch 1. Carol takes part, outside it.
  void SetUp() override {
    LetIn(bob_phone_);
    MakeGroup();
    others_[carol_phone_] = carol_;
    Apply(carol_, {carol_phone_});
    LetIn(carol_phone_);
  }
  void Add(int64_t epoch, const DeviceId& device) {
    const auto added = Commit(MakeCommit(ann_phone_, epoch, {device}));
    ASSERT_TRUE(added.ok()) << added.status();
  }
  std::optional<Gap> GapOf(const DeviceId& device, int64_t after) {
    const auto page = FetchAs(MemberOf(device), device, id_, after);
    EXPECT_TRUE(page.ok()) << page.status();
    return page->gap;
  }
};

TEST_P(RejoiningTest, ANewMemberReadsFromTheCommitThatAddsThem) {
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());  // 2
  EXPECT_EQ(StateOf(carol_phone_), GroupDeviceState::kOutside);
  EXPECT_THAT(ReadableBy(carol_phone_), IsEmpty());
  EXPECT_EQ(ReasonOf(SayIn(1, carol_phone_).status()), "DEVICE_NOT_IN_GROUP");
  Add(1, carol_phone_);                      // 3
  ASSERT_TRUE(SayIn(2, ann_phone_).ok());    // 4
  ASSERT_TRUE(SayIn(2, carol_phone_).ok());  // 5
  EXPECT_THAT(ReadableBy(carol_phone_), ElementsAre(4, 5));
  EXPECT_FALSE(GapOf(carol_phone_, 0).has_value()) << "what was before was never hers";
  EXPECT_THAT(WelcomesOf(carol_phone_), SizeIs(1));
  EXPECT_THAT(ReadableBy(bob_phone_), ElementsAre(2, 3, 4, 5));
}

TEST_P(RejoiningTest, WhoComesBackReadsNothingOfBeforeAndFindsAGap) {
  Add(1, carol_phone_);                    // 2
  ASSERT_TRUE(SayIn(2, ann_phone_).ok());  // 3, unread
  ASSERT_TRUE(Leave(carol_phone_).ok());
  ASSERT_TRUE(SayIn(2, ann_phone_).ok());  // 4
  LetIn(carol_phone_);
  EXPECT_THAT(ReadableBy(carol_phone_), IsEmpty()) << "not even what she had not read";
  EXPECT_EQ(SeenBy(carol_phone_).state, ConversationState::kOpen);
  EXPECT_THAT(SeenBy(ann_phone_).members_left, IsEmpty());
  // Her old leaf goes first, as that of a device which its member has taken back.
  EXPECT_EQ(StateOf(carol_phone_), GroupDeviceState::kRevoked);
  EXPECT_EQ(ReasonOf(SayIn(2, carol_phone_).status()), "DEVICE_NOT_IN_GROUP");
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 2, {carol_phone_}, {carol_phone_})).ok());  // 5
  ASSERT_TRUE(SayIn(3, ann_phone_).ok());                                               // 6
  EXPECT_THAT(ReadableBy(carol_phone_), ElementsAre(6));
  EXPECT_EQ(GapOf(carol_phone_, 2), (Gap{id_, 3, 5}));
  EXPECT_TRUE(SayIn(3, carol_phone_).ok());
}

TEST_P(RejoiningTest, WhoHadReadAllFindsNoGap) {
  Add(1, carol_phone_);                    // 2
  ASSERT_TRUE(SayIn(2, ann_phone_).ok());  // 3
  ASSERT_TRUE(Ack(carol_phone_, id_, 3).ok());
  ASSERT_TRUE(Leave(carol_phone_).ok());
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 2, {}, {carol_phone_})).ok());  // 4
  LetIn(carol_phone_);
  EXPECT_EQ(StateOf(carol_phone_), GroupDeviceState::kOutside);
  Add(3, carol_phone_);                    // 5
  ASSERT_TRUE(SayIn(4, ann_phone_).ok());  // 6
  EXPECT_FALSE(GapOf(carol_phone_, 3).has_value());
  EXPECT_THAT(ReadableBy(carol_phone_), ElementsAre(6));
}

TEST_P(RejoiningTest, DevicesThatCameOrWentMeanwhileAreAsTheyAreNow) {
  const DeviceId tablet = DeviceId::Random(random_);
  others_[tablet] = carol_;
  Add(1, carol_phone_);  // 2
  ASSERT_TRUE(Leave(carol_phone_).ok());
  Apply(carol_, {tablet});
  LetIn(tablet);
  EXPECT_EQ(StateOf(carol_phone_), GroupDeviceState::kRevoked);
  EXPECT_EQ(StateOf(tablet), GroupDeviceState::kOutside);
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 2, {tablet}, {carol_phone_})).ok());  // 3
  EXPECT_EQ(StateOf(carol_phone_), GroupDeviceState{});
  // Taken back, it can be let in as any other.
  Apply(carol_, {carol_phone_, tablet});
  EXPECT_EQ(StateOf(carol_phone_), GroupDeviceState::kOutside);
  Add(3, carol_phone_);                    // 4
  ASSERT_TRUE(SayIn(4, ann_phone_).ok());  // 5
  EXPECT_THAT(ReadableBy(carol_phone_), ElementsAre(5));
  EXPECT_THAT(ReadableBy(tablet), ElementsAre(4, 5));
}

TEST_P(RejoiningTest, WithoutAGroupTheyReadFromTheirComingOn) {
  id_ = Begin(ann_phone_);
  LetIn(carol_phone_);
  ASSERT_TRUE(SayAs(ann_phone_, "one").ok());  // 1, unread
  ASSERT_TRUE(Leave(carol_phone_).ok());
  ASSERT_TRUE(SayAs(ann_phone_, "two").ok());  // 2
  LetIn(carol_phone_);
  ASSERT_TRUE(SayAs(ann_phone_, "three").ok());  // 3
  EXPECT_THAT(ReadableBy(carol_phone_), ElementsAre(3));
  EXPECT_TRUE(SayAs(carol_phone_, "four").ok());
}

TEST_P(RejoiningTest, WhoWaitsOutsideHoldsNothingBack) {
  ASSERT_TRUE(SayIn(1, ann_phone_).ok());  // 2
  ASSERT_TRUE(Ack(ann_phone_, id_, 2).ok());
  ASSERT_TRUE(Ack(ann_tablet_, id_, 2).ok());
  ASSERT_TRUE(Ack(bob_phone_, id_, 2).ok());
  clock_.Advance(absl::Hours(25));
  TrimAll();  // takes note
  clock_.Advance(absl::Hours(25));
  EXPECT_EQ(TrimAll(), 2);
}

INSTANTIATE_TEST_SUITE_P(Backends, RejoiningTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
