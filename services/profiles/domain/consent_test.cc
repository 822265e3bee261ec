#include "services/profiles/domain/consent.h"

#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/profiles/testing/world.h"

namespace handrail::profiles {
namespace {

using testing::Person;
using testing::World;

class ConsentTest : public ::testing::Test {
 protected:
  MemberSnapshot Snapshot() {
    return world_.directory->GetMember(World::Anonymous(), person_.member)->snapshot;
  }
  absl::StatusOr<ConsentReceipt> Grant(const std::string& request_id,
                                       const std::string& version = "2026-01") {
    return world_.consent->Grant(world_.CallBy(person_, request_id), ConsentPurpose::kMatching,
                                 {version, "en"});
  }

  World world_;
  Person person_ = world_.Register();
};

TEST_F(ConsentTest, AgreeingTwiceReturnsTheSameReceipt) {
  const auto first = Grant("1");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->grant_time, world_.clock.Now());
  EXPECT_EQ(first->notice_language, "en");
  const int64_t version = Snapshot().version;
  world_.clock.Advance(absl::Hours(1));
  const auto second = Grant("2");
  EXPECT_EQ(*second, *first);
  EXPECT_EQ(Snapshot().version, version);
}

TEST_F(ConsentTest, AnotherNoticeIsAnotherReceiptWithoutAMomentBetween) {
  const auto first = Grant("1");
  world_.clock.Advance(absl::Hours(1));
  const auto second = Grant("2", "2026-02");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_NE(second->id, first->id);
  EXPECT_TRUE(Snapshot().consents_to_matching);
  const auto page = world_.consent->List(world_.CallBy(person_), {});
  ASSERT_EQ(page->items.size(), 2u);
  EXPECT_EQ(page->items[0], *second);
  EXPECT_EQ(page->items[1].id, first->id);
  EXPECT_EQ(page->items[1].withdraw_time, second->grant_time);
}

TEST_F(ConsentTest, WithdrawingTakesEffectAndKeepsTheReceipt) {
  const auto granted = Grant("1");
  ASSERT_TRUE(Snapshot().consents_to_matching);
  EXPECT_FALSE(Snapshot().consents_to_health_data);
  world_.clock.Advance(absl::Hours(1));
  const auto withdrawn =
      world_.consent->Withdraw(world_.CallBy(person_, "2"), ConsentPurpose::kMatching);
  ASSERT_TRUE(withdrawn.ok());
  EXPECT_EQ(withdrawn->id, granted->id);
  EXPECT_EQ(withdrawn->withdraw_time, world_.clock.Now());
  EXPECT_FALSE(Snapshot().consents_to_matching);
  const int64_t version = Snapshot().version;
  world_.clock.Advance(absl::Hours(1));
  EXPECT_EQ(*world_.consent->Withdraw(world_.CallBy(person_, "3"), ConsentPurpose::kMatching),
            *withdrawn);
  EXPECT_EQ(Snapshot().version, version);
  // Agreeing again is a new receipt.
  const auto again = Grant("4");
  EXPECT_NE(again->id, granted->id);
  EXPECT_TRUE(Snapshot().consents_to_matching);
}

TEST_F(ConsentTest, WithdrawingWhatWasNeverGivenIsNotFound) {
  const auto withdrawn =
      world_.consent->Withdraw(world_.CallBy(person_, "1"), ConsentPurpose::kHealthData);
  EXPECT_EQ(withdrawn.status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ConsentTest, ARepeatedRequestGetsItsFirstAnswerEvenAfterAWithdrawal) {
  const auto granted = Grant("1");
  ASSERT_TRUE(
      world_.consent->Withdraw(world_.CallBy(person_, "2"), ConsentPurpose::kMatching).ok());
  EXPECT_EQ(*Grant("1"), *granted);
  EXPECT_FALSE(Snapshot().consents_to_matching);
}

TEST_F(ConsentTest, GivingAndTakingBackInOneInstantLeavesOneThatStands) {
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(Grant("g" + std::to_string(i)).ok());
    ASSERT_TRUE(
        world_.consent
            ->Withdraw(world_.CallBy(person_, "w" + std::to_string(i)), ConsentPurpose::kMatching)
            .ok());
    EXPECT_FALSE(Snapshot().consents_to_matching);
  }
  ASSERT_TRUE(Grant("last").ok());
  EXPECT_TRUE(Snapshot().consents_to_matching);
}

TEST_F(ConsentTest, OnlyOwnReceiptsAreListedByPage) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(Grant("g" + std::to_string(i), "v" + std::to_string(i)).ok());
    world_.clock.Advance(absl::Seconds(1));
  }
  const Person other = world_.Register();
  EXPECT_TRUE(world_.consent->List(world_.CallBy(other), {})->items.empty());
  std::vector<std::string> versions;
  PageRequest request{std::nullopt, 2};
  do {
    const auto page = world_.consent->List(world_.CallBy(person_), request);
    ASSERT_TRUE(page.ok());
    for (const ConsentReceipt& receipt : page->items) versions.push_back(receipt.notice_version);
    request.after = page->next;
  } while (request.after.has_value());
  EXPECT_THAT(versions, ::testing::ElementsAre("v4", "v3", "v2", "v1", "v0"));
}

}  // namespace
}  // namespace handrail::profiles
