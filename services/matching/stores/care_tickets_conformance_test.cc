#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/stores/care_store_fixture.h"

// Each sentence of domain/care_store.h about tickets and pairings, on every database.
namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// ---- Tickets that wait ----

TEST_P(CareStoreTest, ANewcomerIsToldHonestlyHowLongItTakes) {
  const MemberId newcomer = env.AddNewcomer();
  const auto ticket = env.Open(env.As(newcomer));
  for (int hour = 0; hour < 31 * 24; ++hour) {
    ASSERT_TRUE(env.care->CareForTickets(kNever, env.clock.Now(), 10).ok());
    ASSERT_TRUE(env.ledger->ExpireTickets(kNever, env.clock.Now(), 10).ok());
    env.clock.Advance(absl::Hours(1));
  }
  EXPECT_EQ(env.TicketNow(ticket->value).state, TicketState::kExpired);
  const auto count = [&](NoticeKind kind) {
    return env.Count(
        absl::StrCat("SELECT COUNT(*) FROM notices WHERE kind = ", static_cast<int>(kind)));
  };
  EXPECT_EQ(count(NoticeKind::kStillLooking), 3);
  EXPECT_EQ(count(NoticeKind::kTicketExpiresSoon), 1);
  EXPECT_EQ(count(NoticeKind::kTicketExpired), 1);
  EXPECT_EQ(count(NoticeKind::kTemporaryContactAvailable), 1);
  // Words about a wait that is over are not shown any more.
  EXPECT_THAT(Kinds(newcomer), ElementsAre(NoticeKind::kTicketExpired));
}

TEST_P(CareStoreTest, ATemporaryContactIsAskedForOnceAsWasAgreed) {
  const MemberId newcomer = env.AddNewcomer();
  NewTicket ask;
  ask.id = TicketId::Random(env.random);
  ask.relationship_type = RelationshipType::kSponsor;
  ask.pool.philosophy = Philosophy::kTwelveStepAa;
  ask.member_version = 1;
  ask.temporary_contact_while_waiting = true;
  std::promise<absl::Status> opened;
  env.ledger->OpenTicket(env.As(newcomer), env.clock.Now(), ask,
                         [&](const auto& result) { opened.set_value(result.status()); });
  ASSERT_TRUE(opened.get_future().get().ok());
  const absl::Time asked = env.clock.Now();
  env.clock.Advance(kDay);
  const Effects effects = Sweep();
  ASSERT_EQ(effects.tickets.size(), 1u);
  EXPECT_EQ(effects.tickets[0].relationship_type, RelationshipType::kTemporaryContact);
  EXPECT_EQ(effects.tickets[0].create_time, env.clock.Now());
  const auto tickets = env.ledger->ListTickets(env.As(newcomer), 10, std::nullopt);
  ASSERT_EQ(tickets->items.size(), 2u);
  EXPECT_EQ(tickets->items[1].id, ask.id);
  EXPECT_EQ(tickets->items[1].create_time, asked);
  EXPECT_THAT(Kinds(newcomer), UnorderedElementsAre(NoticeKind::kTemporaryContactRequested,
                                                    NoticeKind::kStillLooking));
  // Once: it was taken back, and is not asked for again.
  ASSERT_TRUE(
      env.ledger->CancelTicket(env.As(newcomer), env.clock.Now(), tickets->items[0].id).ok());
  for (int day = 0; day < 20; ++day) {
    env.clock.Advance(kDay);
    EXPECT_TRUE(Sweep().tickets.empty());
  }
}

TEST_P(CareStoreTest, WhoHasATemporaryContactIsNotOfferedOne) {
  const MemberId sponsor = env.AddSponsor(1);
  const MemberId newcomer = env.AddNewcomer();
  ASSERT_TRUE(env.Open(env.As(newcomer)).ok());
  const auto contact = env.Open(env.As(newcomer), RelationshipType::kTemporaryContact);
  const auto offer = env.MakeOffer(contact->value, sponsor);
  ASSERT_TRUE(env.ledger->AcceptOffer(env.As(sponsor), env.clock.Now(), offer->value.id).ok());
  env.clock.Advance(kDay);
  Sweep();
  // Nor is it said that nobody has been found: somebody is there.
  EXPECT_THAT(Kinds(newcomer), IsEmpty());
}

TEST_P(CareStoreTest, ATicketThatOlderCodeLeftIsCaredForAndEnds) {
  const MemberId newcomer = env.AddNewcomer();
  const auto ticket = env.Open(env.As(newcomer));
  env.Execute("UPDATE tickets SET care_at = 0");
  Sweep();
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM tickets WHERE care_at > 0"), 1);
  env.Execute("UPDATE tickets SET care_at = 0");
  env.clock.Advance(30 * kDay);
  ASSERT_EQ(env.ledger->ExpireTickets(kNever, env.clock.Now(), 10)->tickets.size(), 1u);
  EXPECT_EQ(env.TicketNow(ticket->value).state, TicketState::kExpired);
}

// ---- Check-ins ----

TEST_P(CareStoreTest, BothAreAskedHowItGoesOnTheFourDaysAndOnlyThen) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  for (int day = 0; day <= 95; ++day) {
    Sweep();
    env.clock.Advance(kDay);
  }
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM check_ins"), 8);
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM notices WHERE kind = 7"), 8);
  for (const MemberId& member : {pairing.newcomer, sponsor}) {
    const auto check_ins = env.care->ListCheckIns(env.As(member), pairing.id);
    ASSERT_TRUE(check_ins.ok());
    std::vector<int> days;
    for (const CheckIn& check_in : *check_ins) {
      days.push_back(check_in.day);
      EXPECT_EQ(check_in.due_time, pairing.create_time + check_in.day * kDay);
      EXPECT_EQ(check_in.answer, CheckInAnswer::kUnspecified);
    }
    EXPECT_THAT(days, ElementsAre(3, 14, 30, 90));
  }
}

TEST_P(CareStoreTest, AnAnswerIsPrivateEncipheredAndMayBeChanged) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  const auto answer = [&](const Call& call, int day, CheckInAnswer said) {
    return env.care->AnswerCheckIn(call, env.clock.Now(), pairing.id, day, said);
  };
  EXPECT_TRUE(HasReason(answer(env.As(sponsor), 3, CheckInAnswer::kNotSure).status(),
                        reason::kCheckInNotDue));
  env.clock.Advance(3 * kDay);
  Sweep();
  const Call call = env.As(pairing.newcomer, "answer");
  const auto said = answer(call, 3, CheckInAnswer::kNotSure);
  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_TRUE(said->value.is_newcomer);
  EXPECT_FALSE(said->value.has_ended);
  EXPECT_EQ(answer(call, 3, CheckInAnswer::kNotSure)->value.check_in.due_time,
            said->value.check_in.due_time);
  // A "not sure" of the newcomer opens the way to another person; the question is answered.
  EXPECT_THAT(Kinds(pairing.newcomer), ElementsAre(NoticeKind::kRematchAvailable));
  EXPECT_THAT(Kinds(sponsor), ElementsAre(NoticeKind::kCheckInDue));
  EXPECT_EQ(env.care->ListCheckIns(env.As(pairing.newcomer), pairing.id)->front().answer,
            CheckInAnswer::kNotSure);
  EXPECT_EQ(env.care->ListCheckIns(env.As(sponsor), pairing.id)->front().answer,
            CheckInAnswer::kUnspecified);
  ASSERT_TRUE(answer(env.As(pairing.newcomer), 3, CheckInAnswer::kGoingWell).ok());
  EXPECT_EQ(env.care->ListCheckIns(env.As(pairing.newcomer), pairing.id)->front().answer,
            CheckInAnswer::kGoingWell);
  // The sponsor is offered nothing: there is no rematch of a newcomer.
  ASSERT_TRUE(answer(env.As(sponsor), 3, CheckInAnswer::kWouldLikeToEnd).ok());
  EXPECT_THAT(Kinds(sponsor), IsEmpty());
  // Nothing in the row tells one answer from another.
  EXPECT_EQ(env.Count("SELECT COUNT(DISTINCT length(answer)) FROM check_ins"), 1);
  const MemberId stranger = env.AddNewcomer();
  EXPECT_EQ(answer(env.As(stranger), 3, CheckInAnswer::kNotSure).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(env.care->ListCheckIns(env.As(stranger), pairing.id).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_TRUE(HasReason(answer(env.As(sponsor), 5, CheckInAnswer::kNotSure).status(),
                        reason::kCheckInNotDue));
}

TEST_P(CareStoreTest, APairingThatHasEndedAsksNothingMore) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  End(pairing);
  env.clock.Advance(4 * kDay);
  EXPECT_TRUE(Sweep().notices.empty());
  EXPECT_THAT(*env.care->ListCheckIns(env.As(sponsor), pairing.id), IsEmpty());
}

// ---- Rematch ----

TEST_P(CareStoreTest, ARematchKeepsTheOldPlaceOnceAndAvoidsTheSamePerson) {
  const MemberId sponsor = env.AddSponsor(1);
  const absl::Time asked = env.clock.Now();
  const Pairing pairing = env.Pair(sponsor);
  EXPECT_TRUE(
      HasReason(Rematch(env.As(pairing.newcomer), pairing).status(), reason::kRematchNotAvailable));
  env.clock.Advance(10 * kDay);
  End(pairing);
  EXPECT_THAT(Kinds(pairing.newcomer), ElementsAre(NoticeKind::kRematchAvailable));
  EXPECT_THAT(Kinds(sponsor), IsEmpty());
  EXPECT_TRUE(HasReason(Rematch(env.As(sponsor), pairing).status(), reason::kRematchNotAvailable));
  EXPECT_EQ(Rematch(env.As(env.AddNewcomer()), pairing).status().code(),
            absl::StatusCode::kNotFound);
  const Call call = env.As(pairing.newcomer, "again");
  const auto ticket = Rematch(call, pairing);
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  EXPECT_EQ(ticket->value.create_time, asked);
  EXPECT_EQ(ticket->value.expire_time, env.clock.Now() + 30 * kDay);
  EXPECT_EQ(ticket->effects.tickets.size(), 1u);
  EXPECT_THAT(Kinds(pairing.newcomer), IsEmpty());
  EXPECT_EQ(Rematch(call, pairing)->value.id, ticket->value.id);
  ASSERT_TRUE(env.care->FindRematchAnswer(call)->has_value());
  EXPECT_TRUE(
      HasReason(Rematch(env.As(pairing.newcomer), pairing).status(), reason::kRematchNotAvailable));
  EXPECT_TRUE(
      HasReason(env.MakeOffer(ticket->value, sponsor).status(), reason::kRelationshipNotOffered));
  // Ahead of everybody who asked later, and it lives for a whole month.
  const auto waiting = env.ledger->LoadWaiting(kNever, ticket->value.pool, 10, std::nullopt);
  EXPECT_EQ(waiting->front().ticket, ticket->value.id);
  env.clock.Advance(29 * kDay);
  EXPECT_TRUE(env.ledger->ExpireTickets(kNever, env.clock.Now(), 10)->tickets.empty());
  env.clock.Advance(kDay);
  EXPECT_EQ(env.ledger->ExpireTickets(kNever, env.clock.Now(), 10)->tickets.size(), 1u);
  env.ExpectWhole();
}

TEST_P(CareStoreTest, TheWaitOfARematchIsCountedFromItsOwnRequest) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  env.clock.Advance(10 * kDay);
  End(pairing);
  ASSERT_TRUE(Rematch(env.As(pairing.newcomer), pairing).ok());
  Sweep();
  EXPECT_THAT(Kinds(pairing.newcomer), IsEmpty());
  env.clock.Advance(kDay);
  Sweep();
  EXPECT_THAT(Steps(pairing.newcomer, NoticeKind::kStillLooking), ElementsAre(24));
}

TEST_P(CareStoreTest, ARematchIsRefusedWhenOneIsOpenAndAfterThirtyDays) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  End(pairing, EndReason::kSafety);
  // The reason that the sponsor may have given is not to be guessed from what is offered.
  EXPECT_THAT(Kinds(pairing.newcomer), ElementsAre(NoticeKind::kRematchAvailable));
  const auto open = env.Open(env.As(pairing.newcomer));
  ASSERT_TRUE(open.ok());
  const absl::Status refused = Rematch(env.As(pairing.newcomer), pairing).status();
  EXPECT_TRUE(HasReason(refused, reason::kTicketAlreadyOpen)) << refused;
  EXPECT_EQ(DetailsOf(refused).metadata.at("ticket"), open->value.id.Name());
  ASSERT_TRUE(
      env.ledger->CancelTicket(env.As(pairing.newcomer), env.clock.Now(), open->value.id).ok());
  env.clock.Advance(30 * kDay);
  EXPECT_TRUE(
      HasReason(Rematch(env.As(pairing.newcomer), pairing).status(), reason::kRematchNotAvailable));
}

// ---- Cooldowns (domain.md H14) ----

TEST_P(CareStoreTest, EachWayOfPartingKeepsAPairApartForItsTime) {
  struct Case {
    const char* name;
    std::function<void(const Offer&, const MemberId&)> part;
    absl::Duration apart;
  };
  const std::vector<Case> cases = {
      {"timed out",
       [&](const Offer&, const MemberId&) {
         env.clock.Advance(kDay);
         ASSERT_TRUE(env.ledger->TimeOutOffers(kNever, env.clock.Now(), 10).ok());
       },
       kDay},
      {"declined",
       [&](const Offer& offer, const MemberId& sponsor) {
         ASSERT_TRUE(env.ledger->DeclineOffer(env.As(sponsor), env.clock.Now(), offer.id).ok());
       },
       30 * kDay},
      {"ended",
       [&](const Offer& offer, const MemberId& sponsor) {
         const auto pairing = env.ledger->AcceptOffer(env.As(sponsor), env.clock.Now(), offer.id);
         ASSERT_TRUE(pairing.ok());
         End(pairing->value, EndReason::kTime);
       },
       90 * kDay},
      {"ended for safety",
       [&](const Offer& offer, const MemberId& sponsor) {
         const auto pairing = env.ledger->AcceptOffer(env.As(sponsor), env.clock.Now(), offer.id);
         ASSERT_TRUE(pairing.ok());
         End(pairing->value, EndReason::kBoundary);
       },
       absl::InfiniteDuration()},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const MemberId sponsor = env.AddSponsor(1);
    const MemberId newcomer = env.AddNewcomer();
    const auto ticket = env.Open(env.As(newcomer));
    const auto offer = env.MakeOffer(ticket->value, sponsor);
    ASSERT_TRUE(offer.ok()) << offer.status();
    c.part(offer->value, sponsor);
    if (HasFatalFailure()) return;
    const auto together = [&] {
      env.ledger->CancelTicket(env.As(newcomer), env.clock.Now(), ticket->value.id)
          .status()
          .IgnoreError();
      Attest(sponsor, absl::ToUnixSeconds(env.clock.Now()));
      const auto again = env.Open(env.As(newcomer));
      EXPECT_TRUE(again.ok()) << again.status();
      const absl::Status status = env.MakeOffer(again->value, sponsor).status();
      EXPECT_TRUE(
          env.ledger->CancelTicket(env.As(newcomer), env.clock.Now(), again->value.id).ok());
      EXPECT_TRUE(status.ok() || HasReason(status, reason::kRelationshipNotOffered)) << status;
      return status.ok();
    };
    if (c.apart == absl::InfiniteDuration()) {
      env.clock.Advance(3650 * kDay);
      EXPECT_FALSE(together());
      continue;
    }
    env.clock.Advance(c.apart - absl::Seconds(1));
    EXPECT_FALSE(together());
    env.clock.Advance(absl::Seconds(1));
    EXPECT_TRUE(together());
  }
}

// ---- What others waited; many sweepers ----

TEST_P(CareStoreTest, RecentWaitsAreThoseOfThePoolAndTheKind) {
  std::vector<MemberId> sponsors;
  for (int i = 0; i < 3; ++i) {
    const MemberId newcomer = env.AddNewcomer();
    const auto ticket = env.Open(env.As(newcomer));
    env.clock.Advance(absl::Hours(i + 1));
    const MemberId sponsor = env.AddSponsor(1);
    const auto offer = env.MakeOffer(ticket->value, sponsor);
    ASSERT_TRUE(env.ledger->AcceptOffer(env.As(sponsor), env.clock.Now(), offer->value.id).ok());
  }
  const PoolKey pool{Philosophy::kTwelveStepAa};
  const absl::Time since = env.clock.Now() - 30 * kDay;
  const auto waits = env.care->RecentWaits(kNever, pool, RelationshipType::kSponsor, since, 10);
  ASSERT_TRUE(waits.ok());
  EXPECT_THAT(*waits, ElementsAre(absl::Hours(3), absl::Hours(2), absl::Hours(1)));
  EXPECT_THAT(*env.care->RecentWaits(kNever, pool, RelationshipType::kMentor, since, 10),
              IsEmpty());
  EXPECT_THAT(*env.care->RecentWaits(kNever, pool, RelationshipType::kSponsor, since, 2),
              ElementsAre(absl::Hours(3), absl::Hours(2)));
}

TEST_P(CareStoreTest, ManyReplicasSweepingAtOnceTellEachThingOnce) {
  for (int i = 0; i < 10; ++i) {
    const MemberId sponsor = env.AddSponsor(1);
    env.Pair(sponsor);
    ASSERT_TRUE(env.Open(env.As(env.AddNewcomer())).ok());
    const MemberId waits = env.AddSponsor(1);
    const auto ticket = env.Open(env.As(env.AddNewcomer()));
    Proposal proposal = env.Propose(ticket->value, waits);
    proposal.expire_time = env.clock.Now() + 5 * kDay;
    ASSERT_TRUE(env.ledger->MakeOffer(kNever, env.clock.Now(), proposal).ok());
  }
  env.clock.Advance(3 * kDay);
  std::atomic<size_t> told = 0;
  std::vector<std::thread> replicas;
  for (int i = 0; i < 4; ++i) {
    replicas.emplace_back([&] {
      const absl::Time now = env.clock.Now();
      for (int round = 0; round < 6; ++round) {
        for (const auto& swept :
             {env.care->RemindOffers(kNever, now, 4), env.care->CareForTickets(kNever, now, 4),
              env.care->CareForPairings(kNever, now, 4),
              env.care->CareForSponsors(kNever, now, 4)}) {
          EXPECT_TRUE(swept.ok()) << swept.status();
          if (swept.ok()) told += swept->effects.notices.size();
        }
      }
    });
  }
  for (std::thread& replica : replicas) replica.join();
  // Of ten rounds: a reminder, two check-ins, and for two tickets a word and a contact each.
  EXPECT_EQ(told.load(), 10u * (1 + 2 + 2 * 2));
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM notices"), static_cast<int64_t>(told.load()));
  env.ExpectWhole();
}

}  // namespace
}  // namespace handrail::matching
