#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "services/matching/stores/ledger_test_env.h"

// Each sentence of domain/ledger.h, on every database.
namespace handrail::matching {
namespace {

constexpr absl::Time kNever = absl::InfiniteFuture();

class LedgerTest : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  LedgerTestEnv env{GetParam()};
};

TEST_P(LedgerTest, ATicketIsOpenedAndAnsweredAgainUnderItsRequestId) {
  const MemberId newcomer = env.AddNewcomer();
  const auto first = env.Open(env.As(newcomer, "same"));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->effects.tickets.size(), 1u);
  env.clock.Advance(absl::Hours(1));
  const auto again = env.Open(env.As(newcomer, "same"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->value.id, first->value.id);
  EXPECT_EQ(again->value.create_time, first->value.create_time);
  EXPECT_EQ(again->value.pool, first->value.pool);
  EXPECT_TRUE(again->effects.empty());
  Call other = env.As(newcomer, "same");
  other.request_hash = "another";
  EXPECT_TRUE(HasReason(env.Open(other).status(), reason::kRequestIdReused));
  const auto found = env.ledger->FindOpenTicketAnswer(env.As(newcomer, "same"));
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->id, first->value.id);
}

TEST_P(LedgerTest, OneOpenTicketForARelationshipType) {
  const MemberId newcomer = env.AddNewcomer();
  const auto first = env.Open(env.As(newcomer));
  ASSERT_TRUE(first.ok());
  const absl::Status second = env.Open(env.As(newcomer)).status();
  EXPECT_EQ(second.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(DetailsOf(second).metadata.at("ticket"), first->value.id.Name());
  EXPECT_TRUE(env.Open(env.As(newcomer), RelationshipType::kTemporaryContact).ok());
  ASSERT_TRUE(env.ledger->CancelTicket(env.As(newcomer), env.clock.Now(), first->value.id).ok());
  EXPECT_TRUE(env.Open(env.As(newcomer)).ok());
}

TEST_P(LedgerTest, ATicketNeedsTheMemberAsTheyAreNow) {
  const MemberId newcomer = env.AddNewcomer();
  EXPECT_TRUE(HasReason(env.Open(env.As(newcomer), RelationshipType::kSponsor, 7).status(),
                        reason::kEtagMismatch));
  MemberTraits without = env.Newcomer(newcomer, 2);
  without.consents_to_health_data = false;
  ASSERT_TRUE(env.ledger->ApplyMember(absl::InfiniteFuture(), env.clock.Now(), without).ok());
  EXPECT_TRUE(HasReason(env.Open(env.As(newcomer), RelationshipType::kSponsor, 2).status(),
                        reason::kConsentRequired));
  MemberTraits suspended = env.Newcomer(newcomer, 3);
  suspended.standing = Standing::kSuspended;
  ASSERT_TRUE(env.ledger->ApplyMember(absl::InfiniteFuture(), env.clock.Now(), suspended).ok());
  EXPECT_TRUE(HasReason(env.Open(env.As(newcomer), RelationshipType::kSponsor, 3).status(),
                        reason::kMemberSuspended));
  const MemberId sponsor = env.AddSponsor(1);
  EXPECT_TRUE(HasReason(env.Open(env.As(sponsor)).status(), reason::kProfileIncomplete));
}

TEST_P(LedgerTest, AMembersCopyComesBackWholeAndOldVersionsAreIgnored) {
  const MemberId id = env.AddNewcomer();
  const auto loaded = env.ledger->LoadMember(absl::InfiniteFuture(), id);
  ASSERT_TRUE(loaded.ok() && loaded->has_value());
  EXPECT_EQ((*loaded)->newcomer, env.Newcomer(id).newcomer);
  EXPECT_TRUE((*loaded)->MayTakePart());
  MemberTraits newer = env.Newcomer(id, 5);
  newer.newcomer->person.time_zone = "Europe/Dublin";
  ASSERT_TRUE(env.ledger->ApplyMember(absl::InfiniteFuture(), env.clock.Now(), newer).ok());
  ASSERT_TRUE(
      env.ledger->ApplyMember(absl::InfiniteFuture(), env.clock.Now(), env.Newcomer(id, 4)).ok());
  const auto again = env.ledger->LoadMember(absl::InfiniteFuture(), id);
  ASSERT_TRUE(again.ok() && again->has_value());
  EXPECT_EQ((*again)->version, 5);
  EXPECT_EQ((*again)->newcomer->person.time_zone, "Europe/Dublin");
  EXPECT_FALSE(
      (*env.ledger->LoadMember(absl::InfiniteFuture(), MemberId::Random(env.random))).has_value());
}

TEST_P(LedgerTest, AnOfferIsMadeAcceptedAndBecomesAPairing) {
  const MemberId newcomer = env.AddNewcomer();
  const MemberId sponsor = env.AddSponsor(2);
  const auto ticket = env.Open(env.As(newcomer));
  ASSERT_TRUE(ticket.ok());
  const auto offer = env.MakeOffer(ticket->value, sponsor);
  ASSERT_TRUE(offer.ok()) << offer.status();
  EXPECT_EQ(env.TicketNow(ticket->value).state, TicketState::kOffered);
  EXPECT_EQ(env.SeatsOf(sponsor).open_offer_count, 1);
  env.ExpectWhole();

  const auto listed = env.ledger->ListOffers(env.As(sponsor), false, 10, std::nullopt);
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->items.size(), 1u);
  EXPECT_EQ(listed->items[0].explanation.score, 71.25);
  EXPECT_EQ(listed->items[0].explanation.reasons.size(), 2u);
  EXPECT_EQ(listed->items[0].explanation.shared_languages[0].Tag(), "en");

  const auto accepted =
      env.ledger->AcceptOffer(env.As(sponsor, "take"), env.clock.Now(), offer->value.id);
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_TRUE(accepted->effects.outbox);
  const Ticket paired = env.TicketNow(ticket->value);
  EXPECT_EQ(paired.state, TicketState::kPaired);
  EXPECT_EQ(paired.pairing, accepted->value.id);
  EXPECT_EQ(env.SeatsOf(sponsor).pairing_count, 1);
  EXPECT_EQ(env.SeatsOf(sponsor).open_offer_count, 0);
  env.ExpectWhole();

  const auto again =
      env.ledger->AcceptOffer(env.As(sponsor, "take"), env.clock.Now(), offer->value.id);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->value.id, accepted->value.id);
  EXPECT_TRUE(
      HasReason(env.ledger->AcceptOffer(env.As(sponsor), env.clock.Now(), offer->value.id).status(),
                reason::kOfferNotOpen));
  EXPECT_TRUE(HasReason(
      env.ledger->CancelTicket(env.As(newcomer), env.clock.Now(), ticket->value.id).status(),
      reason::kTicketNotOpen));
}

TEST_P(LedgerTest, WhatIsNotYoursIsNotThere) {
  const MemberId sponsor = env.AddSponsor(1);
  const MemberId stranger = env.AddSponsor(1);
  const MemberId newcomer = env.AddNewcomer();
  const auto ticket = env.Open(env.As(newcomer));
  const auto offer = env.MakeOffer(ticket->value, sponsor);
  ASSERT_TRUE(offer.ok());
  const absl::Time now = env.clock.Now();
  Ledger& ledger = *env.ledger;
  for (const absl::Status& status : {
           ledger.GetTicket(env.As(stranger), ticket->value.id).status(),
           ledger.CancelTicket(env.As(stranger), now, ticket->value.id).status(),
           ledger.AcceptOffer(env.As(stranger), now, offer->value.id).status(),
           ledger.DeclineOffer(env.As(newcomer), now, offer->value.id).status(),
       }) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
  }
  const Pairing pairing = env.Pair(stranger);
  for (const absl::Status& status : {
           ledger.GetPairing(env.As(newcomer), pairing.id).status(),
           ledger.ConfirmContact(env.As(newcomer), now, pairing.id).status(),
           ledger.EndPairing(env.As(newcomer), now, pairing.id, EndReason::kUnspecified).status(),
       }) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
  }
  EXPECT_TRUE(HasReason(ledger.ListOffers(env.As(newcomer), false, 1, std::nullopt).status(),
                        reason::kSponsorProfileRequired));
}

TEST_P(LedgerTest, DeclineAndTimeoutKeepTheAgeAndExcludeThePair) {
  const MemberId sponsor = env.AddSponsor(1);
  const MemberId newcomer = env.AddNewcomer();
  const auto ticket = env.Open(env.As(newcomer));
  const absl::Time asked = ticket->value.create_time;
  const auto offer = env.MakeOffer(ticket->value, sponsor);
  ASSERT_TRUE(offer.ok());
  env.clock.Advance(absl::Hours(25));
  const auto timed_out = env.ledger->TimeOutOffers(kNever, env.clock.Now(), 10);
  ASSERT_TRUE(timed_out.ok()) << timed_out.status();
  EXPECT_EQ(timed_out->tickets.size(), 1u);
  EXPECT_EQ(timed_out->sponsors.size(), 1u);
  EXPECT_EQ(env.TicketNow(ticket->value).state, TicketState::kWaiting);
  EXPECT_EQ(env.TicketNow(ticket->value).create_time, asked);
  EXPECT_EQ(env.SeatsOf(sponsor).FreeSeats(), 1);
  EXPECT_TRUE(
      HasReason(env.MakeOffer(ticket->value, sponsor).status(), reason::kRelationshipNotOffered));
  env.clock.Advance(absl::Hours(24));
  const auto second = env.MakeOffer(ticket->value, sponsor);
  ASSERT_TRUE(second.ok()) << second.status();
  const auto declined =
      env.ledger->DeclineOffer(env.As(sponsor, "no"), env.clock.Now(), second->value.id);
  ASSERT_TRUE(declined.ok()) << declined.status();
  EXPECT_EQ(declined->value.state, OfferState::kDeclined);
  EXPECT_EQ(env.ledger->DeclineOffer(env.As(sponsor, "no"), env.clock.Now(), second->value.id)
                ->value.state,
            OfferState::kDeclined);
  env.clock.Advance(absl::Hours(24 * 20));
  EXPECT_FALSE(env.MakeOffer(ticket->value, sponsor).ok());
  EXPECT_EQ(env.TicketNow(ticket->value).create_time, asked);
  EXPECT_EQ(env.TicketNow(ticket->value).offer_count, 2);
  env.ExpectWhole();
}

TEST_P(LedgerTest, TwoWhoAreTogetherAreNotPutBeforeEachOtherAgain) {
  const MemberId sponsor = env.AddSponsor(3);
  const Pairing pairing = env.Pair(sponsor);
  const auto again = env.Open(env.As(pairing.newcomer, "again"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(
      HasReason(env.MakeOffer(again->value, sponsor).status(), reason::kRelationshipNotOffered));
  const auto facts =
      env.ledger->LoadPairFacts(absl::InfiniteFuture(), env.clock.Now(), {pairing.newcomer});
  ASSERT_TRUE(facts.ok()) << facts.status();
  ASSERT_EQ(facts->size(), 1u);
  EXPECT_EQ(facts->front().sponsor, sponsor);
  EXPECT_GT(facts->front().facts.cooldown_until, env.clock.Now());
  env.ExpectWhole();
}

TEST_P(LedgerTest, CapacityHoldsUnderARace) {
  const MemberId sponsor = env.AddSponsor(3);
  std::vector<Proposal> proposals;
  for (int i = 0; i < 12; ++i) {
    const auto ticket = env.Open(env.As(env.AddNewcomer()));
    proposals.push_back(env.Propose(ticket->value, sponsor));
  }
  std::atomic<int> made = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = static_cast<size_t>(t); i < proposals.size(); i += 4) {
        const auto offer =
            env.ledger->MakeOffer(absl::InfiniteFuture(), env.clock.Now(), proposals[i]);
        if (offer.ok()) {
          ++made;
        } else {
          EXPECT_TRUE(HasReason(offer.status(), reason::kPoolFull)) << offer.status();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 3);
  env.ExpectWhole();
}

TEST_P(LedgerTest, LoweringTheCapacityRescindsTheNewestOffersAndEndsNoPairing) {
  const MemberId sponsor = env.AddSponsor(3);
  const Pairing pairing = env.Pair(sponsor);
  const auto older = env.Open(env.As(env.AddNewcomer()));
  ASSERT_TRUE(env.MakeOffer(older->value, sponsor).ok());
  env.clock.Advance(absl::Minutes(1));
  const auto newer = env.Open(env.As(env.AddNewcomer()));
  ASSERT_TRUE(env.MakeOffer(newer->value, sponsor).ok());
  ASSERT_TRUE(env.ledger->SetAvailability(env.As(sponsor), env.clock.Now(), 2, true).ok());
  EXPECT_EQ(env.TicketNow(older->value).state, TicketState::kOffered);
  EXPECT_EQ(env.TicketNow(newer->value).state, TicketState::kWaiting);
  const auto none = env.ledger->SetAvailability(env.As(sponsor), env.clock.Now(), 0, false);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->value.pairing_count, 1);
  EXPECT_EQ(none->value.open_offer_count, 0);
  EXPECT_NE(env.ledger->GetPairing(env.As(sponsor), pairing.id)->state, PairingState::kEnded);
  env.ExpectWhole();
}

TEST_P(LedgerTest, ABlockRescindsEndsAndForbids) {
  const MemberId sponsor = env.AddSponsor(3);
  const Pairing pairing = env.Pair(sponsor);
  const auto ticket = env.Open(env.As(env.AddNewcomer()));
  const auto offer = env.MakeOffer(ticket->value, sponsor);
  ASSERT_TRUE(offer.ok());
  const absl::Time now = env.clock.Now();
  const BlockId id = BlockId::Random(env.random);
  ASSERT_TRUE(
      env.ledger->ApplyBlock(absl::InfiniteFuture(), now, id, sponsor, ticket->value.newcomer)
          .ok());
  ASSERT_TRUE(
      env.ledger->ApplyBlock(absl::InfiniteFuture(), now, id, sponsor, ticket->value.newcomer)
          .ok());
  EXPECT_EQ(env.TicketNow(ticket->value).state, TicketState::kWaiting);
  EXPECT_FALSE(env.MakeOffer(ticket->value, sponsor).ok());
  EXPECT_TRUE(HasReason(env.ledger->AcceptOffer(env.As(sponsor), now, offer->value.id).status(),
                        reason::kOfferNotOpen));
  const auto ended = env.ledger->ApplyBlock(absl::InfiniteFuture(), now,
                                            BlockId::Random(env.random), pairing.newcomer, sponsor);
  ASSERT_TRUE(ended.ok());
  EXPECT_TRUE(ended->outbox);
  EXPECT_EQ(env.ledger->GetPairing(env.As(sponsor), pairing.id)->state, PairingState::kEnded);
  EXPECT_EQ(env.SeatsOf(sponsor).TakenSeats(), 0);
  env.ExpectWhole();
  const auto facts =
      env.ledger->LoadPairFacts(absl::InfiniteFuture(), now, {&ticket->value.newcomer, 1});
  ASSERT_TRUE(facts.ok());
  ASSERT_EQ(facts->size(), 1u);
  EXPECT_TRUE(facts->front().facts.blocked);
}

TEST_P(LedgerTest, AWithdrawnConsentTakesTicketsAndOffersBack) {
  const MemberId sponsor = env.AddSponsor(2);
  const auto one = env.Open(env.As(env.AddNewcomer()));
  const auto two = env.Open(env.As(env.AddNewcomer()));
  ASSERT_TRUE(env.MakeOffer(one->value, sponsor).ok());
  ASSERT_TRUE(env.MakeOffer(two->value, sponsor).ok());
  MemberTraits without = env.Newcomer(one->value.newcomer, 2);
  without.consents_to_matching = false;
  ASSERT_TRUE(env.ledger->ApplyMember(absl::InfiniteFuture(), env.clock.Now(), without).ok());
  EXPECT_EQ(env.TicketNow(one->value).state, TicketState::kCancelled);
  EXPECT_EQ(env.SeatsOf(sponsor).open_offer_count, 1);
  MemberTraits suspended = env.Sponsor(sponsor, 2);
  suspended.standing = Standing::kSuspended;
  ASSERT_TRUE(env.ledger->ApplyMember(absl::InfiniteFuture(), env.clock.Now(), suspended).ok());
  EXPECT_EQ(env.TicketNow(two->value).state, TicketState::kWaiting);
  EXPECT_FALSE(env.MakeOffer(two->value, sponsor).ok());
  env.ExpectWhole();
}

TEST_P(LedgerTest, ErasureDestroysTheKeyAndEndsEverything) {
  const MemberId sponsor = env.AddSponsor(2);
  const Pairing pairing = env.Pair(sponsor);
  MemberTraits erased;
  erased.member = pairing.newcomer;
  erased.version = 9;
  erased.standing = Standing::kErased;
  ASSERT_TRUE(env.ledger->ApplyMember(absl::InfiniteFuture(), env.clock.Now(), erased).ok());
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM members WHERE traits IS NULL AND wrapped_key IS NULL"),
            1);
  EXPECT_EQ(env.ledger->GetPairing(env.As(sponsor), pairing.id)->state, PairingState::kEnded);
  const auto offers = env.ledger->ListOffers(env.As(sponsor), true, 10, std::nullopt);
  ASSERT_TRUE(offers.ok()) << offers.status();
  EXPECT_EQ(offers->items[0].explanation.score, 0);
  env.ExpectWhole();
}

TEST_P(LedgerTest, ALapsedAttestationForbidsAndRescinds) {
  const MemberId sponsor = env.AddSponsor(2);
  const auto ticket = env.Open(env.As(env.AddNewcomer()));
  const auto offer = env.MakeOffer(ticket->value, sponsor);
  ASSERT_TRUE(offer.ok());
  env.clock.Advance(absl::Hours(24 * 29));
  EXPECT_TRUE(
      env.ledger->RescindLapsed(kNever, env.clock.Now(), env.clock.Now() - absl::Hours(24 * 30), 9)
          ->empty());
  env.clock.Advance(absl::Hours(48));
  EXPECT_TRUE(
      HasReason(env.ledger->AcceptOffer(env.As(sponsor), env.clock.Now(), offer->value.id).status(),
                reason::kOfferNotOpen));
  ASSERT_TRUE(
      env.ledger->RescindLapsed(kNever, env.clock.Now(), env.clock.Now() - absl::Hours(24 * 30), 9)
          .ok());
  EXPECT_EQ(env.TicketNow(ticket->value).state, TicketState::kWaiting);
  EXPECT_FALSE(env.MakeOffer(ticket->value, sponsor).ok());
  env.ExpectWhole();
}

TEST_P(LedgerTest, ParallelOffersOnlyWhereAllowedAndOneAcceptEndsTheRest) {
  const MemberId a = env.AddSponsor(1);
  const MemberId b = env.AddSponsor(1);
  const auto exclusive = env.Open(env.As(env.AddNewcomer()));
  ASSERT_TRUE(env.MakeOffer(exclusive->value, a).ok());
  EXPECT_TRUE(HasReason(env.MakeOffer(exclusive->value, b).status(), reason::kEtagMismatch));
  const MemberId c = env.AddSponsor(1);
  const auto parallel = env.Open(env.As(env.AddNewcomer()), RelationshipType::kTemporaryContact);
  std::vector<OfferId> offers;
  for (const MemberId& sponsor : {b, c}) {
    Proposal proposal = env.Propose(parallel->value, sponsor);
    proposal.parallel_limit = 2;
    const auto offer = env.ledger->MakeOffer(absl::InfiniteFuture(), env.clock.Now(), proposal);
    ASSERT_TRUE(offer.ok()) << offer.status();
    offers.push_back(offer->value.id);
  }
  const MemberId d = env.AddSponsor(1);
  Proposal third = env.Propose(parallel->value, d);
  third.parallel_limit = 2;
  EXPECT_TRUE(
      HasReason(env.ledger->MakeOffer(absl::InfiniteFuture(), env.clock.Now(), third).status(),
                reason::kTicketNotOpen));
  ASSERT_TRUE(env.ledger->DeclineOffer(env.As(b), env.clock.Now(), offers[0]).ok());
  EXPECT_EQ(env.TicketNow(parallel->value).state, TicketState::kOffered);
  third = env.Propose(parallel->value, d);
  third.parallel_limit = 2;
  ASSERT_TRUE(env.ledger->MakeOffer(absl::InfiniteFuture(), env.clock.Now(), third).ok());
  ASSERT_TRUE(env.ledger->AcceptOffer(env.As(d), env.clock.Now(), third.offer).ok());
  EXPECT_EQ(env.SeatsOf(c).TakenSeats(), 0);
  EXPECT_EQ(env.TicketNow(parallel->value).state, TicketState::kPaired);
  env.ExpectWhole();
}

TEST_P(LedgerTest, APairingGoesThroughItsStates) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  Ledger& ledger = *env.ledger;
  const absl::Time now = env.clock.Now();
  EXPECT_TRUE(HasReason(ledger.PausePairing(env.As(sponsor), now, pairing.id).status(),
                        reason::kPairingStateInvalid));
  EXPECT_EQ(ledger.ConfirmContact(env.As(sponsor), now, pairing.id)->value.state,
            PairingState::kTrial);
  EXPECT_EQ(ledger.ConfirmContact(env.As(pairing.newcomer), now, pairing.id)->value.state,
            PairingState::kActive);
  EXPECT_EQ(ledger.PausePairing(env.As(sponsor), now, pairing.id)->value.state,
            PairingState::kPaused);
  EXPECT_EQ(env.SeatsOf(sponsor).pairing_count, 1);
  EXPECT_EQ(ledger.ResumePairing(env.As(pairing.newcomer), now, pairing.id)->value.state,
            PairingState::kActive);
  const auto ended =
      ledger.EndPairing(env.As(pairing.newcomer, "end"), now, pairing.id, EndReason::kSafety);
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(ended->value.state, PairingState::kEnded);
  EXPECT_EQ(ledger.EndPairing(env.As(pairing.newcomer, "end"), now, pairing.id, EndReason::kSafety)
                ->value.version,
            ended->value.version);
  EXPECT_TRUE(ledger.EndPairing(env.As(sponsor), now, pairing.id, EndReason::kUnspecified).ok());
  EXPECT_TRUE(HasReason(ledger.ConfirmContact(env.As(sponsor), now, pairing.id).status(),
                        reason::kPairingEnded));
  EXPECT_EQ(env.SeatsOf(sponsor).TakenSeats(), 0);
  env.clock.Advance(absl::Hours(24 * 29));
  const auto ticket = env.Open(env.As(pairing.newcomer));
  EXPECT_FALSE(env.MakeOffer(ticket->value, sponsor).ok());
  env.ExpectWhole();
}

TEST_P(LedgerTest, ATrialThatPassedIsAnActivePairing) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  env.clock.Advance(absl::Hours(24 * 60));
  EXPECT_EQ(*env.ledger->PassTrials(kNever, env.clock.Now(), 10), 0);
  ASSERT_TRUE(env.ledger->ConfirmContact(env.As(sponsor), env.clock.Now(), pairing.id).ok());
  EXPECT_EQ(*env.ledger->PassTrials(kNever, env.clock.Now(), 10), 1);
  EXPECT_EQ(env.ledger->GetPairing(env.As(sponsor), pairing.id)->state, PairingState::kActive);
}

TEST_P(LedgerTest, TheOutboxIsOrderedPerPairingAndStoresTheConversation) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  const absl::Time now = env.clock.Now();
  ASSERT_TRUE(
      env.ledger->EndPairing(env.As(sponsor), now, pairing.id, EndReason::kUnspecified).ok());
  auto due = env.ledger->DueOutbox(absl::InfiniteFuture(), now, 10);
  ASSERT_TRUE(due.ok());
  ASSERT_EQ(due->size(), 1u);
  EXPECT_EQ(due->front().step, OutboxEntry::Step::kOpen);
  ASSERT_TRUE(
      env.ledger->OutboxDelayed(absl::InfiniteFuture(), due->front(), now + absl::Seconds(1)).ok());
  EXPECT_TRUE(env.ledger->DueOutbox(absl::InfiniteFuture(), now, 10)->empty());
  due = env.ledger->DueOutbox(absl::InfiniteFuture(), now + absl::Seconds(1), 10);
  ASSERT_EQ(due->size(), 1u);
  EXPECT_EQ(due->front().attempts, 1);
  const auto conversation = ConversationId::Random(env.random);
  ASSERT_TRUE(env.ledger->OutboxDelivered(absl::InfiniteFuture(), due->front(), conversation).ok());
  EXPECT_EQ(env.ledger->GetPairing(env.As(sponsor), pairing.id)->conversation, conversation);
  EXPECT_EQ(env.ledger->GetTicket(env.As(pairing.newcomer), pairing.ticket)->conversation,
            conversation);
  due = env.ledger->DueOutbox(absl::InfiniteFuture(), now, 10);
  ASSERT_EQ(due->size(), 1u);
  EXPECT_EQ(due->front().step, OutboxEntry::Step::kClose);
}

TEST_P(LedgerTest, WaitingTicketsExpireAndOfferedOnesDoNot) {
  const MemberId sponsor = env.AddSponsor(1);
  const auto waiting = env.Open(env.As(env.AddNewcomer()));
  const auto offered = env.Open(env.As(env.AddNewcomer()));
  ASSERT_TRUE(env.MakeOffer(offered->value, sponsor).ok());
  env.clock.Advance(absl::Hours(24 * 30));
  const auto expired = env.ledger->ExpireTickets(kNever, env.clock.Now(), 10);
  ASSERT_TRUE(expired.ok()) << expired.status();
  EXPECT_EQ(expired->tickets.size(), 1u);
  EXPECT_EQ(env.TicketNow(waiting->value).state, TicketState::kExpired);
  EXPECT_EQ(env.TicketNow(offered->value).state, TicketState::kOffered);
}

TEST_P(LedgerTest, TheIndexReadsWaitingTicketsOldestFirstInChunks) {
  std::vector<TicketId> in_order;
  for (int i = 0; i < 5; ++i) {
    in_order.push_back(env.Open(env.As(env.AddNewcomer()))->value.id);
    if (i != 1) env.clock.Advance(absl::Seconds(1));  // two of one instant
  }
  const auto pools = env.ledger->ListWaitingPools(absl::InfiniteFuture());
  ASSERT_TRUE(pools.ok());
  ASSERT_EQ(pools->size(), 1u);
  std::vector<TicketId> read;
  std::optional<PageStart> after;
  while (true) {
    const auto chunk = env.ledger->LoadWaiting(absl::InfiniteFuture(), pools->front(), 2, after);
    ASSERT_TRUE(chunk.ok());
    if (chunk->empty()) break;
    for (const TicketChange& ticket : *chunk) read.push_back(ticket.ticket);
    after = PageStart{chunk->back().create_time, chunk->back().ticket};
  }
  EXPECT_THAT(read, ::testing::UnorderedElementsAreArray(in_order));
  EXPECT_EQ(read.front(), in_order.front());
  EXPECT_EQ(read.back(), in_order.back());
  // The short form reads the same.
  env.Execute("UPDATE tickets SET boost = 500000");
  std::vector<TicketId> scanned;
  after.reset();
  while (true) {
    const auto chunk = env.ledger->ScanWaiting(absl::InfiniteFuture(), pools->front(), 2, after);
    ASSERT_TRUE(chunk.ok()) << chunk.status();
    if (chunk->empty()) break;
    for (const WaitingTicket& ticket : *chunk) {
      EXPECT_EQ(ticket.boost, 0.5);
      EXPECT_EQ(ticket.version, 1);
      scanned.push_back(ticket.ticket);
    }
    after = PageStart{chunk->back().create_time, chunk->back().ticket};
  }
  EXPECT_EQ(scanned, read);
}

TEST_P(LedgerTest, AMarkIsClearedForTheVersionThatWasSentOnly) {
  const auto ticket = env.Open(env.As(env.AddNewcomer()));
  const MemberId sponsor = env.AddSponsor(1);
  const absl::Time later = env.clock.Now() + absl::Seconds(1);
  auto marks = env.ledger->LoadMarks(absl::InfiniteFuture(), later, 10);
  ASSERT_TRUE(marks.ok());
  EXPECT_EQ(marks->tickets.size(), 1u);
  EXPECT_EQ(marks->sponsors.size(), 1u);
  EXPECT_TRUE(env.ledger->LoadMarks(absl::InfiniteFuture(), env.clock.Now(), 10)->tickets.empty());
  env.ledger->ClearMarks(kNever, {{ticket->value.id, 7}}, {{sponsor, 1}});
  marks = env.ledger->LoadMarks(absl::InfiniteFuture(), later, 10);
  EXPECT_EQ(marks->tickets.size(), 1u);
  env.ledger->ClearMarks(kNever, {{ticket->value.id, 1}}, {});
  const absl::Time deadline = SystemClock().Now() + absl::Seconds(10);
  do {
    marks = env.ledger->LoadMarks(absl::InfiniteFuture(), later, 10);
  } while (!marks->tickets.empty() && SystemClock().Now() < deadline);
  EXPECT_TRUE(marks->tickets.empty());
}

TEST_P(LedgerTest, ListsComeInPages) {
  const MemberId newcomer = env.AddNewcomer();
  for (int i = 0; i < 5; ++i) {
    const auto ticket = env.Open(env.As(newcomer));
    ASSERT_TRUE(ticket.ok());
    ASSERT_TRUE(env.ledger->CancelTicket(env.As(newcomer), env.clock.Now(), ticket->value.id).ok());
    env.clock.Advance(absl::Seconds(1));
  }
  const auto first = env.ledger->ListTickets(env.As(newcomer), 3, std::nullopt);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->items.size(), 3u);
  EXPECT_TRUE(first->more);
  const auto second = env.ledger->ListTickets(
      env.As(newcomer), 3, PageStart{first->items.back().create_time, first->items.back().id});
  EXPECT_EQ(second->items.size(), 2u);
  EXPECT_FALSE(second->more);
}

INSTANTIATE_TEST_SUITE_P(Backends, LedgerTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory,
                                           storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::matching
