#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "services/matching/domain/responsiveness.h"
#include "services/matching/stores/care_store_fixture.h"

// Each sentence of domain/care_store.h about notices and sponsors, on every database; the rest is
// in care_tickets_conformance_test.cc.
namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// ---- Notices ----

TEST_P(CareStoreTest, ASponsorIsRemindedOfAnOfferTwiceAndOnlyWhileItIsOpen) {
  const MemberId sponsor = env.AddSponsor(1);
  const auto ticket = env.Open(env.As(env.AddNewcomer()));
  const auto offer = env.MakeOffer(ticket->value, sponsor);
  ASSERT_TRUE(offer.ok());
  Sweep();
  EXPECT_THAT(Kinds(sponsor), IsEmpty());
  env.clock.Advance(absl::Hours(12));
  const Effects effects = Sweep();
  ASSERT_EQ(effects.notices.size(), 1u);
  EXPECT_EQ(effects.notices[0].member, sponsor);
  ASSERT_THAT(Kinds(sponsor), ElementsAre(NoticeKind::kOfferReminder));
  EXPECT_EQ(Notices(sponsor)[0].SubjectName(), offer->value.id.Name());
  EXPECT_EQ(Notices(sponsor)[0].due_time, offer->value.expire_time);
  EXPECT_TRUE(Sweep().notices.empty());
  env.clock.Advance(absl::Hours(10));
  EXPECT_EQ(Sweep().notices.size(), 1u);
  EXPECT_EQ(Notices(sponsor).size(), 2u);
  env.clock.Advance(absl::Hours(1));
  EXPECT_TRUE(Sweep().notices.empty());
  ASSERT_TRUE(env.ledger->DeclineOffer(env.As(sponsor), env.clock.Now(), offer->value.id).ok());
  EXPECT_THAT(Kinds(sponsor), IsEmpty());
}

TEST_P(CareStoreTest, ANoticeIsReadOnceAndOnlyByWhomItIsFor) {
  const MemberId sponsor = env.AddSponsor(1);
  env.clock.Advance(25 * kDay);
  Sweep();
  ASSERT_THAT(Kinds(sponsor), ElementsAre(NoticeKind::kAttestationDue));
  const NoticeId id = Notices(sponsor)[0].id;
  EXPECT_EQ(
      env.care->MarkNoticeRead(env.As(env.AddNewcomer()), env.clock.Now(), id).status().code(),
      absl::StatusCode::kNotFound);
  const Call call = env.As(sponsor, "read");
  const auto read = env.care->MarkNoticeRead(call, env.clock.Now(), id);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->value.read_time, env.clock.Now());
  EXPECT_EQ(read->value.SubjectName(), sponsor.Name());
  EXPECT_THAT(Kinds(sponsor), IsEmpty());
  EXPECT_EQ(Notices(sponsor, true).size(), 1u);
  env.clock.Advance(absl::Hours(1));
  const auto again = env.care->MarkNoticeRead(env.As(sponsor), env.clock.Now(), id);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->value.read_time, read->value.read_time);
  // The first answer stands, even when the notice has gone.
  env.Execute("DELETE FROM notices");
  const auto replayed = env.care->MarkNoticeRead(call, env.clock.Now(), id);
  ASSERT_TRUE(replayed.ok()) << replayed.status();
  EXPECT_EQ(replayed->value.read_time, read->value.read_time);
  EXPECT_EQ(replayed->value.kind, NoticeKind::kAttestationDue);
  EXPECT_EQ(replayed->value.due_time, read->value.due_time);
  EXPECT_TRUE(replayed->effects.empty());
}

TEST_P(CareStoreTest, NoticesHaveABoundAPageAndAnEnd) {
  LedgerOptions options;
  options.care.notices_limit = 3;
  LedgerTestEnv small(GetParam(), options);
  const MemberId sponsor = small.AddSponsor(10);
  for (int i = 0; i < 5; ++i) {
    const auto ticket = small.Open(small.As(small.AddNewcomer()));
    ASSERT_TRUE(small.MakeOffer(ticket->value, sponsor).ok());
    small.clock.Advance(absl::Minutes(1));
  }
  small.clock.Advance(absl::Hours(12));
  ASSERT_TRUE(small.care->RemindOffers(kNever, small.clock.Now(), 100).ok());
  EXPECT_EQ(small.Count("SELECT COUNT(*) FROM notices"), 3);
  const absl::Time now = small.clock.Now();
  const auto first = small.care->ListNotices(small.As(sponsor), now, false, 2, std::nullopt);
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(first->items.size(), 2u);
  EXPECT_TRUE(first->more);
  const PageStart after{first->items[1].create_time, first->items[1].id};
  const auto second = small.care->ListNotices(small.As(sponsor), now, false, 2, after);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->items.size(), 1u);
  EXPECT_FALSE(second->more);
  small.clock.Advance(absl::Hours(13));
  EXPECT_EQ(small.care->TrimNotices(kNever, small.clock.Now(), 2).value_or(-1), 2);
  EXPECT_EQ(small.care->TrimNotices(kNever, small.clock.Now(), 2).value_or(-1), 1);
}

TEST_P(CareStoreTest, AnErasedMemberHasNoNoticesAndNoAnswers) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  env.clock.Advance(3 * kDay);
  Sweep();
  ASSERT_TRUE(env.care
                  ->AnswerCheckIn(env.As(sponsor), env.clock.Now(), pairing.id, 3,
                                  CheckInAnswer::kGoingWell)
                  .ok());
  MemberTraits erased = env.Sponsor(sponsor, 2);
  erased.standing = Standing::kErased;
  ASSERT_TRUE(env.ledger->ApplyMember(kNever, env.clock.Now(), erased).ok());
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM check_ins"), 1);  // the newcomer's
  EXPECT_THAT(Notices(sponsor, true), IsEmpty());
  EXPECT_THAT(Kinds(pairing.newcomer),
              UnorderedElementsAre(NoticeKind::kCheckInDue, NoticeKind::kRematchAvailable));
}

// ---- Missed offers and pauses ----

TEST_P(CareStoreTest, ThreeMissedOffersInARowPauseASponsorWhoComesBackWithOneCall) {
  const MemberId sponsor = env.AddSponsor(1);
  Miss(sponsor);
  Miss(sponsor);
  EXPECT_TRUE(env.SeatsOf(sponsor).accepting);
  const int64_t version = env.SeatsOf(sponsor).version;
  Miss(sponsor);
  const Availability paused = env.SeatsOf(sponsor);
  EXPECT_FALSE(paused.accepting);
  EXPECT_EQ(paused.pause_reason, PauseReason::kMissedOffers);
  EXPECT_EQ(paused.capacity, 1);
  EXPECT_GT(paused.version, version);
  EXPECT_THAT(Kinds(sponsor), ElementsAre(NoticeKind::kPausedAfterMissedOffers));
  const auto ticket = env.Open(env.As(env.AddNewcomer()));
  EXPECT_TRUE(HasReason(env.MakeOffer(ticket->value, sponsor).status(), reason::kPoolFull));
  const auto back = env.ledger->SetAvailability(env.As(sponsor), env.clock.Now(), 1, true);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->value.pause_reason, PauseReason::kUnspecified);
  EXPECT_TRUE(env.MakeOffer(ticket->value, sponsor).ok());
  // They begin anew: one more is the first.
  env.clock.Advance(absl::Hours(24));
  ASSERT_TRUE(env.ledger->TimeOutOffers(kNever, env.clock.Now(), 10).ok());
  EXPECT_TRUE(env.SeatsOf(sponsor).accepting);
  env.ExpectWhole();
}

TEST_P(CareStoreTest, HowSoonASponsorAnswersIsRememberedWhateverTheAnswer) {
  const MemberId sponsor = env.AddSponsor(1);
  EXPECT_LT(env.SeatsOf(sponsor).responsiveness, 0) << "nothing is known yet";
  double expected = -1;
  const auto expect = [&](const char* after) {
    EXPECT_NEAR(env.SeatsOf(sponsor).responsiveness, expected, 1e-6) << after;
    const auto loaded = env.ledger->LoadSponsors(kNever, {sponsor});
    ASSERT_TRUE(loaded.ok() && loaded->size() == 1);
    EXPECT_NEAR(loaded->front().availability.responsiveness, expected, 1e-6) << after;
  };
  const auto offer_for = [&](absl::Duration wait) {
    const auto ticket = env.Open(env.As(env.AddNewcomer()));
    const auto offer = env.MakeOffer(ticket->value, sponsor);
    EXPECT_TRUE(offer.ok()) << offer.status();
    env.clock.Advance(wait);
    return offer->value;
  };
  const Offer declined = offer_for(absl::Hours(2));
  ASSERT_TRUE(env.ledger->DeclineOffer(env.As(sponsor), env.clock.Now(), declined.id).ok());
  expected = AfterAnswer(expected, absl::Hours(2));
  expect("declined");
  Miss(sponsor);
  expected = AfterSilence(expected);
  expect("missed");
  // Who asked took it back: no answer, and no silence.
  const Offer rescinded = offer_for(absl::Hours(20));
  ASSERT_TRUE(
      env.ledger->CancelTicket(env.As(rescinded.newcomer), env.clock.Now(), rescinded.ticket).ok());
  expect("rescinded");
  const Offer accepted = offer_for(absl::Minutes(5));
  ASSERT_TRUE(env.ledger->AcceptOffer(env.As(sponsor), env.clock.Now(), accepted.id).ok());
  expected = AfterAnswer(expected, absl::Minutes(5));
  expect("accepted");
}

TEST_P(CareStoreTest, AnAnswerOfAnyKindEndsTheRowAndADeclineNeverCounts) {
  const MemberId sponsor = env.AddSponsor(1);
  for (int i = 0; i < 5; ++i) {
    const auto ticket = env.Open(env.As(env.AddNewcomer()));
    const auto offer = env.MakeOffer(ticket->value, sponsor);
    ASSERT_TRUE(offer.ok());
    ASSERT_TRUE(env.ledger->DeclineOffer(env.As(sponsor), env.clock.Now(), offer->value.id).ok());
  }
  Miss(sponsor);
  Miss(sponsor);
  const auto ticket = env.Open(env.As(env.AddNewcomer()));
  const auto offer = env.MakeOffer(ticket->value, sponsor);
  ASSERT_TRUE(env.ledger->DeclineOffer(env.As(sponsor), env.clock.Now(), offer->value.id).ok());
  Miss(sponsor);
  Miss(sponsor);
  const Pairing pairing = env.Pair(sponsor);
  End(pairing);
  Miss(sponsor);
  Miss(sponsor);
  EXPECT_TRUE(env.SeatsOf(sponsor).accepting);
  EXPECT_THAT(Steps(sponsor, NoticeKind::kPausedAfterMissedOffers), IsEmpty());
}

TEST_P(CareStoreTest, APauseUntilATimeEndsByItselfAndIsTold) {
  const MemberId sponsor = env.AddSponsor(1);
  const absl::Time until = env.clock.Now() + 7 * kDay;
  const Call call = env.As(sponsor, "pause");
  const auto paused = env.ledger->SetAvailability(call, env.clock.Now(), {1, false, until});
  ASSERT_TRUE(paused.ok()) << paused.status();
  EXPECT_EQ(paused->value.resume_time, until);
  EXPECT_EQ(paused->value.pause_reason, PauseReason::kAsked);
  const auto again = env.ledger->SetAvailability(call, env.clock.Now(), {1, false, until});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->value.resume_time, until);
  EXPECT_EQ(again->value.seat_limit, 1);
  env.clock.Advance(7 * kDay - absl::Seconds(1));
  Sweep();
  EXPECT_FALSE(env.SeatsOf(sponsor).accepting);
  env.clock.Advance(absl::Seconds(1));
  const Effects effects = Sweep();
  EXPECT_THAT(effects.sponsors, ElementsAre(sponsor));
  EXPECT_TRUE(env.SeatsOf(sponsor).accepting);
  EXPECT_EQ(env.SeatsOf(sponsor).resume_time, absl::InfiniteFuture());
  EXPECT_EQ(env.SeatsOf(sponsor).pause_reason, PauseReason::kUnspecified);
  EXPECT_THAT(Kinds(sponsor), ElementsAre(NoticeKind::kPauseOver));
  // A pause without an end stays.
  ASSERT_TRUE(env.ledger->SetAvailability(env.As(sponsor), env.clock.Now(), 1, false).ok());
  env.clock.Advance(20 * kDay);
  Sweep();
  EXPECT_FALSE(env.SeatsOf(sponsor).accepting);
}

TEST_P(CareStoreTest, WhoComesBackWhileBeingPausedIsBackWhicheverCameFirst) {
  constexpr int kRounds = 20;
  for (int round = 0; round < kRounds; ++round) {
    const MemberId sponsor = env.AddSponsor(1);
    Miss(sponsor);
    Miss(sponsor);
    const auto ticket = env.Open(env.As(env.AddNewcomer()));
    ASSERT_TRUE(env.MakeOffer(ticket->value, sponsor).ok());
    env.clock.Advance(absl::Hours(24));
    const Call call = env.As(sponsor);
    std::thread returns(
        [&] { EXPECT_TRUE(env.ledger->SetAvailability(call, env.clock.Now(), 1, true).ok()); });
    EXPECT_TRUE(env.ledger->TimeOutOffers(kNever, env.clock.Now(), 10).ok());
    returns.join();
    // Paused and then back, or back first, so that the third miss counts as the first of a new row.
    const Availability seats = env.SeatsOf(sponsor);
    EXPECT_TRUE(seats.accepting);
    EXPECT_EQ(seats.pause_reason, PauseReason::kUnspecified);
    const size_t paused = Steps(sponsor, NoticeKind::kPausedAfterMissedOffers).size();
    const int64_t missed = env.Count("SELECT MAX(missed_offers) FROM sponsors");
    EXPECT_EQ(missed + static_cast<int64_t>(paused), 1);
    env.Execute("UPDATE sponsors SET missed_offers = 0");
  }
  env.ExpectWhole();
}

// ---- Attestation ----

TEST_P(CareStoreTest, ASponsorIsToldBeforeTheirWordLapsesTakenOutAndBackWithOneCall) {
  const MemberId sponsor = env.AddSponsor(1);
  env.clock.Advance(24 * kDay);
  Sweep();
  EXPECT_THAT(Kinds(sponsor), IsEmpty());
  env.clock.Advance(kDay);
  Sweep();
  Sweep();
  ASSERT_THAT(Kinds(sponsor), ElementsAre(NoticeKind::kAttestationDue));
  EXPECT_EQ(Notices(sponsor)[0].due_time, env.clock.Now() + 5 * kDay);
  const auto ticket = env.Open(env.As(env.AddNewcomer()));
  Proposal proposal = env.Propose(ticket->value, sponsor);
  proposal.expire_time = env.clock.Now() + 7 * kDay;
  ASSERT_TRUE(env.ledger->MakeOffer(kNever, env.clock.Now(), proposal).ok());
  env.clock.Advance(5 * kDay + absl::Seconds(1));
  ASSERT_TRUE(
      env.ledger->RescindLapsed(kNever, env.clock.Now(), env.clock.Now() - 30 * kDay, 10).ok());
  Sweep();
  EXPECT_EQ(env.TicketNow(ticket->value).state, TicketState::kWaiting);
  EXPECT_THAT(Steps(sponsor, NoticeKind::kAttestationLapsed).size(), 1u);
  EXPECT_TRUE(
      HasReason(env.MakeOffer(ticket->value, sponsor).status(), reason::kRelationshipNotOffered));
  Attest(sponsor, 2);
  EXPECT_TRUE(env.MakeOffer(ticket->value, sponsor).ok());
  // And the next time they are told again.
  env.clock.Advance(25 * kDay);
  Sweep();
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM notices WHERE kind = 2"), 2);
}

// ---- Probation ----

TEST_P(CareStoreTest, ANewSponsorHasOneSeatForNinetyDays) {
  const MemberId sponsor = env.AddSponsor(3);
  EXPECT_EQ(env.SeatsOf(sponsor).capacity, 3);
  EXPECT_EQ(env.SeatsOf(sponsor).EffectiveCapacity(), 1);
  EXPECT_EQ(env.SeatsOf(sponsor).FreeSeats(), 1);
  EXPECT_EQ(env.SeatsOf(sponsor).probation_end_time, env.clock.Now() + 90 * kDay);
  const auto index = env.ledger->LoadSponsors(kNever, {sponsor});
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->front().availability.FreeSeats(), 1);
  env.Pair(sponsor);
  const auto second = env.Open(env.As(env.AddNewcomer()));
  EXPECT_TRUE(HasReason(env.MakeOffer(second->value, sponsor).status(), reason::kPoolFull));
  // Pausing, coming back and another capacity do not begin it anew, nor end it.
  env.clock.Advance(89 * kDay);
  Attest(sponsor, 2);
  ASSERT_TRUE(env.ledger->SetAvailability(env.As(sponsor), env.clock.Now(), 0, false).ok());
  ASSERT_TRUE(env.ledger->SetAvailability(env.As(sponsor), env.clock.Now(), 5, true).ok());
  Sweep();
  EXPECT_EQ(env.SeatsOf(sponsor).EffectiveCapacity(), 1);
  env.clock.Advance(kDay);
  const int64_t version = env.SeatsOf(sponsor).version;
  const Effects effects = Sweep();
  EXPECT_THAT(effects.sponsors, ElementsAre(sponsor));
  EXPECT_EQ(env.SeatsOf(sponsor).EffectiveCapacity(), 5);
  EXPECT_EQ(env.SeatsOf(sponsor).probation_end_time, absl::InfinitePast());
  EXPECT_GT(env.SeatsOf(sponsor).version, version);
  EXPECT_THAT(Steps(sponsor, NoticeKind::kProbationOver).size(), 1u);
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM sponsors WHERE index_pending > 0"), 1);
  EXPECT_TRUE(env.MakeOffer(second->value, sponsor).status().ok() ||
              env.TicketNow(second->value).state == TicketState::kExpired);
  ASSERT_TRUE(env.ledger->SetAvailability(env.As(sponsor), env.clock.Now(), 4, true).ok());
  EXPECT_EQ(env.SeatsOf(sponsor).EffectiveCapacity(), 4);
}

TEST_P(CareStoreTest, ProbationBeginsWithTheFirstAvailabilityAndCanBeLifted) {
  const MemberId sponsor = MemberId::Random(env.random);
  ASSERT_TRUE(env.ledger->ApplyMember(kNever, env.clock.Now(), env.Sponsor(sponsor)).ok());
  ASSERT_TRUE(env.ledger->SetAvailability(env.As(sponsor), env.clock.Now(), 0, true).ok());
  env.clock.Advance(10 * kDay);
  ASSERT_TRUE(env.ledger->SetAvailability(env.As(sponsor), env.clock.Now(), 2, true).ok());
  EXPECT_EQ(env.SeatsOf(sponsor).probation_end_time, env.clock.Now() + 90 * kDay);
  const auto lifted = env.care->EndProbation(kNever, env.clock.Now(), sponsor);
  ASSERT_TRUE(lifted.ok());
  EXPECT_THAT(lifted->sponsors, ElementsAre(sponsor));
  EXPECT_EQ(env.SeatsOf(sponsor).FreeSeats(), 2);
  EXPECT_TRUE(env.care->EndProbation(kNever, env.clock.Now(), sponsor)->empty());
}

TEST_P(CareStoreTest, LoweringSeatsOnProbationRescindsAndNeverEndsAPairing) {
  const MemberId sponsor = env.AddSponsor(3);
  const Pairing pairing = env.Pair(sponsor);
  ASSERT_TRUE(env.ledger->SetAvailability(env.As(sponsor), env.clock.Now(), 0, true).ok());
  EXPECT_EQ(env.ledger->GetPairing(env.As(sponsor), pairing.id)->state, PairingState::kIntro);
  env.ExpectWhole();
}

INSTANTIATE_TEST_SUITE_P(Backends, CareStoreTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory,
                                           storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::matching
