#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "services/matching/adapters/choose_engine_env.h"
#include "services/matching/stores/operator_ledger_sql.h"

// Let me choose, from the choice to the offer: the real ledger, queue and matcher.
namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ChooseEngineTest : public ChooseEngineEnv {};

TEST_F(ChooseEngineTest, ATicketThatIsToBeChosenForIsPutBeforeNobody) {
  AddSponsors(3);
  const Ticket ticket = AskToChoose();
  matcher_->RunRoundForTest();
  chosen_->Sweep();
  EXPECT_EQ(StateOf(ticket), TicketState::kWaiting);
  EXPECT_THAT(Asked(), IsEmpty());
}

TEST_F(ChooseEngineTest, TheNewcomersOrderIsFollowed) {
  AddSponsors(6);
  const Ticket ticket = AskToChoose();
  matcher_->RunRoundForTest();
  const std::vector<std::string> handles = Handles(ticket);
  ASSERT_THAT(handles, SizeIs(5));
  const std::vector<std::string> order = {handles[3], handles[0]};
  ASSERT_TRUE(Choose(ticket, order).ok());
  matcher_->RunRoundForTest();
  chosen_->Sweep();
  ASSERT_THAT(Asked(), ElementsAre(SponsorOf(ticket, order[0])));
  EXPECT_EQ(StateOf(ticket), TicketState::kOffered);
  EXPECT_EQ(Depth().claimed, 0);
  const MemberId first = SponsorOf(ticket, order[0]);
  const auto declined =
      env_.ledger->DeclineOffer(env_.As(first), env_.clock.Now(), OpenOfferOf(first));
  ASSERT_TRUE(declined.ok());
  matcher_->Notify(declined->effects);
  matcher_->RunRoundForTest();
  chosen_->Sweep();
  const MemberId second = SponsorOf(ticket, order[1]);
  ASSERT_THAT(Asked(), ElementsAre(second));
  const auto accepted =
      env_.ledger->AcceptOffer(env_.As(second), env_.clock.Now(), OpenOfferOf(second));
  ASSERT_TRUE(accepted.ok());
  EXPECT_EQ(StateOf(ticket), TicketState::kPaired);
  env_.ExpectWhole();
}

TEST_F(ChooseEngineTest, WhenNobodyIsLeftHandrailGoesOnOnlyWhereItMay) {
  AddSponsors(6);
  for (const bool may : {false, true}) {
    const Ticket ticket = AskToChoose();
    matcher_->RunRoundForTest();
    const std::vector<std::string> handles = Handles(ticket);
    ASSERT_FALSE(handles.empty());
    const MemberId chosen = SponsorOf(ticket, handles[0]);
    ASSERT_TRUE(Choose(ticket, {handles[0]}, may).ok());
    chosen_->Sweep();
    ASSERT_EQ(StateOf(ticket), TicketState::kOffered);
    const auto declined =
        env_.ledger->DeclineOffer(env_.As(chosen), env_.clock.Now(), OpenOfferOf(chosen));
    ASSERT_TRUE(declined.ok());
    matcher_->Notify(declined->effects);
    matcher_->RunRoundForTest();
    chosen_->Sweep();
    matcher_->RunRoundForTest();
    EXPECT_EQ(StateOf(ticket), may ? TicketState::kOffered : TicketState::kWaiting);
    EXPECT_EQ(env_.TicketNow(ticket).choosing, !may);
  }
}

TEST_F(ChooseEngineTest, WhoeverHasNoSeatWhenTheirTurnComesIsPassedOver) {
  AddSponsors(6);
  const Ticket ticket = AskToChoose();
  matcher_->RunRoundForTest();
  const std::vector<std::string> handles = Handles(ticket);
  ASSERT_THAT(handles, SizeIs(5));
  const MemberId gone = SponsorOf(ticket, handles[0]);
  ASSERT_TRUE(env_.ledger->SetAvailability(env_.As(gone), env_.clock.Now(), 0, false).ok());
  ASSERT_TRUE(env_.ledger
                  ->ApplyBlock(absl::InfiniteFuture(), env_.clock.Now(),
                               BlockId::Random(env_.random), ticket.newcomer,
                               SponsorOf(ticket, handles[1]))
                  .ok());
  ASSERT_TRUE(Choose(ticket, {handles[0], handles[1], handles[2]}).ok());
  matcher_->RunRoundForTest();
  chosen_->Sweep();
  EXPECT_THAT(Asked(), ElementsAre(SponsorOf(ticket, handles[2])));
}

TEST_F(ChooseEngineTest, WithRedisDownTheLedgerDecidesAlone) {
  AddSponsors(6);
  const Ticket ticket = AskToChoose();
  matcher_->RunRoundForTest();
  const std::vector<std::string> handles = Handles(ticket);
  ASSERT_FALSE(handles.empty());
  ASSERT_TRUE(Choose(ticket, {handles[0]}).ok());
  server_.Stop();
  AwaitRedis(false);
  chosen_->Sweep();
  EXPECT_EQ(StateOf(ticket), TicketState::kOffered);
}

TEST_F(ChooseEngineTest, AClaimThatIsRefusedIsTriedAgain) {
  AddSponsors(6);
  const Ticket ticket = AskToChoose();
  const std::vector<std::string> handles = Handles(ticket);
  ASSERT_TRUE(Choose(ticket, {handles[0]}).ok());
  // The queue has not heard of the ticket yet.
  chosen_->Sweep();
  EXPECT_EQ(StateOf(ticket), TicketState::kWaiting);
  chosen_->Sweep();
  EXPECT_EQ(StateOf(ticket), TicketState::kOffered);
}

TEST_F(ChooseEngineTest, InADrainedPoolTheChoiceWaitsInItsOrderAndGoesOnAfterwards) {
  SqlOperatorLedger operators(
      *env_.database, env_.vault, env_.pools, env_.random, BuiltInPrograms(), LedgerOptions(),
      OperatorRecord([](absl::string_view bytes) { return crypto::HmacSha256("key", bytes); }));
  AddSponsors(6);
  const Ticket ticket = AskToChoose();
  matcher_->RunRoundForTest();
  const std::vector<std::string> handles = Handles(ticket);
  ASSERT_THAT(handles, SizeIs(5));
  ASSERT_TRUE(Choose(ticket, {handles[2], handles[1]}).ok());
  matcher_->RunRoundForTest();
  chosen_->Sweep();
  ASSERT_THAT(Asked(), ElementsAre(SponsorOf(ticket, handles[2])));
  Call call = env_.As(MemberId::Random(env_.random));
  call.who.kind = Principal::Kind::kOperator;
  const auto drained = operators.DrainPool(call, env_.clock.Now(), pool_, absl::Hours(1));
  ASSERT_TRUE(drained.ok()) << drained.status();
  EXPECT_EQ(drained->value, 1);
  // Neither the event nor the sweep makes an offer, and nobody is passed over, seat or not.
  ASSERT_TRUE(
      env_.ledger
          ->SetAvailability(env_.As(SponsorOf(ticket, handles[2])), env_.clock.Now(), 0, false)
          .ok());
  EXPECT_TRUE(chosen_->OfferNext(ticket.id).ok());
  chosen_->Sweep();
  EXPECT_THAT(Asked(), IsEmpty());
  EXPECT_EQ(env_.TicketNow(ticket).chosen_left, 2);
  ASSERT_TRUE(
      env_.ledger
          ->SetAvailability(env_.As(SponsorOf(ticket, handles[2])), env_.clock.Now(), 1, true)
          .ok());
  env_.clock.Advance(absl::Hours(1));
  matcher_->Notify(drained->effects);
  matcher_->RunRoundForTest();
  chosen_->Sweep();
  chosen_->Sweep();  // the first one told the queue where the two stand
  EXPECT_THAT(Asked(), ElementsAre(SponsorOf(ticket, handles[2])));
  env_.ExpectWhole();
}

TEST_F(ChooseEngineTest, ASweepForgetsChoicesOfClosedTicketsAndWhatWasSeen) {
  AddSponsors(2);
  sweeper_->AddTrim("choices", [this](absl::Time deadline, absl::Time now, int limit) {
    return choices_.Trim(deadline, now, limit);
  });
  const Ticket ticket = AskToChoose();
  ASSERT_TRUE(choices_
                  .SetChoice(env_.As(ticket.newcomer), env_.clock.Now(), ticket.id,
                             {{sponsors_[0], {}}, {sponsors_[1], {}}}, false)
                  .ok());
  ASSERT_TRUE(
      choices_.Show(env_.As(ticket.newcomer), env_.clock.Now(), Question(), sponsors_, 5, {}).ok());
  ASSERT_TRUE(
      env_.ledger->CancelTicket(env_.As(ticket.newcomer), env_.clock.Now(), ticket.id).ok());
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM ticket_choices"), 2);
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM candidates_seen"), 2);
  env_.clock.Advance(absl::Hours(72));
  sweeper_->Sweep();
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM ticket_choices"), 0);
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM candidates_seen"), 0);
}

TEST_F(ChooseEngineTest, AnOfferTellsTheNewcomerNoMoreThanTheListDid) {
  AddSponsors(6);  // none of whom shows how they like to be in touch
  const Ticket ticket = AskToChoose();
  matcher_->RunRoundForTest();
  const auto list = List(ticket);
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_FALSE(list->candidates.empty());
  const auto& shown = list->candidates.front();
  EXPECT_THAT(shown.view.reasons, ElementsAre(MatchReason::kAvailability));
  ASSERT_TRUE(Choose(ticket, {shown.handle}).ok());
  matcher_->RunRoundForTest();
  chosen_->Sweep();
  const MemberId sponsor = SponsorOf(ticket, shown.handle);
  ASSERT_THAT(Asked(), ElementsAre(sponsor));
  const auto theirs = env_.ledger->ListOffers(env_.As(sponsor), false, 10, std::nullopt);
  ASSERT_TRUE(theirs.ok());
  EXPECT_THAT(theirs->items.at(0).explanation.reasons, ::testing::Contains(MatchReason::kContact));
  const auto mine = env_.ledger->FindOpenOffer(env_.As(ticket.newcomer), ticket.id);
  ASSERT_TRUE(mine.ok() && mine->has_value()) << mine.status();
  EXPECT_THAT((*mine)->explanation.reasons, ElementsAre(MatchReason::kAvailability));
}

TEST_F(ChooseEngineTest, TheMatcherTellsWhoIsInAPool) {
  AddSponsors(3);
  matcher_->Start();
  const auto ids = matcher_->SponsorsIn(env_.clock.Now() + absl::Seconds(10), pool_);
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_THAT(*ids, ::testing::UnorderedElementsAreArray(sponsors_));
  matcher_->Stop();
  EXPECT_FALSE(matcher_->SponsorsIn(env_.clock.Now() + absl::Seconds(10), pool_).ok());
}

// Offers side by side go through the queue like all others.
TEST_F(ChooseEngineTest, ATemporaryContactIsPutBeforeThreeAtOnce) {
  AddSponsors(5);
  const auto ticket = env_.Open(env_.As(env_.AddNewcomer()), RelationshipType::kTemporaryContact);
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  matcher_->Notify(ticket->effects);
  matcher_->RunRoundForTest();
  EXPECT_THAT(Asked(), SizeIs(3));
  EXPECT_EQ(StateOf(ticket->value), TicketState::kOffered);
  EXPECT_EQ(matcher_->Stats().claims_refused, 0);
  // One passes it on: the fourth is asked.
  const MemberId first = Asked().front();
  const auto declined =
      env_.ledger->DeclineOffer(env_.As(first), env_.clock.Now(), OpenOfferOf(first));
  ASSERT_TRUE(declined.ok());
  matcher_->Notify(declined->effects);
  matcher_->RunRoundForTest();
  const std::vector<MemberId> asked = Asked();
  EXPECT_THAT(asked, SizeIs(3));
  EXPECT_EQ(std::count(asked.begin(), asked.end(), first), 0);
  EXPECT_EQ(Depth().claimed, 0);
  env_.ExpectWhole();
}

// One of three passed it on, so that there is room for one more; then everything in memory is lost.
TEST_F(ChooseEngineTest, ATicketWithRoomForMoreOffersIsQueuedAndLoadedAgain) {
  AddSponsors(2);
  const auto ticket = env_.Open(env_.As(env_.AddNewcomer()), RelationshipType::kTemporaryContact);
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  matcher_->Notify(ticket->effects);
  matcher_->RunRoundForTest();
  ASSERT_THAT(Asked(), SizeIs(2));
  ASSERT_EQ(StateOf(ticket->value), TicketState::kOffered);
  ASSERT_TRUE(reconciler_->Reconcile().ok());
  EXPECT_EQ(Depth().waiting, 1);
  server_.FlushAll();
  ASSERT_EQ(Depth().waiting, 0);
  // By a reconciler and a matcher that know nothing of it, and with no mark to be sent again.
  env_.Execute("UPDATE tickets SET index_pending = 0");
  matcher_ = NewMatcher();
  matcher_->RunRoundForTest();
  reconciler_ = NewReconciler();
  ASSERT_TRUE(reconciler_->Reconcile().ok());
  EXPECT_EQ(Depth().waiting, 1) << "queued by the rebuild";
  const MemberId third = Offer(1);
  sponsors_.push_back(third);
  // The other two are not known to have it yet: a refused search is repeated a little later.
  for (int round = 0; round < 20 && Asked().size() < 3; ++round) {
    matcher_->RunRoundForTest();
    env_.clock.Advance(absl::Milliseconds(500));
  }
  EXPECT_THAT(Asked(), SizeIs(3));
  matcher_->RunRoundForTest();
  ASSERT_TRUE(reconciler_->Reconcile().ok());
  server_.FlushAll();
  reconciler_ = NewReconciler();
  ASSERT_TRUE(reconciler_->Reconcile().ok());
  EXPECT_EQ(Depth().waiting, 0) << "three are as many as may be";
  env_.ExpectWhole();
}

}  // namespace
}  // namespace handrail::matching
