#include <gtest/gtest.h>

#include "services/matching/adapters/engine_test_env.h"

// Offers side by side, as the engine makes and forgets them.
namespace handrail::matching {
namespace {

class EngineParallelTest : public EngineTestBase {
 protected:
  Ticket AskForContact(const MemberId& newcomer) {
    const auto ticket = env_.Open(env_.As(newcomer), RelationshipType::kTemporaryContact);
    EXPECT_TRUE(ticket.ok()) << ticket.status();
    matcher_->Notify(ticket->effects);
    return ticket->value;
  }
  void SetCapacity(const MemberId& sponsor, int capacity) {
    const auto set =
        env_.ledger->SetAvailability(env_.As(sponsor), env_.clock.Now(), capacity, true);
    ASSERT_TRUE(set.ok()) << set.status();
    matcher_->Notify(set->effects);
    RunRounds();
  }
  void RunRounds() {
    for (int i = 0; i < 5; ++i) {
      matcher_->RunRoundForTest();
      env_.clock.Advance(absl::Seconds(30));
    }
  }
};

TEST_F(EngineParallelTest, ASponsorWhoWasFullForAMomentIsAskedAgain) {
  const MemberId sponsor = Offer(1);
  const Ticket ticket = AskForContact(env_.AddNewcomer());
  RunRounds();
  ASSERT_EQ(StateOf(ticket), TicketState::kOffered);
  SetCapacity(sponsor, 0);
  EXPECT_EQ(StateOf(ticket), TicketState::kWaiting);
  SetCapacity(sponsor, 1);
  EXPECT_EQ(StateOf(ticket), TicketState::kOffered);
}

TEST_F(EngineParallelTest, WhenOneOfTwoOffersIsOverThatSponsorMayBeAskedAgain) {
  const MemberId one = Offer(1);
  Offer(1);
  const Ticket ticket = AskForContact(env_.AddNewcomer());
  RunRounds();
  ASSERT_EQ(env_.TicketNow(ticket).open_offers, 2);
  SetCapacity(one, 0);
  ASSERT_EQ(env_.TicketNow(ticket).open_offers, 1);
  ASSERT_EQ(StateOf(ticket), TicketState::kOffered);
  SetCapacity(one, 1);
  EXPECT_EQ(env_.TicketNow(ticket).open_offers, 2);
}

TEST_F(EngineParallelTest, WhoTakesATicketBackAndAsksAnewIsPutBeforeTheSameSponsor) {
  Offer(1);
  const MemberId newcomer = env_.AddNewcomer();
  const Ticket first = AskForContact(newcomer);
  RunRounds();
  ASSERT_EQ(StateOf(first), TicketState::kOffered);
  const auto cancelled = env_.ledger->CancelTicket(env_.As(newcomer), env_.clock.Now(), first.id);
  ASSERT_TRUE(cancelled.ok());
  matcher_->Notify(cancelled->effects);
  RunRounds();
  const Ticket second = AskForContact(newcomer);
  RunRounds();
  EXPECT_EQ(StateOf(second), TicketState::kOffered);
}

}  // namespace
}  // namespace handrail::matching
