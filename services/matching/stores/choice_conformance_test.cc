#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "services/matching/stores/choice_store_fixture.h"

// Whom newcomers choose, and offers side by side, on every backend.
namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr absl::Time kNever = absl::InfiniteFuture();

class ChoiceConformanceTest : public ChoiceStoreFixture {};

TEST_P(ChoiceConformanceTest, ATicketKeepsWhatTheNewcomerWeighs) {
  Importance importance;
  importance.Set(FactorCode::kLocality, Emphasis::kMore);
  importance.Set(FactorCode::kSubstance, Emphasis::kOff);
  const Ticket ticket = Ask(env_.AddNewcomer(), false, RelationshipType::kSponsor, importance);
  EXPECT_EQ(ticket.importance, importance);
  EXPECT_FALSE(ticket.choosing);
  EXPECT_EQ(env_.TicketNow(ticket).importance, importance);
  const auto waiting = env_.ledger->LoadWaiting(kNever, ticket.pool, 10, std::nullopt);
  ASSERT_TRUE(waiting.ok());
  EXPECT_EQ(waiting->front().importance, importance);
}

TEST_P(ChoiceConformanceTest, TheChosenAreOfferedInOrderAndNobodyElse) {
  const std::vector<MemberId> sponsors = Sponsors(3);
  const Ticket ticket = Ask(env_.AddNewcomer());
  EXPECT_TRUE(ticket.choosing);
  // Nobody was chosen yet: a search that does not know it is refused.
  EXPECT_TRUE(HasReason(OfferTo(ticket, sponsors[0]).status(), reason::kTicketNotOpen));
  const auto chosen = Choose(ticket, {sponsors[1], sponsors[0]});
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  EXPECT_EQ(chosen->value.chosen_left, 2);
  ASSERT_EQ(chosen->effects.tickets.size(), 1u);
  EXPECT_TRUE(chosen->effects.tickets[0].choosing);

  EXPECT_EQ(NextOf(ticket), sponsors[1]);
  EXPECT_TRUE(HasReason(OfferTo(ticket, sponsors[0]).status(), reason::kTicketNotOpen));
  EXPECT_TRUE(HasReason(OfferTo(ticket, sponsors[2]).status(), reason::kTicketNotOpen));
  const auto first = OfferTo(ticket, sponsors[1]);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->effects.tickets.back().chosen_left, 1);
  EXPECT_EQ(NextOf(ticket), std::nullopt);  // it does not wait
  Decline(sponsors[1], first->value.id);
  EXPECT_EQ(NextOf(ticket), sponsors[0]);
  const auto second = OfferTo(ticket, sponsors[0]);
  ASSERT_TRUE(second.ok()) << second.status();
  Decline(sponsors[0], second->value.id);

  // Nobody is left, and Handrail was not asked to go on.
  const Ticket now = env_.TicketNow(ticket);
  EXPECT_EQ(now.state, TicketState::kWaiting);
  EXPECT_TRUE(now.choosing);
  EXPECT_EQ(now.chosen_left, 0);
  EXPECT_EQ(now.create_time, ticket.create_time);
  EXPECT_TRUE(HasReason(OfferTo(ticket, sponsors[2]).status(), reason::kTicketNotOpen));
  ASSERT_TRUE(Choose(ticket, {sponsors[2]}).ok());
  EXPECT_EQ(NextOf(ticket), sponsors[2]);
  env_.ExpectWhole();
}

TEST_P(ChoiceConformanceTest, HandrailGoesOnWhereTheNewcomerAllowedIt) {
  const std::vector<MemberId> sponsors = Sponsors(2);
  const Ticket ticket = Ask(env_.AddNewcomer());
  ASSERT_TRUE(Choose(ticket, {sponsors[0]}, true).ok());
  const auto offer = OfferTo(ticket, sponsors[0]);
  ASSERT_TRUE(offer.ok());
  EXPECT_TRUE(env_.TicketNow(ticket).choosing);
  env_.clock.Advance(absl::Hours(25));
  const auto effects = env_.ledger->TimeOutOffers(kNever, env_.clock.Now(), 10);
  ASSERT_TRUE(effects.ok());
  EXPECT_FALSE(effects->tickets.back().choosing);
  EXPECT_EQ(effects->tickets.back().state, TicketState::kWaiting);
  EXPECT_TRUE(OfferTo(ticket, sponsors[1]).ok());
  EXPECT_TRUE(HasReason(Choose(ticket, {sponsors[0]}).status(), reason::kChoiceNotExpected));
}

TEST_P(ChoiceConformanceTest, WhoeverCannotBeAskedIsPassedOver) {
  const std::vector<MemberId> sponsors = Sponsors(3);
  const Ticket ticket = Ask(env_.AddNewcomer());
  ASSERT_TRUE(Choose(ticket, sponsors, true).ok());
  const auto now = [this] { return env_.clock.Now(); };
  EXPECT_TRUE(choices_.PassOver(kNever, now(), ticket.id, sponsors[1])->empty());  // not next
  const auto passed = choices_.PassOver(kNever, now(), ticket.id, sponsors[0]);
  ASSERT_TRUE(passed.ok());
  EXPECT_EQ(passed->tickets.back().chosen_left, 2);
  EXPECT_TRUE(choices_.PassOver(kNever, now(), ticket.id, sponsors[0])->empty());
  ASSERT_TRUE(choices_.PassOver(kNever, now(), ticket.id, sponsors[1]).ok());
  const auto last = choices_.PassOver(kNever, now(), ticket.id, sponsors[2]);
  ASSERT_TRUE(last.ok());
  EXPECT_FALSE(last->tickets.back().choosing);
}

TEST_P(ChoiceConformanceTest, DueAreThoseWhoWaitAndHaveSomebodyToAsk) {
  const std::vector<MemberId> sponsors = Sponsors(3);
  const Ticket due = Ask(env_.AddNewcomer());
  const Ticket undecided = Ask(env_.AddNewcomer());
  const Ticket offered = Ask(env_.AddNewcomer());
  Ask(env_.AddNewcomer(), false);
  ASSERT_TRUE(Choose(due, {sponsors[0]}).ok());
  ASSERT_TRUE(Choose(offered, {sponsors[1], sponsors[2]}).ok());
  ASSERT_TRUE(OfferTo(offered, sponsors[1]).ok());
  EXPECT_THAT(*choices_.ListDue(kNever, env_.clock.Now(), 10, TicketId()),
              UnorderedElementsAre(due.id));
  EXPECT_THAT(*choices_.ListDue(kNever, env_.clock.Now(), 10, due.id), IsEmpty());
  ASSERT_TRUE(env_.ledger->CancelTicket(env_.As(due.newcomer), env_.clock.Now(), due.id).ok());
  EXPECT_THAT(*choices_.ListDue(kNever, env_.clock.Now(), 10, TicketId()), IsEmpty());
  EXPECT_GT(*choices_.Trim(kNever, env_.clock.Now(), 100), 0);
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM ticket_choices"), 2);
  EXPECT_EQ(NextOf(undecided), std::nullopt);
}

TEST_P(ChoiceConformanceTest, AChoiceIsTheNewcomersOwnAndIsRepeatable) {
  const std::vector<MemberId> sponsors = Sponsors(2);
  const Ticket ticket = Ask(env_.AddNewcomer());
  const MemberId stranger = env_.AddNewcomer();
  EXPECT_TRUE(HasReason(
      choices_
          .SetChoice(env_.As(stranger), env_.clock.Now(), ticket.id, Untold({sponsors[0]}), false)
          .status(),
      reason::kNotFound));
  ASSERT_TRUE(Choose(ticket, {sponsors[0]}, false, "one").ok());
  ASSERT_TRUE(Choose(ticket, {sponsors[1]}, false, "two").ok());
  const auto again = Choose(ticket, {sponsors[0]}, false, "one");
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->effects.empty());
  EXPECT_EQ(NextOf(ticket), sponsors[1]);
  EXPECT_TRUE((*choices_.FindSetChoiceAnswer(env_.As(ticket.newcomer, "one"))).has_value());
  EXPECT_FALSE((*choices_.FindSetChoiceAnswer(env_.As(ticket.newcomer, "three"))).has_value());
  ASSERT_TRUE(
      env_.ledger->CancelTicket(env_.As(ticket.newcomer), env_.clock.Now(), ticket.id).ok());
  EXPECT_TRUE(HasReason(Choose(ticket, {sponsors[0]}).status(), reason::kTicketNotOpen));
}

TEST_P(ChoiceConformanceTest, ABudgetHoldsOverTicketsAndEndsWithTheDay) {
  const std::vector<MemberId> sponsors = Sponsors(12);
  const MemberId newcomer = env_.AddNewcomer();
  std::vector<MemberId> rest(sponsors.begin() + 5, sponsors.end());
  EXPECT_EQ(Show(newcomer, sponsors, 5, 8).people.size(), 5u);
  EXPECT_EQ(Show(newcomer, sponsors, 5, 8).people_left, 3);  // the same people again
  const auto three = Show(newcomer, rest, 5, 8);
  EXPECT_EQ(three.people, std::vector<MemberId>(rest.begin(), rest.begin() + 3));
  EXPECT_EQ(three.people_left, 0);
  // Cancelling and asking anew changes nothing.
  std::vector<MemberId> reversed(sponsors.rbegin(), sponsors.rend());
  for (const MemberId& shown : Show(newcomer, reversed, 5, 8).people) {
    EXPECT_LT(std::find(sponsors.begin(), sponsors.end(), shown) - sponsors.begin(), 8);
  }
  EXPECT_EQ(Show(env_.AddNewcomer(), reversed, 5, 8).people.front(), sponsors[11]);
  env_.clock.Advance(absl::Hours(24));
  EXPECT_EQ(Show(newcomer, reversed, 5, 8).people.front(), sponsors[11]);
  env_.clock.Advance(absl::Hours(72));
  EXPECT_GT(*choices_.Trim(kNever, env_.clock.Now(), 1000), 0);
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM candidates_seen"), 0);
}

TEST_P(ChoiceConformanceTest, AnErasedMemberIsInNoChoiceAndHasSeenNobody) {
  const std::vector<MemberId> sponsors = Sponsors(3);
  const MemberId erased = sponsors[0];
  const auto erase = [&](const MemberId& id) {
    MemberTraits gone;
    gone.member = id;
    gone.version = 9;
    gone.standing = Standing::kErased;
    auto effects = env_.ledger->ApplyMember(kNever, env_.clock.Now(), gone);
    ASSERT_TRUE(effects.ok()) << effects.status();
  };
  const Ticket only = Ask(env_.AddNewcomer());
  const Ticket only_mine = Ask(env_.AddNewcomer());
  const Ticket first = Ask(env_.AddNewcomer());
  const Ticket offered = Ask(env_.AddNewcomer());
  ASSERT_TRUE(Choose(only, {erased}, true).ok());
  ASSERT_TRUE(Choose(only_mine, {erased}, false).ok());
  ASSERT_TRUE(Choose(first, {erased, sponsors[1]}, true).ok());
  ASSERT_TRUE(Choose(offered, {sponsors[2], erased}, true).ok());
  const auto offer = OfferTo(offered, sponsors[2]);
  ASSERT_TRUE(offer.ok()) << offer.status();
  erase(erased);
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM ticket_choices"), 2) << "one for each other sponsor";
  EXPECT_FALSE(env_.TicketNow(only).choosing) << "Handrail goes on, as the newcomer allowed";
  EXPECT_TRUE(env_.TicketNow(only_mine).choosing) << "the newcomer may choose anew";
  EXPECT_TRUE(env_.TicketNow(first).choosing);
  EXPECT_EQ(NextOf(first), sponsors[1]);
  EXPECT_GT(env_.TicketNow(only).version, only.version) << "the index is to hear of it";
  Decline(sponsors[2], offer->value.id);
  EXPECT_FALSE(env_.TicketNow(offered).choosing);

  Show(first.newcomer, sponsors);
  Show(only.newcomer, sponsors);
  erase(first.newcomer);
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM ticket_choices"), 1) << "what they chose is gone";
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM candidates_seen"), 3) << "and what they were shown";
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM candidate_questions"), 1) << "and what they asked";
  env_.ExpectWhole();
}

TEST_P(ChoiceConformanceTest, ATrimTakesTheChoicesOfClosedTicketsOnly) {
  const std::vector<MemberId> sponsors = Sponsors(2);
  const Ticket open = Ask(env_.AddNewcomer());
  const Ticket closed = Ask(env_.AddNewcomer());
  ASSERT_TRUE(Choose(open, {sponsors[0], sponsors[1]}).ok());
  ASSERT_TRUE(Choose(closed, {sponsors[0], sponsors[1]}).ok());
  ASSERT_TRUE(
      env_.ledger->CancelTicket(env_.As(closed.newcomer), env_.clock.Now(), closed.id).ok());
  Show(open.newcomer, sponsors);
  EXPECT_EQ(*choices_.Trim(kNever, env_.clock.Now(), 1), 1) << "no more than it may";
  EXPECT_EQ(*choices_.Trim(kNever, env_.clock.Now(), 10), 1);
  EXPECT_EQ(*choices_.Trim(kNever, env_.clock.Now(), 10), 0);
  EXPECT_EQ(NextOf(open), sponsors[0]);
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM candidates_seen"), 2) << "today's stay";
}

TEST_P(ChoiceConformanceTest, ListsAtOnceDoNotShowMoreTogether) {
  const std::vector<MemberId> sponsors = Sponsors(20);
  const MemberId newcomer = env_.AddNewcomer();
  std::vector<std::thread> threads;
  Mutex mutex;
  std::set<MemberId> seen;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i, call = env_.As(newcomer)] {
      const std::vector<MemberId> mine(sponsors.begin() + 5 * i, sponsors.begin() + 5 * i + 5);
      const auto shown = choices_.Show(call, env_.clock.Now(), About(1), mine, 5, {8, 3});
      ASSERT_TRUE(shown.ok()) << shown.status();
      MutexLock lock(mutex);
      seen.insert(shown->people.begin(), shown->people.end());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen.size(), 8u);
}

TEST_P(ChoiceConformanceTest, ChoosingAndCancellingAtOnceLeavesOneOfThem) {
  for (int round = 0; round < 20; ++round) {
    const MemberId sponsor = env_.AddSponsor(1);
    const Ticket ticket = Ask(env_.AddNewcomer());
    ASSERT_TRUE(Choose(ticket, {sponsor}).ok());
    const Proposal proposal = env_.Propose(ticket, sponsor);
    const Call cancel = env_.As(ticket.newcomer);
    const Call choose = env_.As(ticket.newcomer);
    std::thread first(
        [&] { EXPECT_TRUE(env_.ledger->CancelTicket(cancel, env_.clock.Now(), ticket.id).ok()); });
    std::thread second(
        [&] { env_.ledger->MakeOffer(kNever, env_.clock.Now(), proposal).status().IgnoreError(); });
    choices_.SetChoice(choose, env_.clock.Now(), ticket.id, Untold({sponsor}), true)
        .status()
        .IgnoreError();
    first.join();
    second.join();
    EXPECT_EQ(env_.TicketNow(ticket).state, TicketState::kCancelled);
    EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM offers WHERE state = 1"), 0);
    EXPECT_EQ(env_.SeatsOf(sponsor).open_offer_count, 0);
  }
  env_.ExpectWhole();
}

TEST_P(ChoiceConformanceTest, OfAnOfferTheNewcomerHearsTheReasonsThatTheyWereTold) {
  const std::vector<MemberId> sponsors = Sponsors(3);
  const Ticket ticket = Ask(env_.AddNewcomer());
  const auto reasons = [&] {
    const auto offer = env_.ledger->FindOpenOffer(env_.As(ticket.newcomer), ticket.id);
    EXPECT_TRUE(offer.ok() && offer->has_value()) << offer.status();
    return (*offer)->explanation.reasons;
  };
  const auto offer_to = [&](const MemberId& sponsor) {
    Proposal proposal = env_.Propose(ticket, sponsor);
    proposal.explanation.reasons = {MatchReason::kSubstance, MatchReason::kPathway,
                                    MatchReason::kLifeStage};
    const auto offer = env_.ledger->MakeOffer(kNever, env_.clock.Now(), proposal);
    EXPECT_TRUE(offer.ok()) << offer.status();
    return offer->value.id;
  };
  const Chosen first = {sponsors[0], {MatchReason::kPathway, MatchReason::kHasTime}};
  ASSERT_TRUE(choices_
                  .SetChoice(env_.As(ticket.newcomer), env_.clock.Now(), ticket.id,
                             {first, {sponsors[1], {}}}, true)
                  .ok());
  const OfferId offer = offer_to(sponsors[0]);
  EXPECT_THAT(reasons(), ElementsAre(MatchReason::kPathway));
  // To the sponsor all is told.
  const auto theirs = env_.ledger->ListOffers(env_.As(sponsors[0]), false, 10, std::nullopt);
  ASSERT_TRUE(theirs.ok());
  EXPECT_EQ(theirs->items.at(0).explanation.reasons.size(), 3u);
  Decline(sponsors[0], offer);
  const OfferId second = offer_to(sponsors[1]);
  EXPECT_THAT(reasons(), IsEmpty());
  // Chosen anew while it is open: what was told of this one is not known any more.
  ASSERT_TRUE(choices_
                  .SetChoice(env_.As(ticket.newcomer), env_.clock.Now(), ticket.id,
                             {{sponsors[2], {MatchReason::kPathway}}}, true)
                  .ok());
  EXPECT_THAT(reasons(), IsEmpty());
  Decline(sponsors[1], second);
  const OfferId third = offer_to(sponsors[2]);
  EXPECT_THAT(reasons(), ElementsAre(MatchReason::kPathway));
  // Where Handrail goes on, its offers are explained like all of its offers.
  Decline(sponsors[2], third);
  EXPECT_FALSE(env_.TicketNow(ticket).choosing);
  const MemberId fourth = env_.AddSponsor(1);
  offer_to(fourth);
  EXPECT_EQ(reasons().size(), 3u);
}

TEST_P(ChoiceConformanceTest, ABlockBeatsTheChoice) {
  const MemberId sponsor = env_.AddSponsor(1);
  const Ticket ticket = Ask(env_.AddNewcomer());
  ASSERT_TRUE(Choose(ticket, {sponsor}).ok());
  ASSERT_TRUE(env_.ledger
                  ->ApplyBlock(kNever, env_.clock.Now(), BlockId::Random(env_.random), sponsor,
                               ticket.newcomer)
                  .ok());
  EXPECT_TRUE(HasReason(OfferTo(ticket, sponsor).status(), reason::kRelationshipNotOffered));
}

// Side by side: TEMPORARY_CONTACT.

TEST_P(ChoiceConformanceTest, ATicketStaysOfferedUntilNoneIsOpen) {
  const std::vector<MemberId> sponsors = Sponsors(4);
  const Ticket ticket = Ask(env_.AddNewcomer(), false, RelationshipType::kTemporaryContact);
  std::vector<OfferId> offers;
  for (int i = 0; i < 3; ++i) {
    const auto offer = OfferTo(ticket, sponsors[static_cast<size_t>(i)], 3);
    ASSERT_TRUE(offer.ok()) << offer.status();
    EXPECT_EQ(offer->effects.tickets.back().open_offers, i + 1);
    EXPECT_EQ(offer->effects.tickets.back().HasRoomForOffer(), i < 2);
    offers.push_back(offer->value.id);
  }
  EXPECT_TRUE(HasReason(OfferTo(ticket, sponsors[3], 3).status(), reason::kTicketNotOpen));
  Decline(sponsors[0], offers[0]);
  const Ticket now = env_.TicketNow(ticket);
  EXPECT_EQ(now.state, TicketState::kOffered);
  EXPECT_EQ(now.open_offers, 2);
  // One more may be made, but not to who has it already, nor to who passed it on.
  EXPECT_TRUE(HasReason(OfferTo(ticket, sponsors[1], 3).status(), reason::kRelationshipNotOffered));
  EXPECT_TRUE(HasReason(OfferTo(ticket, sponsors[0], 3).status(), reason::kRelationshipNotOffered));
  const auto fourth = OfferTo(ticket, sponsors[3], 3);
  ASSERT_TRUE(fourth.ok()) << fourth.status();
  Decline(sponsors[1], offers[1]);
  Decline(sponsors[2], offers[2]);
  EXPECT_EQ(env_.TicketNow(ticket).state, TicketState::kOffered);
  Decline(sponsors[3], fourth->value.id);
  EXPECT_EQ(env_.TicketNow(ticket).state, TicketState::kWaiting);
  EXPECT_EQ(env_.TicketNow(ticket).create_time, ticket.create_time);
  env_.ExpectWhole();
}

TEST_P(ChoiceConformanceTest, TheFirstAcceptWinsAndTheRestAreRescindedAtOnce) {
  const std::vector<MemberId> sponsors = Sponsors(3);
  const Ticket ticket = Ask(env_.AddNewcomer(), false, RelationshipType::kTemporaryContact);
  std::vector<OfferId> offers;
  for (const MemberId& sponsor : sponsors) {
    const auto offer = OfferTo(ticket, sponsor, 3);
    ASSERT_TRUE(offer.ok()) << offer.status();
    offers.push_back(offer->value.id);
  }
  const auto accepted = env_.ledger->AcceptOffer(env_.As(sponsors[1]), env_.clock.Now(), offers[1]);
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_EQ(accepted->effects.offers.size(), 3u);  // all three are told
  EXPECT_EQ(env_.TicketNow(ticket).state, TicketState::kPaired);
  for (const size_t loser : {0u, 2u}) {
    EXPECT_EQ(env_.SeatsOf(sponsors[loser]).open_offer_count, 0);
    EXPECT_TRUE(HasReason(
        env_.ledger->AcceptOffer(env_.As(sponsors[loser]), env_.clock.Now(), offers[loser])
            .status(),
        reason::kOfferNotOpen));
  }
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM offers WHERE state = 5"), 2);
  env_.ExpectWhole();
}

TEST_P(ChoiceConformanceTest, OfThreeAcceptsAtOnceOneWins) {
  for (int round = 0; round < 25; ++round) {
    const std::vector<MemberId> sponsors = Sponsors(3);
    const Ticket ticket = Ask(env_.AddNewcomer(), false, RelationshipType::kTemporaryContact);
    std::vector<OfferId> offers;
    for (const MemberId& sponsor : sponsors) {
      const auto offer = OfferTo(ticket, sponsor, 3);
      ASSERT_TRUE(offer.ok()) << offer.status();
      offers.push_back(offer->value.id);
    }
    std::vector<std::thread> threads;
    std::atomic<int> won = 0;
    for (size_t i = 0; i < offers.size(); ++i) {
      threads.emplace_back([&, call = env_.As(sponsors[i]), id = offers[i]] {
        const auto accepted = env_.ledger->AcceptOffer(call, env_.clock.Now(), id);
        if (accepted.ok()) {
          ++won;
        } else {
          EXPECT_TRUE(HasReason(accepted.status(), reason::kOfferNotOpen)) << accepted.status();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(won, 1);
    EXPECT_EQ(env_.TicketNow(ticket).state, TicketState::kPaired);
  }
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM pairings"), 25);
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM seats"), 25);
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM offers WHERE state = 1"), 0);
  env_.ExpectWhole();
}

INSTANTIATE_TEST_SUITE_P(Backends, ChoiceConformanceTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory,
                                           storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::matching
