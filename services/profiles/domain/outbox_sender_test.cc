#include "services/profiles/domain/outbox_sender.h"

#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/profiles/testing/world.h"

namespace handrail::profiles {
namespace {

using testing::Person;
using testing::World;

class OutboxSenderTest : public ::testing::Test {
 protected:
  void Rename(const Person& person, const std::string& pseudonym) {
    ProfileUpdate update;
    update.pseudonym = pseudonym;
    ASSERT_TRUE(world_.profiles
                    ->Update(world_.CallBy(person, "rename-" + std::to_string(++requests_)), update)
                    .ok());
  }
  void SetNewcomer(const Person& person, const std::string& traits) {
    ProfileUpdate update;
    Side side;
    side.traits = traits;
    update.newcomer = side;
    ASSERT_TRUE(world_.profiles
                    ->Update(world_.CallBy(person, "traits-" + std::to_string(++requests_)), update)
                    .ok());
  }
  int64_t Version(const Person& person) {
    return world_.directory->GetMember(World::Anonymous(), person.member)->snapshot.version;
  }

  World world_;
  int requests_ = 0;
};

TEST_F(OutboxSenderTest, ANewMemberIsToldToBoth) {
  const Person person = world_.Register();
  world_.Deliver();
  for (const auto* receiver : {&world_.matching, &world_.messaging}) {
    const auto held = receiver->Find(person.member);
    ASSERT_TRUE(held.has_value());
    EXPECT_EQ(held->version, 1);
    EXPECT_EQ(held->standing, Standing::kGood);
    EXPECT_THAT(held->devices, ::testing::ElementsAre(person.device));
  }
  EXPECT_EQ(world_.OutboxCount(Receiver::kMatching), 0);
  EXPECT_EQ(world_.to_matching->loop().delivered(), 1);
}

TEST_F(OutboxSenderTest, EveryChangeRaisesTheVersionByOne) {
  const Person person = world_.Register();
  EXPECT_EQ(Version(person), 1);
  Rename(person, "Sparrow");
  EXPECT_EQ(Version(person), 2);
  ASSERT_TRUE(
      world_.consent->Grant(world_.CallBy(person, "g"), ConsentPurpose::kMatching, {"1", "en"})
          .ok());
  EXPECT_EQ(Version(person), 3);
  ASSERT_TRUE(
      world_.identity->AddDevice(world_.CallBy(person, "a"), world_.Prove(*world_.NewKey())).ok());
  EXPECT_EQ(Version(person), 4);
  ASSERT_TRUE(world_.consent->Withdraw(world_.CallBy(person, "w"), ConsentPurpose::kMatching).ok());
  EXPECT_EQ(Version(person), 5);
}

TEST_F(OutboxSenderTest, ManyChangesAreOneDeliveryOfTheNewest) {
  const Person person = world_.Register();
  world_.Deliver();
  for (int i = 0; i < 20; ++i) SetNewcomer(person, "traits " + std::to_string(i));
  EXPECT_EQ(world_.OutboxCount(Receiver::kMatching), 1);
  EXPECT_EQ(world_.OutboxCount(Receiver::kMessaging), 0);  // nothing that it keeps has changed
  const size_t batches = world_.matching.Batches().size();
  world_.Deliver();
  EXPECT_EQ(world_.matching.Batches().size(), batches + 1);
  EXPECT_EQ(world_.matching.Find(person.member)->newcomer, "traits 19");
  EXPECT_EQ(world_.matching.Find(person.member)->version, 21);
}

TEST_F(OutboxSenderTest, VersionsThatAReceiverSeesNeverFall) {
  const Person person = world_.Register();
  for (int i = 0; i < 5; ++i) {
    SetNewcomer(person, "traits");
    world_.Deliver();
  }
  int64_t last = 0;
  for (const auto& batch : world_.matching.Batches()) {
    ASSERT_EQ(batch.size(), 1u);
    EXPECT_GT(batch.front().version, last);
    last = batch.front().version;
  }
  EXPECT_EQ(last, 6);
}

TEST_F(OutboxSenderTest, AChangeDuringADeliveryIsDeliveredToo) {
  const Person person = world_.Register();
  const auto due =
      world_.store->DueOutbox(Receiver::kMatching, world_.clock.Now(), 100, absl::InfiniteFuture());
  ASSERT_EQ(due->size(), 1u);
  SetNewcomer(person, "newer");
  ASSERT_TRUE(world_.store->RemoveOutbox(Receiver::kMatching, *due, absl::InfiniteFuture()).ok());
  EXPECT_EQ(world_.OutboxCount(Receiver::kMatching), 1);
  world_.Deliver();
  EXPECT_EQ(world_.matching.Find(person.member)->newcomer, "newer");
}

TEST_F(OutboxSenderTest, WhatWasCommittedBeforeACrashIsStillSent) {
  const Person person = world_.Register();
  // The process that wrote it is gone; another sender begins on the same store.
  OutboxSender another(*world_.store, Receiver::kMatching, world_.matching, world_.clock,
                       world_.random);
  another.Run();
  EXPECT_TRUE(world_.matching.Find(person.member).has_value());
}

TEST_F(OutboxSenderTest, ADeliveryWhoseAnswerWasLostIsRepeated) {
  const Person person = world_.Register();
  const auto due =
      world_.store->DueOutbox(Receiver::kMatching, world_.clock.Now(), 100, absl::InfiniteFuture());
  ASSERT_TRUE(world_.matching.ApplyMembers({due->front().snapshot}, absl::InfiniteFuture()).ok());
  world_.Deliver();
  EXPECT_EQ(world_.matching.Batches().size(), 2u);
  EXPECT_EQ(world_.matching.Find(person.member)->version, 1);
  EXPECT_EQ(world_.OutboxCount(Receiver::kMatching), 0);
}

TEST_F(OutboxSenderTest, AReceiverThatIsDownIsTriedAgainWithGrowingPauses) {
  world_.Register();
  world_.matching.SetDown();
  world_.Deliver();
  EXPECT_EQ(world_.matching.Batches().size(), 1u);
  world_.Deliver();  // within the pause nothing is sent
  EXPECT_EQ(world_.matching.Batches().size(), 1u);
  EXPECT_EQ(world_.messaging.Batches().size(), 1u);  // the other receiver is not held up
  size_t tries = 1;
  for (absl::Duration pause = absl::Milliseconds(100); pause < absl::Seconds(10); pause *= 2) {
    world_.clock.Advance(pause);
    world_.Deliver();
    EXPECT_EQ(world_.matching.Batches().size(), ++tries) << pause;
  }
  EXPECT_GT(world_.to_matching->loop().failures(), 5);
  world_.matching.SetOutage(absl::OkStatus());
  world_.clock.Advance(absl::Seconds(10));
  world_.Deliver();
  EXPECT_EQ(world_.OutboxCount(Receiver::kMatching), 0);
}

TEST_F(OutboxSenderTest, BatchesHaveAtMostAHundredMembersEachOnce) {
  for (int i = 0; i < 230; ++i) world_.Register();
  world_.Deliver();
  size_t total = 0;
  for (const auto& batch : world_.matching.Batches()) {
    EXPECT_LE(batch.size(), 100u);
    total += batch.size();
  }
  EXPECT_EQ(total, 230u);
  EXPECT_EQ(world_.OutboxCount(Receiver::kMatching), 0);
}

TEST_F(OutboxSenderTest, AMemberThatIsRefusedHoldsUpNobodyAndIsNotDropped) {
  const Person first = world_.Register();
  const Person faulty = world_.Register();
  const Person last = world_.Register();
  world_.matching.Refuse(faulty.member);
  world_.Deliver();
  EXPECT_TRUE(world_.matching.Find(first.member).has_value());
  EXPECT_TRUE(world_.matching.Find(last.member).has_value());
  EXPECT_EQ(world_.OutboxCount(Receiver::kMatching), 1);
  const size_t batches = world_.matching.Batches().size();
  world_.Deliver();  // set aside for a while
  EXPECT_EQ(world_.matching.Batches().size(), batches);
  world_.matching.Refuse(MemberId());
  world_.clock.Advance(absl::Seconds(1));
  world_.Deliver();
  EXPECT_TRUE(world_.matching.Find(faulty.member).has_value());
}

TEST_F(OutboxSenderTest, AMemberThatCannotBeReadHereHoldsUpNobody) {
  const Person unreadable = world_.Register();
  const Person person = world_.Register();
  ASSERT_TRUE(
      world_.consent->Grant(world_.CallBy(unreadable, "g"), ConsentPurpose::kMatching, {"1", "en"})
          .ok());
  SetNewcomer(unreadable, "traits");
  ASSERT_TRUE(world_.database
                  ->Write(absl::InfiniteFuture(),
                          [&](storage::Transaction& transaction) {
                            return transaction
                                .Execute(
                                    "UPDATE profiles SET sealed_newcomer = sealed_pseudonym "
                                    "WHERE member_id = $1",
                                    {unreadable.member})
                                .status();
                          })
                  .ok());
  world_.Deliver();
  EXPECT_TRUE(world_.matching.Find(person.member).has_value());
  EXPECT_FALSE(world_.matching.Find(unreadable.member).has_value());
  EXPECT_EQ(world_.OutboxCount(Receiver::kMatching), 1);
}

TEST_F(OutboxSenderTest, BlocksGoFirst) {
  const Person person = world_.Register();
  const Person other = world_.Register();
  world_.matching.SetDown();
  ASSERT_TRUE(world_.safety->BlockMember(world_.CallBy(person, "b"), other.member)->pending);
  const auto due =
      world_.store->DueOutbox(Receiver::kMatching, world_.clock.Now(), 100, absl::InfiniteFuture());
  ASSERT_EQ(due->size(), 3u);
  EXPECT_EQ(due->front().kind, OutboxEntry::Kind::kBlock);
}

TEST_F(OutboxSenderTest, TheAgeIsOfTheOldestChangeNotYetSent) {
  EXPECT_FALSE(world_.store->GetOutboxState(Receiver::kMatching, absl::InfiniteFuture())
                   ->oldest.has_value());
  const absl::Time first = world_.clock.Now();
  const Person person = world_.Register();
  world_.clock.Advance(absl::Minutes(5));
  SetNewcomer(person, "newer");
  EXPECT_EQ(world_.store->GetOutboxState(Receiver::kMatching, absl::InfiniteFuture())->oldest,
            first);
}

TEST_F(OutboxSenderTest, ARevokedDeviceLeavesTheSnapshot) {
  const Person person = world_.Register();
  const auto second =
      world_.identity->AddDevice(world_.CallBy(person, "a"), world_.Prove(*world_.NewKey()));
  world_.Deliver();
  EXPECT_EQ(world_.messaging.Find(person.member)->devices.size(), 2u);
  ASSERT_TRUE(world_.identity->RevokeDevice(world_.CallBy(person, "r"), second->id).ok());
  world_.Deliver();
  EXPECT_THAT(world_.messaging.Find(person.member)->devices, ::testing::ElementsAre(person.device));
}

}  // namespace
}  // namespace handrail::profiles
