// Every sentence of PushStore, on both databases.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/messaging/stores/push_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PushStoreTest : public PushTest {
 protected:
  PushClaim ClaimOf(const DeviceId& device) {
    const PushStanding standing = Look(device);
    return {device,
            standing.token,
            standing.mark,
            PushId::Random(random_),
            standing.claimed_until,
            clock_.Now() + PushLimits().claim,
            standing.budget_at,
            SpendPush(standing.budget_at, clock_.Now(), PushLimits())};
  }
  std::optional<PushId> Claim(const PushClaim& claim) {
    const auto ids = pushes_->Claim(kForever, {&claim, 1});
    EXPECT_TRUE(ids.ok()) << ids.status();
    return ids.ok() ? ids->front() : std::nullopt;
  }
  void Settle(const PushClaim& claim, PushOutcome outcome) {
    const absl::Status settled =
        pushes_->Settle(kForever, clock_.Now(), claim, outcome, clock_.Now() + absl::Minutes(10));
    EXPECT_TRUE(settled.ok()) << settled;
  }
  absl::Status Register(const DeviceId& device, const std::string& token) {
    return pushes_->Register(kForever, MemberOf(device), device, token);
  }
  ReplicaId Replica() { return ReplicaId::Random(random_); }
  // A stream of Bob's phone at this replica.
  int64_t OpenAt(const ReplicaId& replica) {
    SqlMessageStore::Options options;
    options.replica = replica;
    const auto store = *SqlMessageStore::Create(*database_, clock_, random_, options);
    return store->StartStream(kForever, clock_.Now(), bob_, bob_phone_).value();
  }
  void Renew(const ReplicaId& replica) {
    EXPECT_TRUE(pushes_->RenewLease(kForever, clock_.Now(), replica).ok());
  }
};

TEST_P(PushStoreTest, ATokenIsKeptReplacedAndForgotten) {
  EXPECT_EQ(Look(bob_phone_).token, TokenOf(bob_phone_));
  const std::string longest(1024, '~');
  ASSERT_TRUE(Register(bob_phone_, longest).ok());
  EXPECT_EQ(Look(bob_phone_).token, longest);
  ASSERT_TRUE(pushes_->Unregister(kForever, bob_, bob_phone_).ok());
  ASSERT_TRUE(pushes_->Unregister(kForever, bob_, bob_phone_).ok());
  EXPECT_FALSE(HasToken(bob_phone_));
  EXPECT_TRUE(HasToken(ann_phone_));
}

TEST_P(PushStoreTest, OnlyADeviceThatIsThereHasAToken) {
  const absl::Status unknown =
      pushes_->Register(kForever, bob_, DeviceId::Random(random_), "token");
  EXPECT_TRUE(absl::IsNotFound(unknown)) << unknown;
  EXPECT_EQ(ReasonOf(unknown), kDeviceUnknown);
  EXPECT_TRUE(absl::IsNotFound(pushes_->Register(kForever, ann_, bob_phone_, "token")));
  EXPECT_TRUE(absl::IsNotFound(pushes_->Unregister(kForever, ann_, bob_phone_)));
  Apply(ann_, {ann_phone_});
  EXPECT_EQ(ReasonOf(Register(ann_tablet_, "token")), "DEVICE_REVOKED");
  EXPECT_EQ(ReasonOf(pushes_->Unregister(kForever, ann_, ann_tablet_)), "DEVICE_REVOKED");
}

TEST_P(PushStoreTest, ATokenGoesWithItsDeviceAndWithItsMember) {
  Apply(ann_, {ann_phone_});
  EXPECT_EQ(CountIn("push_devices"), 2);
  Apply(ann_, {ann_phone_, ann_tablet_});
  EXPECT_FALSE(HasToken(ann_tablet_)) << "a device that comes back has none";
  Apply(ann_, {}, Standing::kErased);
  EXPECT_EQ(CountIn("push_devices"), 1);
  EXPECT_TRUE(HasToken(bob_phone_));
}

TEST_P(PushStoreTest, WhatSomebodyElseSaidIsUnreadUntilItIsAcknowledged) {
  EXPECT_FALSE(Look(bob_phone_).unread);
  const int64_t sequence = SayFrom(ann_phone_);
  EXPECT_TRUE(Look(bob_phone_).unread);
  EXPECT_FALSE(Look(ann_phone_).unread) << "it is their own";
  EXPECT_FALSE(Look(ann_tablet_).unread) << "it is their own, from another device";
  const PushMark before = Look(bob_phone_).mark;
  ASSERT_TRUE(Ack(bob_phone_, id_, sequence).ok());
  const PushStanding after = Look(bob_phone_);
  EXPECT_FALSE(after.unread);
  EXPECT_FALSE(after.mark.SameAbsence(before));
  EXPECT_EQ(after.mark.head, before.head);
  SayFrom(ann_tablet_);
  EXPECT_TRUE(Look(bob_phone_).unread);
  EXPECT_GT(Look(bob_phone_).mark.head, after.mark.head);
}

TEST_P(PushStoreTest, ACommitAloneWakesNobody) {
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 0, {ann_tablet_, bob_phone_})).ok());
  EXPECT_FALSE(Look(bob_phone_).unread);
  const auto said = Send(Append{ann_, ann_phone_, id_, MessageId::Random(random_),
                                MlsPrivateBytes(MlsContentType::kApplication, "group", 1, "hi"),
                                absl::InfiniteFuture()});
  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_TRUE(Look(bob_phone_).unread);
}

TEST_P(PushStoreTest, WhatWillNotBeDeliveredIsNotUnread) {
  SayFrom(ann_phone_);
  SayFrom(bob_phone_);
  ASSERT_TRUE(Look(bob_phone_).unread);
  ASSERT_TRUE(Look(ann_phone_).unread);
  BlockThem();
  EXPECT_FALSE(Look(bob_phone_).unread);
  EXPECT_FALSE(Look(ann_phone_).unread);
}

TEST_P(PushStoreTest, WhatIsClosedIsNotUnread) {
  SayFrom(ann_phone_);
  CloseIt();
  EXPECT_FALSE(Look(bob_phone_).unread);
}

TEST_P(PushStoreTest, WhoHasLeftHasNothingUnread) {
  AddCarol();
  ASSERT_TRUE(pushes_->Register(kForever, carol_, carol_phone_, "carol").ok());
  SayFrom(ann_phone_);
  ASSERT_TRUE(Look(bob_phone_).unread);
  ASSERT_TRUE(Leave(bob_phone_).ok());
  EXPECT_FALSE(Look(bob_phone_).unread);
  EXPECT_TRUE(Look(carol_phone_).unread);
}

TEST_P(PushStoreTest, AStreamIsThereWhileItsReplicaIs) {
  const ReplicaId replica = Replica();
  EXPECT_FALSE(Look(bob_phone_).stream_at.has_value());
  const int64_t generation = OpenAt(replica);
  EXPECT_EQ(Look(bob_phone_).mark.generation, generation);
  EXPECT_FALSE(Look(bob_phone_).stream_at.has_value()) << "nobody renewed the lease";
  Renew(replica);
  EXPECT_EQ(Look(bob_phone_).stream_at, replica);
  clock_.Advance(PushLimits().lease - absl::Microseconds(1));
  EXPECT_EQ(Look(bob_phone_).stream_at, replica);
  clock_.Advance(absl::Microseconds(1));
  EXPECT_FALSE(Look(bob_phone_).stream_at.has_value());
  Renew(replica);
  EXPECT_EQ(Look(bob_phone_).stream_at, replica);
  ASSERT_TRUE(pushes_->EndLease(kForever, replica).ok());
  EXPECT_FALSE(Look(bob_phone_).stream_at.has_value());
}

TEST_P(PushStoreTest, TheEndOfAnOlderStreamLeavesTheNewerAlone) {
  const ReplicaId here = Replica();
  const ReplicaId there = Replica();
  Renew(here);
  Renew(there);
  const EndedStream first{bob_phone_, OpenAt(here)};
  const EndedStream second{bob_phone_, OpenAt(there)};
  ASSERT_TRUE(pushes_->EndStreams(kForever, here, {&first, 1}).ok());
  EXPECT_EQ(Look(bob_phone_).stream_at, there);
  ASSERT_TRUE(pushes_->EndStreams(kForever, here, {&second, 1}).ok());
  EXPECT_EQ(Look(bob_phone_).stream_at, there) << "it is another's";
  ASSERT_TRUE(pushes_->EndStreams(kForever, there, {&second, 1}).ok());
  EXPECT_FALSE(Look(bob_phone_).stream_at.has_value());
}

TEST_P(PushStoreTest, AReplicaThatIsLongGoneIsForgotten) {
  Renew(Replica());
  clock_.Advance(absl::Hours(1) + absl::Seconds(1));
  Renew(Replica());
  EXPECT_EQ(CountIn("replicas"), 1);
}

TEST_P(PushStoreTest, OneOfTwoClaims) {
  SayFrom(ann_phone_);
  const PushClaim mine = ClaimOf(bob_phone_);
  PushClaim theirs = mine;
  theirs.fresh_id = PushId::Random(random_);
  EXPECT_EQ(Claim(mine), mine.fresh_id);
  EXPECT_EQ(Claim(theirs), std::nullopt);
  EXPECT_EQ(Look(bob_phone_).claimed_until, mine.until);
  EXPECT_EQ(Look(bob_phone_).budget_at, mine.budget_after);
  Settle(mine, PushOutcome::kSent);
  const PushStanding told = Look(bob_phone_);
  EXPECT_EQ(told.pushed_at, clock_.Now());
  EXPECT_TRUE(told.mark.SameAbsence(told.pushed));
  EXPECT_EQ(told.pushed.head, told.mark.head);
  EXPECT_EQ(told.claimed_until, absl::UnixEpoch());
  EXPECT_EQ(told.budget_at, mine.budget_after);
}

TEST_P(PushStoreTest, AClaimOfAnotherTokenIsLost) {
  const PushClaim claim = ClaimOf(bob_phone_);
  ASSERT_TRUE(Register(bob_phone_, "another").ok());
  EXPECT_EQ(Claim(claim), std::nullopt);
}

TEST_P(PushStoreTest, APushThatFailedKeepsItsIdAndItsBudget) {
  SayFrom(ann_phone_);
  const PushClaim first = ClaimOf(bob_phone_);
  ASSERT_EQ(Claim(first), first.fresh_id);
  Settle(first, PushOutcome::kFailed);
  EXPECT_EQ(Look(bob_phone_).budget_at, first.budget_before);
  EXPECT_FALSE(Look(bob_phone_).pushed_at.has_value());
  EXPECT_EQ(Claim(ClaimOf(bob_phone_)), first.fresh_id);
}

TEST_P(PushStoreTest, AnotherAbsenceIsAnotherPush) {
  const int64_t sequence = SayFrom(ann_phone_);
  const PushClaim first = ClaimOf(bob_phone_);
  ASSERT_TRUE(Claim(first).has_value());
  Settle(first, PushOutcome::kFailed);
  ASSERT_TRUE(Ack(bob_phone_, id_, sequence).ok());
  const PushClaim second = ClaimOf(bob_phone_);
  EXPECT_EQ(Claim(second), second.fresh_id);
}

TEST_P(PushStoreTest, ARefusedTokenIsLeftAlone) {
  const PushClaim claim = ClaimOf(bob_phone_);
  ASSERT_TRUE(Claim(claim).has_value());
  Settle(claim, PushOutcome::kRefused);
  EXPECT_EQ(Look(bob_phone_).refused_until, clock_.Now() + absl::Minutes(10));
  ASSERT_TRUE(Register(bob_phone_, TokenOf(bob_phone_)).ok());
  EXPECT_EQ(Look(bob_phone_).refused_until, clock_.Now() + absl::Minutes(10));
  ASSERT_TRUE(Register(bob_phone_, "another").ok());
  EXPECT_EQ(Look(bob_phone_).refused_until, absl::UnixEpoch());
}

TEST_P(PushStoreTest, ATokenOfNoUseIsForgottenUnlessThereIsAnother) {
  const PushClaim claim = ClaimOf(bob_phone_);
  ASSERT_TRUE(Claim(claim).has_value());
  ASSERT_TRUE(Register(bob_phone_, "another").ok());
  Settle(claim, PushOutcome::kGone);
  EXPECT_EQ(Look(bob_phone_).token, "another");
  const PushClaim again = ClaimOf(bob_phone_);
  Settle(again, PushOutcome::kGone);
  EXPECT_FALSE(HasToken(bob_phone_));
}

TEST_P(PushStoreTest, WhoComesAndGoesHasSpentTheSame) {
  const PushClaim claim = ClaimOf(bob_phone_);
  ASSERT_TRUE(Claim(claim).has_value());
  ASSERT_TRUE(pushes_->Unregister(kForever, bob_, bob_phone_).ok());
  ASSERT_TRUE(Register(bob_phone_, TokenOf(bob_phone_)).ok());
  EXPECT_EQ(Look(bob_phone_).budget_at, claim.budget_after);
}

TEST_P(PushStoreTest, AClaimThatRanOutSettlesNothing) {
  const PushClaim first = ClaimOf(bob_phone_);
  ASSERT_TRUE(Claim(first).has_value());
  clock_.Advance(PushLimits().claim);
  const PushClaim second = ClaimOf(bob_phone_);
  ASSERT_TRUE(Claim(second).has_value());
  Settle(first, PushOutcome::kSent);
  EXPECT_FALSE(Look(bob_phone_).pushed_at.has_value());
  EXPECT_EQ(Look(bob_phone_).claimed_until, second.until);
}

TEST_P(PushStoreTest, TheDevicesAreListedOnceEach) {
  std::vector<DeviceId> all = {ann_phone_, ann_tablet_, bob_phone_};
  std::sort(all.begin(), all.end());
  EXPECT_THAT(*pushes_->ListDevices(kForever, DeviceId(), 2), ElementsAre(all[0], all[1]));
  EXPECT_THAT(*pushes_->ListDevices(kForever, all[1], 2), ElementsAre(all[2]));
  EXPECT_THAT(*pushes_->ListDevices(kForever, all[2], 2), IsEmpty());
  ASSERT_TRUE(pushes_->Unregister(kForever, MemberOf(all[1]), all[1]).ok());
  EXPECT_THAT(*pushes_->ListDevices(kForever, DeviceId(), 9), ElementsAre(all[0], all[2]));
  EXPECT_THAT(*pushes_->Look(kForever, clock_.Now(), all), SizeIs(2));
}

INSTANTIATE_TEST_SUITE_P(Backends, PushStoreTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
