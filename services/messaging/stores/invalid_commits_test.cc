// What becomes of commits that devices cannot follow, on every backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/crypto/hash.h"
#include "services/messaging/stores/group_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class InvalidCommitsTest : public GroupTest {
 protected:
  // The phones of Ann, Bob and Carol and Ann's tablet are in a group; Ann's phone then commits what
  // others may not be able to follow: sequence 2, of epoch 1.
  void MakeBadCommitAmongThree() {
    AddCarol();
    const auto made = Commit(MakeCommit(ann_phone_, 0, {ann_tablet_, bob_phone_, carol_phone_}));
    ASSERT_TRUE(made.ok()) << made.status();
    MakeBadCommit();
  }
  void MakeBadCommit() {
    bad_ = MakeCommit(ann_phone_, 1);
    const auto made = Commit(bad_);
    ASSERT_TRUE(made.ok()) << made.status();
  }
  InvalidCommit ReportOf(const CommitBundle& bundle) const {
    return {id_, bundle.group_id, bundle.epoch, crypto::Sha256(bundle.commit)};
  }
  absl::StatusOr<ReportedCommit> Say(const DeviceId& device, const InvalidCommit& commit,
                                     std::string request_id = "") {
    if (request_id.empty()) request_id = MessageId::Random(random_).ToString();
    Call call = CallOf(device, request_id);
    call.request_hash = commit.digest;
    return groups_->ReportInvalidCommit(call, clock_.Now(), commit);
  }
  Mending Told(const DeviceId& device) {
    const auto reported = Say(device, ReportOf(bad_));
    EXPECT_TRUE(reported.ok()) << reported.status();
    return reported.ok() ? reported->mending : Mending{};
  }
  std::string Refusal(const DeviceId& device, const InvalidCommit& commit) {
    return ReasonOf(Say(device, commit).status());
  }
  absl::Status Reset(const DeviceId& device, const std::string& group, int64_t epoch) {
    CommitBundle bundle = MakeCommit(device, 0, {}, {}, group);
    bundle.replaces = ReplacedGroup{"group", epoch};
    return Commit(bundle).status();
  }

  CommitBundle bad_;
};

TEST_P(InvalidCommitsTest, MostDevicesOfMoreThanOneMemberMakeAResetDue) {
  MakeBadCommitAmongThree();
  EXPECT_EQ(Told(bob_phone_), Mending::kJoinAgain) << "1 of 4";
  EXPECT_EQ(Told(bob_phone_), Mending::kJoinAgain) << "said twice it counts once";
  EXPECT_EQ(Told(carol_phone_), Mending::kJoinAgain) << "2 of 4";
  EXPECT_EQ(ReasonOf(Reset(bob_phone_, "second", 2)), "GROUP_RESET_NOT_AGREED");
  EXPECT_EQ(Told(ann_tablet_), Mending::kReset) << "3 of 4";
  EXPECT_EQ(Told(bob_phone_), Mending::kReset);
  EXPECT_EQ(CountIn("invalid_commits"), 3);
  const absl::Status reset = Reset(bob_phone_, "second", 2);
  ASSERT_TRUE(reset.ok()) << reset;
  EXPECT_EQ(CountIn("invalid_commits"), 0) << "the new group begins without";
  CommitBundle again = MakeCommit(bob_phone_, 0, {}, {}, "third");
  again.replaces = ReplacedGroup{"second", 1};
  EXPECT_EQ(ReasonOf(Commit(again).status()), "GROUP_RESET_NOT_AGREED");
}

TEST_P(InvalidCommitsTest, OneMembersDevicesDoNotForceIt) {
  AddCarol();
  ASSERT_TRUE(Commit(MakeCommit(bob_phone_, 0, {ann_phone_, ann_tablet_})).ok());
  bad_ = MakeCommit(bob_phone_, 1);
  ASSERT_TRUE(Commit(bad_).ok());
  EXPECT_EQ(Told(ann_phone_), Mending::kJoinAgain);
  EXPECT_EQ(Told(ann_tablet_), Mending::kJoinAgain) << "2 of 3, but all of them Ann's";
  EXPECT_EQ(ReasonOf(Reset(ann_phone_, "second", 2)), "GROUP_RESET_NOT_AGREED");
  // Carol, none of whose devices is in the group, leaves: of two it is enough.
  ASSERT_TRUE(Leave(carol_phone_).ok());
  EXPECT_EQ(Told(ann_phone_), Mending::kReset);
}

TEST_P(InvalidCommitsTest, WhoJoinsAgainIsCountedNoMore) {
  MakeBadCommitAmongThree();
  Told(bob_phone_);
  CommitBundle joining = MakeCommit(bob_phone_, 2);
  joining.commit = MlsExternalCommitBytes("group", 2);
  joining.external = true;
  ASSERT_TRUE(Commit(joining).ok());
  EXPECT_EQ(Told(carol_phone_), Mending::kJoinAgain);
  EXPECT_EQ(Told(ann_tablet_), Mending::kJoinAgain) << "2 of 4: Bob's phone is mended";
  EXPECT_EQ(ReasonOf(Reset(carol_phone_, "second", 3)), "GROUP_RESET_NOT_AGREED");
  EXPECT_EQ(Refusal(bob_phone_, ReportOf(bad_)), "NOT_FOUND") << "it is not its to follow any more";
}

TEST_P(InvalidCommitsTest, ReportsOfDifferentCommitsAreNotAddedUp) {
  MakeBadCommitAmongThree();
  const CommitBundle next = MakeCommit(ann_phone_, 2);
  ASSERT_TRUE(Commit(next).ok());
  Told(bob_phone_);
  Told(carol_phone_);
  const auto other = Say(ann_tablet_, ReportOf(next));
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(other->mending, Mending::kJoinAgain);
  EXPECT_TRUE(other->fresh);
  EXPECT_EQ(ReasonOf(Reset(bob_phone_, "second", 3)), "GROUP_RESET_NOT_AGREED");
  // Of each device the newest stays.
  EXPECT_FALSE(Say(ann_tablet_, ReportOf(bad_))->fresh);
  EXPECT_TRUE(Say(bob_phone_, ReportOf(next))->fresh);
  EXPECT_EQ(CountIn("invalid_commits"), 3);
}

TEST_P(InvalidCommitsTest, ARepeatedReportGetsItsFirstAnswer) {
  MakeBadCommitAmongThree();
  EXPECT_TRUE(Say(bob_phone_, ReportOf(bad_), "r1")->fresh);
  Told(carol_phone_);
  Told(ann_tablet_);
  const auto again = Say(bob_phone_, ReportOf(bad_), "r1");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->mending, Mending::kJoinAgain);
  EXPECT_FALSE(again->fresh);
  const auto reset = Say(bob_phone_, ReportOf(bad_), "r2");
  EXPECT_EQ(reset->mending, Mending::kReset);
  EXPECT_EQ(Say(bob_phone_, ReportOf(bad_), "r2")->mending, Mending::kReset);
  InvalidCommit other = ReportOf(bad_);
  other.digest = std::string(32, 'x');
  EXPECT_EQ(ReasonOf(Say(bob_phone_, other, "r2").status()), "REQUEST_ID_REUSED");
}

TEST_P(InvalidCommitsTest, OnlyACommitThatIsThereAndOnlyByWhoShouldFollowIt) {
  AddCarol();
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 0, {bob_phone_})).ok());
  MakeBadCommit();
  InvalidCommit report = ReportOf(bad_);
  report.digest[0] = static_cast<char>(report.digest[0] ^ 1);
  EXPECT_EQ(Refusal(bob_phone_, report), "FIELD_INVALID");
  report = ReportOf(bad_);
  report.epoch = 2;
  EXPECT_EQ(Refusal(bob_phone_, report), "EPOCH_CONFLICT");
  report.epoch = 0;
  EXPECT_EQ(Refusal(bob_phone_, report), "NOT_FOUND") << "the one that added it";
  report = ReportOf(bad_);
  report.group_id = "another";
  EXPECT_EQ(Refusal(bob_phone_, report), "GROUP_MISMATCH");
  report = ReportOf(bad_);
  EXPECT_EQ(Refusal(carol_phone_, report), "DEVICE_NOT_IN_GROUP");
  const DeviceId stranger = DeviceId::Random(random_);
  others_[stranger] = MemberId::Random(random_);
  EXPECT_EQ(Refusal(stranger, report), kDeviceUnknown);
  Apply(others_[stranger], {stranger});
  EXPECT_EQ(Refusal(stranger, report), "NOT_FOUND");
  report.conversation = ConversationId::Random(random_);
  EXPECT_EQ(Refusal(bob_phone_, report), "NOT_FOUND");
  report = ReportOf(bad_);
  Apply(bob_, {});
  EXPECT_EQ(Refusal(bob_phone_, report), "DEVICE_REVOKED");
  CloseIt();
  EXPECT_EQ(Refusal(ann_phone_, report), "CONVERSATION_CLOSED");
  EXPECT_EQ(CountIn("invalid_commits"), 0);
}

TEST_P(InvalidCommitsTest, AReportGoesWithItsCommit) {
  MakeBadCommitAmongThree();
  Told(bob_phone_);
  clock_.Advance(absl::Hours(31 * 24));
  TrimAll();
  EXPECT_EQ(CountIn("invalid_commits"), 0);
  EXPECT_EQ(Refusal(bob_phone_, ReportOf(bad_)), "NOT_FOUND");
}

TEST_P(InvalidCommitsTest, TheInvariantsFindAReportWithoutItsCommit) {
  check_invariants_ = false;
  MakeBadCommitAmongThree();
  Told(bob_phone_);
  ASSERT_THAT(*CheckMessages(*database_, kForever), IsEmpty());
  Plant("UPDATE invalid_commits SET sequence = 9");
  EXPECT_THAT(*CheckMessages(*database_, kForever), Contains(HasSubstr("is not kept")));
}

INSTANTIATE_TEST_SUITE_P(Backends, InvalidCommitsTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
