// What InvitationStore promises, on every backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "services/messaging/stores/invitation_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class InvitationStoreTest : public InvitationTest {
 protected:
  // What a caller is told, to the letter.
  std::string Told(const absl::Status& status) {
    std::string told =
        absl::StrCat(static_cast<int>(status.code()), " ", ReasonOf(status), " ", status.message());
    const ErrorDetails details = DetailsOf(status);
    for (const auto& [key, value] : details.metadata) absl::StrAppend(&told, " ", key, value);
    return told;
  }
  int64_t RevisionSeenBy(const DeviceId& device) {
    const auto heads = store_->ReadHeads(kForever, {&device, 1});
    for (const auto& head : heads->at(0).heads) {
      if (head.conversation == id_) return head.revision;
    }
    return -1;
  }
  std::string LimitOf(const absl::Status& status) {
    const ErrorDetails details = DetailsOf(status);
    for (const auto& [key, value] : details.metadata) {
      if (key == "limit") return value;
    }
    return ReasonOf(status);
  }
};

TEST_P(InvitationStoreTest, WhoBeginsTakesPartAloneWithAllDevices) {
  const Conversation seen = SeenBy(ann_phone_);
  EXPECT_EQ(seen.state, ConversationState::kOpen);
  EXPECT_THAT(seen.members, ElementsAre(ann_));
  EXPECT_EQ(seen.head_sequence, 0);
  ASSERT_TRUE(SayAs(ann_tablet_, "is anybody there").ok());
  EXPECT_THAT(ReadableBy(ann_phone_), ElementsAre(1));
  const auto list = store_->ListConversations(kForever, ann_, ann_phone_, {}, 10);
  ASSERT_THAT(*list, SizeIs(2)) << "beside that of the pairing";
}

TEST_P(InvitationStoreTest, BeginningIsOneWriteHoweverOftenItIsSaid) {
  Call call = CallOf(ann_phone_, "begin");
  const auto first = invitations_->CreateGroup(call, clock_.Now());
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(first->wake_ups, SizeIs(2));
  clock_.Advance(absl::Hours(1));
  const auto again = invitations_->CreateGroup(call, clock_.Now());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->id, first->id);
  EXPECT_THAT(again->wake_ups, IsEmpty());
  call.request_hash = "another request";
  EXPECT_EQ(ReasonOf(invitations_->CreateGroup(call, clock_.Now()).status()), "REQUEST_ID_REUSED");
}

TEST_P(InvitationStoreTest, WhoAcceptsTakesPartAndReadsFromThenOn) {
  ASSERT_TRUE(SayAs(ann_phone_, "before").ok());  // 1
  const auto carol = MakePerson(2);
  const int64_t revision = RevisionSeenBy(ann_phone_);
  clock_.Advance(absl::Minutes(5));
  const auto joined = Accept(carol[0], Invite(ann_phone_));
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->id, id_);
  std::set<DeviceId> woken;
  for (const WakeUp& wake_up : joined->wake_ups) woken.insert(wake_up.device);
  EXPECT_THAT(woken, UnorderedElementsAre(ann_phone_, ann_tablet_, carol[0], carol[1]));
  EXPECT_GT(RevisionSeenBy(ann_phone_), revision) << "the streams of the others are told";
  EXPECT_THAT(SeenBy(ann_phone_).members, UnorderedElementsAre(ann_, MemberOf(carol[0])));
  EXPECT_EQ(SeenBy(carol[1]).create_time, SeenBy(ann_phone_).create_time);
  ASSERT_TRUE(SayAs(ann_phone_, "welcome").ok());  // 2
  ASSERT_TRUE(SayAs(carol[1], "hello").ok());      // 3
  EXPECT_THAT(ReadableBy(carol[0]), ElementsAre(2, 3));
  EXPECT_THAT(ReadableBy(ann_phone_), ElementsAre(1, 2, 3));
  const auto list = store_->ListConversations(kForever, MemberOf(carol[0]), carol[0], {}, 10);
  ASSERT_THAT(*list, SizeIs(1));
  EXPECT_EQ(list->at(0).create_time, SeenBy(ann_phone_).create_time);
}

TEST_P(InvitationStoreTest, AnInvitationIsUsedOnceHoweverOftenItIsSaid) {
  const auto carol = MakePerson();
  const auto dan = MakePerson();
  const InvitationId id = Invite(ann_phone_);
  EXPECT_THAT(OpenSeenBy(ann_tablet_), ElementsAre(id));
  const Call call = CallOf(carol[0], "accept");
  ASSERT_TRUE(invitations_->Accept(call, clock_.Now(), Show(id)).ok());
  EXPECT_THAT(OpenSeenBy(ann_phone_), IsEmpty());
  EXPECT_EQ(ReasonOf(Accept(dan[0], id).status()), "NOT_FOUND");
  clock_.Advance(absl::Hours(6 * 24));
  const auto again = invitations_->Accept(call, clock_.Now(), Show(id));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->id, id_);
  EXPECT_THAT(again->wake_ups, IsEmpty());
  // Who is in already uses none.
  const InvitationId another = Invite(ann_phone_);
  ASSERT_TRUE(Accept(carol[0], another).ok());
  EXPECT_THAT(OpenSeenBy(ann_phone_), ElementsAre(another));
  EXPECT_TRUE(Accept(dan[0], another).ok());
}

TEST_P(InvitationStoreTest, WhateverIsTheMatterLooksTheSame) {
  const auto carol = MakePerson();
  const auto dan = MakePerson();
  const auto eve = MakePerson();
  LetIn(carol[0]);
  std::set<std::string> told;
  const auto refused = [&](const DeviceId& device, const ShownInvitation& shown) {
    const auto answer = invitations_->Accept(FreshCall(device), clock_.Now(), shown);
    EXPECT_FALSE(answer.ok());
    told.insert(Told(answer.status()));
  };
  const InvitationId good = Invite(ann_phone_);
  refused(dan[0], {InvitationId::Random(random_), secrets_[good]});
  refused(dan[0], {good, MakeSecret()});
  refused(dan[0], {good, ""});
  BlockOf(dan[0], carol[0]);
  refused(dan[0], Show(good));
  BlockOf(ann_phone_, eve[0]);
  refused(eve[0], Show(good));
  const auto fay = MakePerson();
  ASSERT_TRUE(Revoke(ann_phone_, good).ok());
  refused(fay[0], Show(good));
  const InvitationId late = Invite(carol[0]);
  clock_.Advance(absl::Hours(7 * 24));
  refused(fay[0], Show(late));
  const InvitationId used = Invite(ann_phone_);
  ASSERT_TRUE(Accept(fay[0], used).ok());
  const auto gil = MakePerson();
  refused(gil[0], Show(used));
  const InvitationId of_closed = Invite(ann_phone_);
  for (const DeviceId& device : {ann_phone_, carol[0], fay[0]}) ASSERT_TRUE(Leave(device).ok());
  refused(gil[0], Show(of_closed));
  EXPECT_THAT(told, ElementsAre(absl::StrCat("5 NOT_FOUND no such invitation")));
}

TEST_P(InvitationStoreTest, MembersAndOpenInvitationsAreEightAtMost) {
  std::vector<InvitationId> open;
  for (int i = 0; i < 7; ++i) open.push_back(Invite(ann_phone_));
  EXPECT_EQ(LimitOf(TryToInvite(ann_phone_).status()), "members");
  EXPECT_THAT(OpenSeenBy(ann_phone_), SizeIs(7));
  const auto carol = MakePerson();
  ASSERT_TRUE(Accept(carol[0], open[0]).ok());
  EXPECT_EQ(LimitOf(TryToInvite(carol[0]).status()), "members") << "her place was kept";
  ASSERT_TRUE(Revoke(carol[0], open[1]).ok()) << "anybody's may be revoked";
  ASSERT_TRUE(Revoke(carol[0], open[1]).ok());
  open[1] = Invite(carol[0]);
  clock_.Advance(absl::Hours(7 * 24));
  EXPECT_THAT(OpenSeenBy(ann_phone_), IsEmpty());
  for (int i = 0; i < 6; ++i) LetIn(MakePerson()[0]);
  EXPECT_EQ(LimitOf(TryToInvite(ann_phone_).status()), "members");
  EXPECT_THAT(SeenBy(ann_phone_).members, SizeIs(8));
  ASSERT_TRUE(Leave(carol[0]).ok());
  LetIn(MakePerson()[0]);
}

TEST_P(InvitationStoreTest, TheDevicesOfAllAre32AtMost) {
  LetIn(MakePerson(15)[0]);  // 17 with Ann's
  const InvitationId id = Invite(ann_phone_);
  const auto many = MakePerson(16);
  EXPECT_EQ(LimitOf(Accept(many[0], id).status()), "devices");
  EXPECT_THAT(OpenSeenBy(ann_phone_), ElementsAre(id)) << "it is not used";
  Apply(MemberOf(many[0]), {many.begin(), many.begin() + 15});
  EXPECT_TRUE(Accept(many[0], id).ok());
}

TEST_P(InvitationStoreTest, WhoIsSuspendedNeitherBeginsNorInvitesNorAccepts) {
  const InvitationId id = Invite(ann_phone_);
  Apply(ann_, {ann_phone_, ann_tablet_}, Standing::kSuspended);
  EXPECT_EQ(ReasonOf(TryToInvite(ann_phone_).status()), "MEMBER_SUSPENDED");
  EXPECT_EQ(ReasonOf(invitations_->CreateGroup(FreshCall(ann_phone_), clock_.Now()).status()),
            "MEMBER_SUSPENDED");
  const auto carol = MakePerson();
  Apply(MemberOf(carol[0]), carol, Standing::kSuspended);
  EXPECT_EQ(ReasonOf(Accept(carol[0], id).status()), "MEMBER_SUSPENDED");
  EXPECT_EQ(ReasonOf(Accept(carol[0], InvitationId::Random(random_)).status()), "MEMBER_SUSPENDED")
      << "which says nothing of the invitation";
  Apply(MemberOf(carol[0]), carol);
  EXPECT_TRUE(Accept(carol[0], id).ok());
}

TEST_P(InvitationStoreTest, NobodyJoinsAPairing) {
  id_ = Open(pairing_);
  EXPECT_EQ(ReasonOf(TryToInvite(ann_phone_).status()), "FIELD_INVALID");
  EXPECT_THAT(OpenSeenBy(bob_phone_), IsEmpty());
}

TEST_P(InvitationStoreTest, OnlyWhoTakesPartInvitesAndSeesAndRevokes) {
  const InvitationId id = Invite(ann_phone_);
  EXPECT_EQ(ReasonOf(TryToInvite(bob_phone_).status()), "NOT_FOUND");
  EXPECT_EQ(ReasonOf(invitations_->List(FreshCall(bob_phone_), clock_.Now(), id_).status()),
            "NOT_FOUND");
  const absl::Status not_his = Revoke(bob_phone_, id);
  EXPECT_EQ(Told(not_his), Told(Revoke(bob_phone_, InvitationId::Random(random_))));
  const auto carol = MakePerson();
  LetIn(carol[0]);
  ASSERT_TRUE(Leave(carol[0]).ok());
  EXPECT_EQ(ReasonOf(TryToInvite(carol[0]).status()), "CONVERSATION_CLOSED");
  EXPECT_THAT(OpenSeenBy(carol[0]), IsEmpty());
  EXPECT_EQ(Told(Revoke(carol[0], id)), Told(not_his));
  EXPECT_THAT(OpenSeenBy(ann_phone_), ElementsAre(id));
}

TEST_P(InvitationStoreTest, AnInvitationIsOverWhenItsMakerLeaves) {
  const auto carol = MakePerson();
  LetIn(carol[0]);
  const InvitationId hers = Invite(carol[0]);
  const InvitationId anns = Invite(ann_phone_);
  ASSERT_TRUE(Leave(carol[0]).ok());
  EXPECT_THAT(OpenSeenBy(ann_phone_), ElementsAre(anns));
  EXPECT_EQ(ReasonOf(Accept(carol[0], hers).status()), "NOT_FOUND") << "not by her own either";
  EXPECT_TRUE(Accept(carol[0], anns).ok());
}

TEST_P(InvitationStoreTest, ADeviceThatIsUnknownOrRemovedDoesNothing) {
  const InvitationId id = Invite(ann_phone_);
  const DeviceId stranger = DeviceId::Random(random_);
  others_[stranger] = MemberId::Random(random_);
  EXPECT_EQ(ReasonOf(Accept(stranger, id).status()), kDeviceUnknown);
  EXPECT_EQ(ReasonOf(invitations_->CreateGroup(FreshCall(stranger), clock_.Now()).status()),
            kDeviceUnknown);
  Apply(ann_, {ann_phone_});
  EXPECT_EQ(ReasonOf(TryToInvite(ann_tablet_).status()), "DEVICE_REVOKED");
  EXPECT_EQ(ReasonOf(Revoke(ann_tablet_, id)), "DEVICE_REVOKED");
  EXPECT_EQ(ReasonOf(invitations_->List(FreshCall(ann_tablet_), clock_.Now(), id_).status()),
            "DEVICE_REVOKED");
}

TEST_P(InvitationStoreTest, InvitingIsOneWriteAndItsSecretIsKeptNowhere) {
  const std::string secret = MakeSecret();
  const NewInvitation wanted{id_, crypto::Sha256(secret)};
  Call call = CallOf(ann_phone_, "invite");
  const auto first = invitations_->Invite(call, clock_.Now(), wanted);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->inviter, ann_);
  EXPECT_EQ(first->expire_time, first->create_time + absl::Hours(7 * 24));
  const absl::Time made = clock_.Now();
  clock_.Advance(absl::Hours(1));
  const auto again = invitations_->Invite(call, clock_.Now(), wanted);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->id, first->id);
  EXPECT_EQ(again->create_time, absl::FromUnixMicros(absl::ToUnixMicros(made)));
  EXPECT_THAT(OpenSeenBy(ann_phone_), SizeIs(1));
  call.request_hash = "another request";
  EXPECT_EQ(ReasonOf(invitations_->Invite(call, clock_.Now(), wanted).status()),
            "REQUEST_ID_REUSED");
  ASSERT_TRUE(invitations_->Accept(FreshCall(bob_phone_), clock_.Now(), {first->id, secret}).ok());
  const absl::Status looked =
      database_->Read(kForever, [&](storage::Transaction& tx) -> absl::Status {
        ASSIGN_OR_RETURN(const storage::Rows rows,
                         tx.Query("SELECT secret_digest FROM invitations", {}));
        EXPECT_EQ(rows.front().Bytes(0), absl::string_view(crypto::Sha256(secret)));
        return absl::OkStatus();
      });
  EXPECT_TRUE(looked.ok()) << looked;
}

TEST_P(InvitationStoreTest, TheLastToLeaveClosesIt) {
  LetIn(bob_phone_);
  ASSERT_TRUE(Leave(ann_phone_).ok());
  EXPECT_EQ(SeenBy(bob_phone_).state, ConversationState::kOpen) << "he may invite others";
  ASSERT_TRUE(Accept(ann_phone_, Invite(bob_phone_)).ok());
  ASSERT_TRUE(Leave(bob_phone_).ok());
  ASSERT_TRUE(Leave(ann_phone_).ok());
  EXPECT_EQ(SeenBy(ann_phone_).state, ConversationState::kClosed);
  EXPECT_EQ(ReasonOf(SayAs(ann_phone_, "anybody").status()), "CONVERSATION_CLOSED");
}

TEST_P(InvitationStoreTest, WhoIsErasedIsOutAndTheOthersGoOn) {
  const auto carol = MakePerson();
  LetIn(bob_phone_);
  LetIn(carol[0]);
  Apply(bob_, {}, Standing::kErased);
  EXPECT_EQ(SeenBy(ann_phone_).state, ConversationState::kOpen);
  EXPECT_THAT(SeenBy(ann_phone_).members_left, ElementsAre(bob_));
  EXPECT_TRUE(SayAs(carol[0], "we go on").ok());
}

TEST_P(InvitationStoreTest, WhoComesIsNotToldWhoWentBeforeNorWhoLeftWhoCame) {
  const auto carol = MakePerson();
  const auto dan = MakePerson();
  LetIn(bob_phone_);
  LetIn(carol[0]);
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(Leave(carol[0]).ok());
  clock_.Advance(absl::Seconds(1));
  LetIn(dan[0]);
  EXPECT_THAT(SeenBy(dan[0]).members, UnorderedElementsAre(ann_, bob_, MemberOf(dan[0])));
  EXPECT_THAT(SeenBy(dan[0]).members_left, IsEmpty());
  EXPECT_THAT(SeenBy(ann_phone_).members, SizeIs(4));
  EXPECT_THAT(SeenBy(carol[0]).members, UnorderedElementsAre(ann_, bob_, MemberOf(carol[0])));
}

TEST_P(InvitationStoreTest, WhatIsOverIsForgotten) {
  LetIn(bob_phone_);
  Invite(ann_phone_);
  clock_.Advance(absl::Hours(14 * 24));
  TrimAll();
  EXPECT_EQ(CountIn("invitations"), 0);
  EXPECT_THAT(SeenBy(bob_phone_).members, SizeIs(2));
}

class InvitationBoundsTest : public InvitationStoreTest {};

TEST_P(InvitationBoundsTest, BeginningIsBoundedByTheDayAndInAll) {
  for (int i = 1; i < 8; ++i) Begin(ann_phone_);
  EXPECT_EQ(ReasonOf(invitations_->CreateGroup(FreshCall(ann_phone_), clock_.Now()).status()),
            "RATE_LIMITED");
  InvitationLimits limits;
  limits.open_conversations = 9;
  SqlInvitationStore few(*database_, random_, limits);
  clock_.Advance(absl::Hours(25));
  ASSERT_TRUE(few.CreateGroup(FreshCall(ann_phone_), clock_.Now()).ok());
  EXPECT_EQ(LimitOf(few.CreateGroup(FreshCall(ann_phone_), clock_.Now()).status()),
            "conversations");
  // Nor does she come into another.
  id_ = Begin(bob_phone_);
  const InvitationId id = Invite(bob_phone_);
  EXPECT_EQ(LimitOf(few.Accept(FreshCall(ann_phone_), clock_.Now(), Show(id)).status()),
            "conversations");
  EXPECT_TRUE(Accept(ann_phone_, id).ok());
}

TEST_P(InvitationBoundsTest, InvitingIsBoundedByTheDayAndByWhoWasEverThere) {
  InvitationLimits limits;
  limits.invitations_a_day = 3;
  limits.members_ever = 3;
  invitations_ = std::make_unique<SqlInvitationStore>(*database_, random_, limits);
  ASSERT_TRUE(Revoke(ann_phone_, Invite(ann_phone_)).ok());
  Invite(ann_phone_);
  Invite(ann_phone_);
  EXPECT_EQ(LimitOf(TryToInvite(ann_phone_).status()), "RATE_LIMITED");
  clock_.Advance(absl::Hours(25));
  EXPECT_EQ(LimitOf(TryToInvite(ann_phone_).status()), "members_ever");
}

INSTANTIATE_TEST_SUITE_P(Backends, InvitationStoreTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });
INSTANTIATE_TEST_SUITE_P(Backends, InvitationBoundsTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
