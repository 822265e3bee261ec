#include "services/profiles/domain/safety.h"

#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/profiles/testing/world.h"

namespace handrail::profiles {
namespace {

using testing::Person;
using testing::World;

class SafetyTest : public ::testing::Test {
 protected:
  absl::StatusOr<BlockResult> Block(const std::string& request_id) {
    return world_.safety->BlockMember(world_.CallBy(person_, request_id), other_.member);
  }

  World world_;
  Person person_ = world_.Register();
  Person other_ = world_.Register();
};

TEST_F(SafetyTest, ABlockIsConfirmedByBothReceivers) {
  const auto result = Block("1");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->pending);
  EXPECT_EQ(result->block.blocked, other_.member);
  EXPECT_TRUE(world_.matching.Has(result->block.id));
  EXPECT_TRUE(world_.messaging.Has(result->block.id));
  world_.Deliver();
  EXPECT_EQ(world_.matching.BlockCalls(), 1);  // the outbox has nothing left to say
  EXPECT_EQ(world_.OutboxCount(Receiver::kMatching), 0);
  EXPECT_EQ(world_.OutboxCount(Receiver::kMessaging), 0);
}

TEST_F(SafetyTest, ABlockIsPendingWhileAReceiverIsDownAndFinishedByTheOutbox) {
  world_.messaging.SetDown();
  const int wakes = world_.wakes;
  const auto result = Block("1");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->pending);
  EXPECT_GT(world_.wakes, wakes);
  EXPECT_TRUE(world_.matching.Has(result->block.id));
  world_.Deliver();
  EXPECT_FALSE(world_.messaging.Has(result->block.id));
  world_.messaging.SetOutage(absl::OkStatus());
  world_.clock.Advance(absl::Minutes(1));
  world_.Deliver();
  EXPECT_TRUE(world_.messaging.Has(result->block.id));
  EXPECT_FALSE(Block("1")->pending);
}

TEST_F(SafetyTest, AReceiverThatDoesNotAnswerDoesNotHoldTheCaller) {
  world_.matching.SetSilent();
  const auto result = Block("1");
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->pending);
  // An answer that comes later harms nobody.
  world_.matching.AnswerAll();
  world_.Deliver();
  EXPECT_TRUE(world_.matching.Has(result->block.id));
}

TEST_F(SafetyTest, BlockingTwiceReturnsTheFirstBlock) {
  const auto first = Block("1");
  world_.clock.Advance(absl::Hours(1));
  const auto second = Block("2");
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->block, first->block);
  EXPECT_FALSE(second->pending);
  EXPECT_EQ(world_.matching.BlockCalls(), 1);
}

TEST_F(SafetyTest, ARepetitionTriesAgainAndSaysHowThingsStand) {
  world_.matching.SetDown();
  world_.messaging.SetDown();
  const auto first = Block("1");
  EXPECT_TRUE(first->pending);
  EXPECT_TRUE(Block("1")->pending);
  world_.matching.SetOutage(absl::OkStatus());
  world_.messaging.SetOutage(absl::OkStatus());
  const auto repeated = Block("1");
  EXPECT_EQ(repeated->block, first->block);
  EXPECT_FALSE(repeated->pending);
}

TEST_F(SafetyTest, BothMayBlockEachOtherAndNeitherSeesTheOthers) {
  const auto by_one = Block("1");
  const auto by_other = world_.safety->BlockMember(world_.CallBy(other_, "1"), person_.member);
  ASSERT_TRUE(by_other.ok());
  EXPECT_NE(by_other->block.id, by_one->block.id);
  const auto listed = world_.safety->ListBlocks(world_.CallBy(other_), {});
  EXPECT_THAT(listed->items, ::testing::ElementsAre(by_other->block));
  // The other services hear of every block that concerns a member, whoever made it.
  const auto facts = world_.directory->GetMember(World::Anonymous(), person_.member);
  EXPECT_THAT(facts->blocks, ::testing::UnorderedElementsAre(by_one->block, by_other->block));
}

TEST_F(SafetyTest, OneselfAndNobodyCannotBeBlocked) {
  const auto oneself = world_.safety->BlockMember(world_.CallBy(person_, "1"), person_.member);
  EXPECT_EQ(oneself.status().code(), absl::StatusCode::kInvalidArgument);
  const auto nobody =
      world_.safety->BlockMember(world_.CallBy(person_, "2"), MemberId::Random(world_.random));
  EXPECT_EQ(nobody.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(world_.matching.BlockCalls(), 0);
}

TEST_F(SafetyTest, ARequestIdWithAnotherPersonIsRefused) {
  const Person third = world_.Register();
  ASSERT_TRUE(world_.safety->BlockMember(world_.CallBy(person_, "1", "other"), other_.member).ok());
  const auto reused =
      world_.safety->BlockMember(world_.CallBy(person_, "1", "third"), third.member);
  EXPECT_EQ(ReasonOf(reused.status()), reason::kRequestIdReused);
}

TEST_F(SafetyTest, BlocksAreListedNewestFirstByPage) {
  std::vector<MemberId> blocked;
  for (int i = 0; i < 5; ++i) {
    blocked.push_back(world_.Register().member);
    world_.clock.Advance(absl::Seconds(1));
    ASSERT_TRUE(
        world_.safety->BlockMember(world_.CallBy(person_, "b" + std::to_string(i)), blocked.back())
            .ok());
  }
  std::vector<MemberId> listed;
  PageRequest request{std::nullopt, 2};
  do {
    const auto page = world_.safety->ListBlocks(world_.CallBy(person_), request);
    ASSERT_TRUE(page.ok());
    for (const profiles::Block& block : page->items) listed.push_back(block.blocked);
    request.after = page->next;
  } while (request.after.has_value());
  std::reverse(blocked.begin(), blocked.end());
  EXPECT_EQ(listed, blocked);
}

}  // namespace
}  // namespace handrail::profiles
