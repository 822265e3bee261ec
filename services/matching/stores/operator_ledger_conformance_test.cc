// Each sentence of domain/operator_ledger.h, on every database; and what the desk adds to it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/operator_desk.h"
#include "services/matching/domain/pool_drains.h"
#include "services/matching/stores/ledger_test_env.h"
#include "services/matching/stores/operator_ledger_sql.h"

namespace handrail::matching {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::Time kNever = absl::InfiniteFuture();
const PoolKey kPool{Philosophy::kTwelveStepAa};

class OperatorLedgerTest : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  Call Operator(absl::string_view method = "/x/Do", const std::string& request_id = "") {
    Call call = env.As(who, request_id);
    call.who.kind = Principal::Kind::kOperator;
    call.method = method;
    return call;
  }
  Ticket OpenTicketNow() {
    const auto opened = env.Open(env.As(env.AddNewcomer()));
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened->value;
  }
  AuditReport Verified() {
    const auto report = operators.VerifyActions(kNever, {});
    EXPECT_TRUE(report.ok()) << report.status();
    AuditReport nothing;
    nothing.whole = false;
    return report.value_or(nothing);
  }
  OperatorAction LastAction() {
    const auto actions = operators.ListActions(kNever, std::nullopt, 1, INT64_MAX);
    EXPECT_TRUE(actions.ok() && !actions->items.empty());
    return actions->items.empty() ? OperatorAction() : actions->items.front();
  }

  LedgerTestEnv env{GetParam()};
  const MemberId who = MemberId::Random(env.random);
  SqlOperatorLedger operators{
      *env.database,
      env.vault,
      env.pools,
      env.random,
      BuiltInPrograms(),
      LedgerOptions(),
      OperatorRecord([](absl::string_view bytes) { return crypto::HmacSha256("key", bytes); })};
  MemberCache members{16};
  const RuleSet rules;
  OperatorDesk desk{operators,
                    *env.ledger,
                    members,
                    rules,
                    BuiltInPrograms(),
                    env.clock,
                    OperatorDesk::Options()};
};

TEST_P(OperatorLedgerTest, PoolsTellWhoWaitsByAgeAndWhatIsOffered) {
  EXPECT_TRUE(operators.ReportPools(kNever, env.clock.Now())->empty());
  const Ticket oldest = OpenTicketNow();
  env.clock.Advance(absl::Hours(30));
  OpenTicketNow();
  const Ticket offered = OpenTicketNow();
  env.clock.Advance(absl::Hours(25));
  OpenTicketNow();
  const MemberId sponsor = env.AddSponsor(3);
  ASSERT_TRUE(env.MakeOffer(offered, sponsor).ok());
  env.clock.Advance(absl::Minutes(30));
  const auto pools = operators.ReportPools(kNever, env.clock.Now());
  ASSERT_TRUE(pools.ok()) << pools.status();
  ASSERT_EQ(pools->size(), 1u);
  const PoolReport& pool = pools->front();
  EXPECT_EQ(pool.key, kPool);
  EXPECT_EQ(pool.id, operators.IdOf(kPool));
  EXPECT_EQ(*operators.KeyOf(pool.id), kPool);
  EXPECT_THAT(pool.waiting, ElementsAre(1, 0, 1, 1, 0));
  EXPECT_EQ(pool.oldest, oldest.create_time);
  EXPECT_EQ(pool.open_offers, 1);
  env.clock.Advance(absl::Hours(72));
  const auto later = operators.ReportPool(kNever, env.clock.Now(), kPool);
  ASSERT_TRUE(later.ok());
  EXPECT_THAT(later->waiting, ElementsAre(0, 0, 0, 0, 3));
  const auto other = operators.ReportPool(kNever, env.clock.Now(), {Philosophy::kSmart});
  ASSERT_TRUE(other.ok());
  EXPECT_THAT(other->waiting, ElementsAre(0, 0, 0, 0, 0));
}

TEST_P(OperatorLedgerTest, ANameThatIsNoPoolOfOursIsNotFound) {
  const auto key = operators.KeyOf(PoolId::Random(env.random));
  EXPECT_TRUE(HasReason(key.status(), reason::kNotFound)) << key.status();
}

TEST_P(OperatorLedgerTest, OpenTicketsComeInPagesLongestWaitingFirst) {
  std::vector<TicketId> expected;
  for (int i = 0; i < 5; ++i) {
    expected.push_back(OpenTicketNow().id);
    env.clock.Advance(absl::Seconds(1));
  }
  std::vector<TicketId> seen;
  std::optional<PageStart> after;
  for (int pages = 0; pages < 5; ++pages) {
    const auto page = operators.ListOpenTickets(kNever, kPool, TicketState::kWaiting, 2, after);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const auto& ticket : page->items) seen.push_back(ticket.ticket.ticket);
    if (!page->more) break;
    after = PageStart{page->items.back().ticket.create_time, page->items.back().ticket.ticket};
  }
  EXPECT_EQ(seen, expected);
  EXPECT_TRUE(
      operators.ListOpenTickets(kNever, kPool, TicketState::kOffered, 9, {})->items.empty());
}

TEST_P(OperatorLedgerTest, OfferedTicketsAndOpenOffersAreListedWhileTheyAre) {
  const Ticket ticket = OpenTicketNow();
  const MemberId sponsor = env.AddSponsor(1);
  const auto offer = env.MakeOffer(ticket, sponsor);
  ASSERT_TRUE(offer.ok());
  auto tickets = operators.ListOpenTickets(kNever, kPool, TicketState::kOffered, 9, {});
  ASSERT_TRUE(tickets.ok() && tickets->items.size() == 1);
  EXPECT_EQ(tickets->items.front().ticket.ticket, ticket.id);
  auto offers = operators.ListOpenOffers(kNever, kPool, 9, {});
  ASSERT_TRUE(offers.ok() && offers->items.size() == 1);
  EXPECT_EQ(offers->items.front().id, offer->value.id);
  EXPECT_EQ(offers->items.front().ticket, ticket.id);
  EXPECT_EQ(*operators.CountOpenOffers(kNever, ticket.id), 1);
  ASSERT_TRUE(env.ledger->DeclineOffer(env.As(sponsor), env.clock.Now(), offer->value.id).ok());
  EXPECT_TRUE(operators.ListOpenOffers(kNever, kPool, 9, {})->items.empty());
  EXPECT_TRUE(
      operators.ListOpenTickets(kNever, kPool, TicketState::kOffered, 9, {})->items.empty());
  EXPECT_EQ(*operators.CountOpenOffers(kNever, ticket.id), 0);
}

TEST_P(OperatorLedgerTest, SponsorsAreListedWithTheirSeatsAndTheirLastConfirmation) {
  std::vector<MemberId> sponsors = {env.AddSponsor(2), env.AddSponsor(3), env.AddSponsor(4)};
  std::sort(sponsors.begin(), sponsors.end());
  env.Pair(sponsors[0]);
  const auto page = operators.ListSponsors(kNever, 2, std::nullopt);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->items.size(), 2u);
  EXPECT_TRUE(page->more);
  EXPECT_EQ(page->items[0].seats.availability.sponsor, sponsors[0]);
  EXPECT_EQ(page->items[0].seats.availability.pairing_count, 1);
  EXPECT_TRUE(page->items[0].seats.may_be_offered);
  EXPECT_NE(page->items[0].attest_time, absl::InfinitePast());
  const auto rest = operators.ListSponsors(
      kNever, 2, PageStart{absl::UnixEpoch(), page->items[1].seats.availability.sponsor});
  ASSERT_EQ(rest->items.size(), 1u);
  EXPECT_FALSE(rest->more);
  EXPECT_EQ(rest->items[0].seats.availability.sponsor, sponsors[2]);
}

TEST_P(OperatorLedgerTest, ARequeuedTicketKeepsItsPlaceAndIsMarkedForTheQueues) {
  const Ticket ticket = OpenTicketNow();
  env.ledger->ClearMarks(kNever, {{ticket.id, 1}}, {});
  env.clock.Advance(absl::Hours(2));
  const Call call = Operator("/x/RequeueTicket", "again");
  const auto requeued = operators.Requeue(call, env.clock.Now(), ticket.id);
  ASSERT_TRUE(requeued.ok()) << requeued.status();
  EXPECT_EQ(requeued->value.ticket.version, 2);
  EXPECT_EQ(requeued->value.ticket.create_time, ticket.create_time);
  ASSERT_EQ(requeued->effects.tickets.size(), 1u);
  EXPECT_EQ(requeued->effects.tickets.front().version, 2);
  EXPECT_EQ(operators.FindOpenTicket(kNever, ticket.id)->hint_due, env.clock.Now());
  // The same request has happened already.
  const auto repeated = operators.Requeue(call, env.clock.Now(), ticket.id);
  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_EQ(repeated->value.ticket.version, 2);
  EXPECT_TRUE(repeated->effects.empty());
  EXPECT_EQ(env.TicketNow(ticket).version, 2);
  EXPECT_EQ(LastAction().detail, "repeated");
  Call other = call;
  other.request_hash = "another";
  EXPECT_TRUE(HasReason(operators.Requeue(other, env.clock.Now(), ticket.id).status(),
                        reason::kRequestIdReused));
  env.ExpectWhole();
}

TEST_P(OperatorLedgerTest, OnlyAWaitingTicketCanBeRequeued) {
  const Ticket ticket = OpenTicketNow();
  ASSERT_TRUE(env.MakeOffer(ticket, env.AddSponsor(1)).ok());
  EXPECT_TRUE(HasReason(operators.Requeue(Operator(), env.clock.Now(), ticket.id).status(),
                        reason::kTicketNotOpen));
  EXPECT_TRUE(HasReason(
      operators.Requeue(Operator(), env.clock.Now(), TicketId::Random(env.random)).status(),
      reason::kNotFound));
}

TEST_P(OperatorLedgerTest, ABoostIsBoundedAndCanBeTakenBack) {
  const Ticket ticket = OpenTicketNow();
  const auto boosted = operators.Boost(Operator("/x/BoostTicket"), env.clock.Now(), ticket.id, 100,
                                       BoostReason::kLongWait);
  ASSERT_TRUE(boosted.ok()) << boosted.status();
  EXPECT_EQ(boosted->value.ticket.boost, kMaxBoost);
  EXPECT_EQ(LastAction().detail, "100 LONG_WAIT");
  EXPECT_EQ(env.Count("SELECT boost FROM tickets"), 1'000'000);
  env.ExpectWhole();
  const auto back =
      operators.Boost(Operator(), env.clock.Now(), ticket.id, 0, BoostReason::kTakenBack);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->value.ticket.boost, 0);
  const auto half =
      operators.Boost(Operator(), env.clock.Now(), ticket.id, 50, BoostReason::kServiceFault);
  EXPECT_DOUBLE_EQ(half->effects.tickets.front().boost, 0.5);
  ASSERT_TRUE(env.ledger->CancelTicket(env.As(ticket.newcomer), env.clock.Now(), ticket.id).ok());
  EXPECT_TRUE(HasReason(
      operators.Boost(Operator(), env.clock.Now(), ticket.id, 1, BoostReason::kLongWait).status(),
      reason::kTicketNotOpen));
}

TEST_P(OperatorLedgerTest, ADrainedSponsorKeepsPairingsAndLosesOffersIfAsked) {
  const MemberId sponsor = env.AddSponsor(3);
  env.Pair(sponsor);
  const Ticket ticket = OpenTicketNow();
  ASSERT_TRUE(env.MakeOffer(ticket, sponsor).ok());
  const auto kept = operators.DrainSponsor(Operator(), env.clock.Now(), sponsor,
                                           OperatorLedger::OpenOffers::kKeep);
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_FALSE(kept->value.seats.availability.accepting);
  EXPECT_EQ(kept->value.seats.availability.open_offer_count, 1);
  const Call call = Operator("/x/DrainSponsor", "drain");
  const auto drained =
      operators.DrainSponsor(call, env.clock.Now(), sponsor, OperatorLedger::OpenOffers::kWithdraw);
  ASSERT_TRUE(drained.ok()) << drained.status();
  EXPECT_EQ(drained->value.seats.availability.open_offer_count, 0);
  EXPECT_EQ(drained->value.seats.availability.pairing_count, 1);
  EXPECT_EQ(drained->effects.offers.size(), 1u);
  EXPECT_EQ(env.TicketNow(ticket).state, TicketState::kWaiting);
  EXPECT_EQ(env.TicketNow(ticket).create_time, ticket.create_time);
  const auto repeated =
      operators.DrainSponsor(call, env.clock.Now(), sponsor, OperatorLedger::OpenOffers::kWithdraw);
  ASSERT_TRUE(repeated.ok());
  EXPECT_EQ(repeated->value.seats.availability.version, drained->value.seats.availability.version);
  EXPECT_TRUE(repeated->value.seats.may_be_offered);
  EXPECT_FALSE(env.MakeOffer(ticket, sponsor).ok());
  EXPECT_TRUE(HasReason(operators
                            .DrainSponsor(Operator(), env.clock.Now(), MemberId::Random(env.random),
                                          OperatorLedger::OpenOffers::kKeep)
                            .status(),
                        reason::kNotFound));
  env.ExpectWhole();
}

TEST_P(OperatorLedgerTest, ADrainedPoolGivesItsTicketsBackTheirPlace) {
  const Ticket ticket = OpenTicketNow();
  ASSERT_TRUE(env.MakeOffer(ticket, env.AddSponsor(1)).ok());
  const auto drained =
      operators.DrainPool(Operator("/x/DrainPool"), env.clock.Now(), kPool, absl::Minutes(30));
  ASSERT_TRUE(drained.ok()) << drained.status();
  EXPECT_EQ(drained->value, 1);
  EXPECT_EQ(drained->effects.offers.size(), 1u);
  EXPECT_EQ(LastAction().subject, operators.IdOf(kPool).Name());
  EXPECT_EQ(LastAction().detail, "30 minutes");
  EXPECT_EQ(env.TicketNow(ticket).state, TicketState::kWaiting);
  EXPECT_EQ(env.TicketNow(ticket).create_time, ticket.create_time);
  const auto report = operators.ReportPool(kNever, env.clock.Now(), kPool);
  EXPECT_EQ(report->drained_until, env.clock.Now() + absl::Minutes(30));
  EXPECT_EQ(operators.ListDrains(kNever, env.clock.Now())->size(), 1u);
  EXPECT_TRUE(operators.ListDrains(kNever, env.clock.Now() + absl::Minutes(30))->empty());
  ASSERT_TRUE(operators.ResumePool(Operator(), env.clock.Now(), kPool).ok());
  EXPECT_TRUE(operators.ListDrains(kNever, env.clock.Now())->empty());
  env.ExpectWhole();
}

TEST_P(OperatorLedgerTest, TheDrainsOfAProcessFollowTheLedger) {
  std::vector<TicketId> told;
  PoolDrains drains(operators, *env.ledger, env.clock, absl::Seconds(1),
                    [&](const Effects& effects) {
                      for (const auto& ticket : effects.tickets) told.push_back(ticket.ticket);
                    });
  const Ticket first = OpenTicketNow();
  env.clock.Advance(absl::Seconds(1));
  const Ticket second = OpenTicketNow();
  ASSERT_TRUE(drains.Refresh().ok());
  EXPECT_FALSE(drains.IsDrained(kPool));
  ASSERT_TRUE(operators.DrainPool(Operator(), env.clock.Now(), kPool, absl::Minutes(5)).ok());
  ASSERT_TRUE(drains.Refresh().ok());
  EXPECT_TRUE(drains.IsDrained(kPool));
  EXPECT_FALSE(drains.IsDrained({Philosophy::kSmart}));
  EXPECT_TRUE(told.empty());
  // A drain ends by itself, also while the ledger cannot be read.
  env.clock.Advance(absl::Minutes(5));
  EXPECT_FALSE(drains.IsDrained(kPool));
  ASSERT_TRUE(drains.Refresh().ok());
  EXPECT_THAT(told, ElementsAre(first.id, second.id));
}

TEST_P(OperatorLedgerTest, EveryCallIsOnRecordAndTheRecordIsWhole) {
  EXPECT_EQ(Verified().last_sequence, 0);
  EXPECT_TRUE(Verified().whole);
  const Ticket ticket = OpenTicketNow();
  ASSERT_TRUE(
      operators.Requeue(Operator("/x/RequeueTicket", "r1"), env.clock.Now(), ticket.id).ok());
  ASSERT_TRUE(desk.Read(Operator("/x/ListPools", "-"), "",
                        [] { return absl::StatusOr<std::string>("1 rows"); })
                  .ok());
  const absl::Status refused =
      Error(absl::StatusCode::kNotFound, reason::kNotFound).Message("with words");
  EXPECT_EQ(desk.Written(Operator("/x/BoostTicket", "r2"), "tickets/0", refused), refused);
  EXPECT_EQ(desk.Read(Operator("/x/ExplainTicket", "-"), "tickets/1",
                      [&] { return absl::StatusOr<std::string>(refused); }),
            refused);
  const auto actions = operators.ListActions(kNever, who, 10, INT64_MAX);
  ASSERT_TRUE(actions.ok()) << actions.status();
  ASSERT_EQ(actions->items.size(), 4u);
  EXPECT_EQ(actions->items[0].outcome, "NOT_FOUND NOT_FOUND");
  EXPECT_EQ(actions->items[0].subject, "tickets/1");
  EXPECT_EQ(actions->items[1].method, "BoostTicket");
  EXPECT_EQ(actions->items[2].detail, "1 rows");
  EXPECT_EQ(actions->items[3].sequence, 1);
  EXPECT_EQ(actions->items[3].subject, ticket.id.Name());
  EXPECT_EQ(actions->items[3].request_id, "r1");
  EXPECT_EQ(actions->items[3].who, who);
  EXPECT_EQ(actions->items[3].time, env.clock.Now());
  const auto older = operators.ListActions(kNever, std::nullopt, 2, 3);
  EXPECT_EQ(older->items.size(), 2u);
  EXPECT_FALSE(older->more);
  EXPECT_TRUE(
      operators.ListActions(kNever, MemberId::Random(env.random), 9, INT64_MAX)->items.empty());
  EXPECT_TRUE(Verified().whole);
  EXPECT_EQ(Verified().last_sequence, 4);
  EXPECT_EQ(Verified().last_seal.size(), 32u);
}

TEST_P(OperatorLedgerTest, WhatCannotBeRecordedIsNotAnsweredAndNotDone) {
  const Ticket ticket = OpenTicketNow();
  env.Execute("DELETE FROM operator_record_head");
  EXPECT_FALSE(operators.Requeue(Operator(), env.clock.Now(), ticket.id).ok());
  EXPECT_EQ(env.TicketNow(ticket).version, 1);
  EXPECT_FALSE(desk.Read(Operator(), "", [] { return absl::StatusOr<std::string>("x"); }).ok());
  EXPECT_FALSE(desk.Written(Operator(), "", absl::NotFoundError("")).ok());
}

// What somebody who can write the database may do to the record.
TEST_P(OperatorLedgerTest, EveryTamperingIsFound) {
  const std::vector<std::pair<std::string, int64_t>> damages = {
      {"UPDATE operator_actions SET detail = 'other' WHERE sequence = 3", 3},
      {"UPDATE operator_actions SET acted_at = acted_at + 1 WHERE sequence = 2", 2},
      {"UPDATE operator_actions SET who = (SELECT id FROM members LIMIT 1) WHERE sequence = 4", 4},
      {"UPDATE operator_actions SET outcome = 'OK' WHERE sequence = 5", 5},
      {"DELETE FROM operator_actions WHERE sequence = 1", 1},
      {"DELETE FROM operator_actions WHERE sequence = 3", 3},
      {"DELETE FROM operator_actions WHERE sequence = 6", 6},
      {"DELETE FROM operator_actions", 1},
      // Moved: two rows change places.
      {"UPDATE operator_actions SET sequence = CASE sequence WHEN 2 THEN 103 WHEN 3 THEN 102 END "
       "WHERE sequence IN (2, 3); "
       "UPDATE operator_actions SET sequence = sequence - 100 WHERE sequence > 100",
       2},
      // Removed with a renumbering of the rest, so that there is no gap.
      {"DELETE FROM operator_actions WHERE sequence = 4; "
       "UPDATE operator_actions SET sequence = 4 WHERE sequence = 5; "
       "UPDATE operator_actions SET sequence = 5 WHERE sequence = 6; "
       "UPDATE operator_record_head SET sequence = 5",
       4},
      // Added behind the end.
      {"INSERT INTO operator_actions SELECT 7, acted_at, who, method, subject, request_id, "
       "outcome, detail, seal FROM operator_actions WHERE sequence = 6",
       7},
  };
  for (const auto& [damage, first_broken] : damages) {
    LedgerTestEnv fresh(GetParam());
    SqlOperatorLedger ledger(
        *fresh.database, fresh.vault, fresh.pools, fresh.random, BuiltInPrograms(), LedgerOptions(),
        OperatorRecord([](absl::string_view bytes) { return crypto::HmacSha256("key", bytes); }));
    fresh.AddNewcomer();
    for (int i = 0; i < 6; ++i) {
      ASSERT_TRUE(ledger
                      .Record(Operator("/x/ListPools"), fresh.clock.Now(), "",
                              i == 4 ? "NOT_FOUND" : "OK", absl::StrCat(i))
                      .ok());
    }
    ASSERT_TRUE(ledger.VerifyActions(kNever, {})->whole);
    for (const absl::string_view statement : absl::StrSplit(damage, "; ")) {
      fresh.Execute(std::string(statement));
    }
    const auto report = ledger.VerifyActions(kNever, {});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_FALSE(report->whole) << damage;
    EXPECT_EQ(report->first_broken, first_broken) << damage;
    // Operators can go on, and it stays found.
    ASSERT_TRUE(ledger.Record(Operator(), fresh.clock.Now(), "", "OK", "").ok() ||
                first_broken == 7)
        << damage;
    EXPECT_FALSE(ledger.VerifyActions(kNever, {})->whole) << damage;
  }
}

TEST_P(OperatorLedgerTest, AnOlderCopyIsFoundByASealThatWasKeptElsewhere) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(operators.Record(Operator(), env.clock.Now(), "", "OK", absl::StrCat(i)).ok());
  }
  const AuditReport before = Verified();
  const KnownSeal known{before.last_sequence, before.last_seal};
  ASSERT_TRUE(operators.Record(Operator(), env.clock.Now(), "", "OK", "").ok());
  EXPECT_TRUE(operators.VerifyActions(kNever, known)->known_found);
  EXPECT_FALSE(operators.VerifyActions(kNever, {2, known.seal})->known_found);
  // The end is cut off, with all traces of it.
  env.Execute("DELETE FROM operator_actions WHERE sequence >= 3");
  env.Execute("UPDATE operator_record_head SET sequence = 2");
  EXPECT_TRUE(operators.VerifyActions(kNever, known)->whole);
  EXPECT_FALSE(operators.VerifyActions(kNever, known)->known_found);
  // Another row in its place.
  ASSERT_TRUE(operators.Record(Operator(), env.clock.Now(), "", "OK", "another").ok());
  EXPECT_TRUE(operators.VerifyActions(kNever, known)->whole);
  EXPECT_FALSE(operators.VerifyActions(kNever, known)->known_found);
}

TEST_P(OperatorLedgerTest, AnotherKeyDoesNotVerifyTheRecord) {
  ASSERT_TRUE(operators.Record(Operator(), env.clock.Now(), "", "OK", "").ok());
  const OperatorRecord forger(
      [](absl::string_view bytes) { return crypto::HmacSha256("guess", bytes); });
  EXPECT_FALSE(forger.Verify(*env.database, kNever, {})->whole);
}

TEST_P(OperatorLedgerTest, OldRowsAreTrimmedAndTheRestVerifies) {
  const auto record = [&](int rows) {
    for (int i = 0; i < rows; ++i) {
      ASSERT_TRUE(operators.Record(Operator(), env.clock.Now(), "", "OK", absl::StrCat(i)).ok());
    }
  };
  const auto trim = [&](int limit) {
    const auto trimmed =
        operators.TrimActions(kNever, env.clock.Now() - kOperatorRecordKept, limit);
    EXPECT_TRUE(trimmed.ok()) << trimmed.status();
    return trimmed.value_or(-1);
  };
  record(5);
  const AuditReport old = Verified();
  env.clock.Advance(absl::Hours(24));
  record(3);
  const AuditReport young = Verified();
  EXPECT_EQ(trim(100), 0) << "nothing is a year old";
  env.clock.Advance(kOperatorRecordKept - absl::Hours(1));
  EXPECT_EQ(trim(2), 2) << "a part";
  EXPECT_TRUE(Verified().whole);
  EXPECT_EQ(trim(100), 3);
  EXPECT_EQ(trim(100), 0);
  EXPECT_EQ(env.Count("SELECT MIN(sequence) FROM operator_actions"), 6);
  EXPECT_EQ(Verified().last_sequence, 8);
  EXPECT_EQ(Verified().last_seal, young.last_seal);
  // What was seen before: still there, the last that went, and older than what is left.
  EXPECT_TRUE(operators.VerifyActions(kNever, {8, young.last_seal})->known_found);
  EXPECT_FALSE(operators.VerifyActions(kNever, {8, old.last_seal})->known_found);
  EXPECT_TRUE(operators.VerifyActions(kNever, {5, old.last_seal})->known_found);
  EXPECT_FALSE(operators.VerifyActions(kNever, {5, young.last_seal})->known_found);
  EXPECT_TRUE(HasReason(operators.VerifyActions(kNever, {4, old.last_seal}).status(),
                        reason::kFieldInvalid));
  // It goes on, and the newest row stays however old it is.
  record(1);
  EXPECT_TRUE(Verified().whole);
  env.clock.Advance(2 * kOperatorRecordKept);
  EXPECT_EQ(trim(100), 3);
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM operator_actions"), 1);
  record(2);
  EXPECT_TRUE(Verified().whole);
  EXPECT_EQ(Verified().last_sequence, 11);
}

TEST_P(OperatorLedgerTest, WhatIsPlantedIsFoundAfterATrimAndNotTrimmedItself) {
  // Rows 1 to 4 are trimmed, 5 to 8 are left; the first row that does not verify.
  const std::vector<std::pair<std::string, int64_t>> damages = {
      {"UPDATE operator_actions SET detail = 'x' WHERE sequence = 5", 5},
      {"UPDATE operator_actions SET acted_at = acted_at + 1 WHERE sequence = 7", 7},
      {"DELETE FROM operator_actions WHERE sequence = 5", 5},
      {"DELETE FROM operator_actions WHERE sequence = 6", 6},
      {"DELETE FROM operator_actions WHERE sequence = 8", 8},
      // The checkpoint is forgotten, moved over a row that was removed, or made up.
      {"DELETE FROM operator_record_trims", 1},
      {"UPDATE operator_record_trims SET sequence = 5, last_seal = (SELECT seal FROM "
       "operator_actions WHERE sequence = 5); DELETE FROM operator_actions WHERE sequence = 5",
       6},
      {"UPDATE operator_record_trims SET seal = last_seal", 5},
  };
  for (const auto& [damage, first_broken] : damages) {
    LedgerTestEnv fresh(GetParam());
    SqlOperatorLedger ledger(
        *fresh.database, fresh.vault, fresh.pools, fresh.random, BuiltInPrograms(), LedgerOptions(),
        OperatorRecord([](absl::string_view bytes) { return crypto::HmacSha256("key", bytes); }));
    for (int i = 0; i < 8; ++i) {
      if (i == 4) fresh.clock.Advance(absl::Hours(24));
      ASSERT_TRUE(ledger.Record(Operator(), fresh.clock.Now(), "", "OK", absl::StrCat(i)).ok());
    }
    const absl::Time before = fresh.clock.Now() - absl::Hours(1);
    ASSERT_EQ(*ledger.TrimActions(kNever, before, 100), 4);
    ASSERT_TRUE(ledger.VerifyActions(kNever, {})->whole);
    for (const absl::string_view statement : absl::StrSplit(damage, "; ")) {
      fresh.Execute(std::string(statement));
    }
    const auto report = ledger.VerifyActions(kNever, {});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_FALSE(report->whole) << damage;
    EXPECT_EQ(report->first_broken, first_broken) << damage;
    // A year later it is still there to be found: evidence is not trimmed.
    fresh.clock.Advance(kOperatorRecordKept);
    for (int i = 0; i < 3; ++i) {
      ledger.TrimActions(kNever, fresh.clock.Now(), 100).IgnoreError();
    }
    EXPECT_FALSE(ledger.VerifyActions(kNever, {})->whole) << damage;
  }
}

TEST_P(OperatorLedgerTest, ManyOperatorsAtOnceMakeOneRecord) {
  constexpr int kThreads = 4;
  constexpr int kEach = 25;
  std::vector<Call> calls;
  for (int i = 0; i < kThreads; ++i) calls.push_back(Operator("/x/ListPools"));
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < kEach; ++n) {
        EXPECT_TRUE(
            operators
                .Record(calls[static_cast<size_t>(i)], env.clock.Now(), "", "OK", absl::StrCat(n))
                .ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(Verified().whole);
  EXPECT_EQ(Verified().last_sequence, kThreads * kEach);
}

TEST_P(OperatorLedgerTest, ExplainCountsTheSponsorsOfThePoolUnderTheRealRules) {
  const Ticket ticket = OpenTicketNow();
  for (int i = 0; i < 7; ++i) env.AddSponsor(0);  // no seat
  env.AddSponsor(2);
  const MemberId spanish = env.AddSponsor(2);
  MemberTraits traits = env.Sponsor(spanish, 2);
  traits.sponsor->person.languages = {Language::FromTag("es")};
  ASSERT_TRUE(env.ledger->ApplyMember(kNever, env.clock.Now(), traits).ok());
  const MemberId elsewhere = env.AddSponsor(2);
  MemberTraits other = env.Sponsor(elsewhere, 2);
  other.sponsor->programs.front().philosophy = Philosophy::kSmart;
  ASSERT_TRUE(env.ledger->ApplyMember(kNever, env.clock.Now(), other).ok());

  Call call = Operator("/x/ExplainTicket");
  call.deadline = env.clock.Now() + absl::Seconds(30);
  OperatorDesk::Options options;
  options.chunk = 3;
  OperatorDesk small(operators, *env.ledger, members, rules, BuiltInPrograms(), env.clock, options);
  const auto report = small.Explain(call, ticket.id);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->sponsors, 10);
  EXPECT_EQ(report->tally.evaluated, 9);
  EXPECT_EQ(report->tally.passing, 1);
  EXPECT_EQ(report->tally.OnlyOf(Rule::kCapacity), 7);
  EXPECT_EQ(report->tally.OnlyOf(Rule::kLanguage), 1);
  EXPECT_TRUE(report->situation.complete);
  EXPECT_TRUE(report->situation.newcomer_known);
  EXPECT_EQ(report->situation.waiting_ahead, 0);
  EXPECT_THAT(Findings(report->tally, report->situation),
              Contains(HasSubstr("For at least 5 only H10 CAPACITY")));

  // What stands between two people counts as well.
  ASSERT_TRUE(env.ledger
                  ->ApplyBlock(kNever, env.clock.Now(), BlockId::Random(env.random), spanish,
                               ticket.newcomer)
                  .ok());
  const auto blocked = desk.Explain(call, ticket.id);
  EXPECT_EQ(blocked->tally.BrokenOf(Rule::kNotBlocked), 1);
  EXPECT_EQ(blocked->tally.OnlyOf(Rule::kLanguage), 0);
  EXPECT_EQ(blocked->tally.together_broken, 1);
  EXPECT_EQ(blocked->tally.together_only, 0) << "they share no language either";
}

TEST_P(OperatorLedgerTest, ExplainStopsInTimeAndSaysSo) {
  const Ticket ticket = OpenTicketNow();
  env.AddSponsor(1);
  Call call = Operator("/x/ExplainTicket");
  call.deadline = env.clock.Now() + absl::Milliseconds(900);
  const auto report = desk.Explain(call, ticket.id);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_FALSE(report->situation.complete);
  EXPECT_EQ(report->sponsors, 0);
  EXPECT_TRUE(
      HasReason(desk.Explain(call, TicketId::Random(env.random)).status(), reason::kNotFound));
  ASSERT_TRUE(env.ledger->CancelTicket(env.As(ticket.newcomer), env.clock.Now(), ticket.id).ok());
  EXPECT_TRUE(HasReason(desk.Explain(call, ticket.id).status(), reason::kTicketNotOpen));
}

TEST_P(OperatorLedgerTest, AProbationEndsOnceAndTheSponsorIsTold) {
  LedgerOptions options;
  options.care.probation = absl::Hours(24 * 90);
  SqlLedger ledger(*env.database, env.vault, env.pools, env.random, BuiltInPrograms(), options);
  const MemberId sponsor = MemberId::Random(env.random);
  ASSERT_TRUE(ledger.ApplyMember(kNever, env.clock.Now(), env.Sponsor(sponsor)).ok());
  ASSERT_TRUE(ledger.SetAvailability(env.As(sponsor), env.clock.Now(), 3, true).ok());
  ASSERT_EQ(env.SeatsOf(sponsor).FreeSeats(), 1);
  const Call call = Operator("/x/EndProbation", "once");
  const auto ended =
      operators.EndProbation(call, env.clock.Now(), sponsor, ProbationEndReason::kVouched);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_THAT(ended->effects.sponsors, ElementsAre(sponsor));
  EXPECT_EQ(ended->value.seats.availability.FreeSeats(), 3);
  EXPECT_EQ(env.SeatsOf(sponsor).FreeSeats(), 3);
  EXPECT_EQ(env.SeatsOf(sponsor).probation_end_time, absl::InfinitePast());
  OperatorAction action = LastAction();
  EXPECT_EQ(action.method, "EndProbation");
  EXPECT_EQ(action.subject, sponsor.Name());
  EXPECT_EQ(action.detail, "VOUCHED");
  const auto notices =
      env.care->ListNotices(env.As(sponsor), env.clock.Now(), false, 10, std::nullopt);
  ASSERT_TRUE(notices.ok()) << notices.status();
  ASSERT_EQ(notices->items.size(), 1u);
  EXPECT_EQ(notices->items.front().kind, NoticeKind::kProbationOver);

  // Repeated, the first answer, and on record.
  ASSERT_TRUE(env.ledger->SetAvailability(env.As(sponsor), env.clock.Now(), 2, true).ok());
  const auto again =
      operators.EndProbation(call, env.clock.Now(), sponsor, ProbationEndReason::kVouched);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->effects.empty());
  EXPECT_EQ(again->value.seats.availability.FreeSeats(), 3);
  EXPECT_EQ(LastAction().detail, "repeated");
  const auto over = operators.EndProbation(Operator("/x/EndProbation", "twice"), env.clock.Now(),
                                           sponsor, ProbationEndReason::kTrained);
  EXPECT_TRUE(HasReason(over.status(), reason::kNotOnProbation)) << over.status();
  const auto nobody =
      operators.EndProbation(Operator("/x/EndProbation", "nobody"), env.clock.Now(),
                             MemberId::Random(env.random), ProbationEndReason::kVouched);
  EXPECT_TRUE(HasReason(nobody.status(), reason::kNotFound)) << nobody.status();
  EXPECT_TRUE(Verified().whole);
}

INSTANTIATE_TEST_SUITE_P(Backends, OperatorLedgerTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory,
                                           storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::matching
