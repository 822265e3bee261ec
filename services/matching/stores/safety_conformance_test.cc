#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/stores/help_sql.h"
#include "services/matching/stores/ledger_test_env.h"
#include "services/matching/stores/schema.h"

// Two whose pairing ended for safety, or because a boundary was crossed, never meet again here.
namespace handrail::matching {
namespace {

constexpr absl::Time kNever = absl::InfiniteFuture();

class SafetyTest : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  // Gives a member both sides, and a seat.
  void MakeBoth(const MemberId& id, int64_t version) {
    MemberTraits both = env.Sponsor(id, version);
    both.newcomer = env.Newcomer(id).newcomer;
    ASSERT_TRUE(env.ledger->ApplyMember(kNever, env.clock.Now(), both).ok());
    ASSERT_TRUE(env.ledger->SetAvailability(env.As(id), env.clock.Now(), 2, true).ok());
  }
  void End(const Pairing& pairing, EndReason reason) {
    const auto ended =
        env.ledger->EndPairing(env.As(pairing.newcomer), env.clock.Now(), pairing.id, reason);
    ASSERT_TRUE(ended.ok()) << ended.status();
  }
  // What the index reads of the two, the first one asking.
  PairFacts FactsOf(const MemberId& newcomer, const MemberId& sponsor) {
    const auto records = env.ledger->LoadPairFacts(kNever, env.clock.Now(), {&newcomer, 1});
    EXPECT_TRUE(records.ok()) << records.status();
    for (const Ledger::PairRecord& record : *records) {
      if (record.sponsor == sponsor) return record.facts;
    }
    return PairFacts();
  }

  LedgerTestEnv env{GetParam()};
};

TEST_P(SafetyTest, NeitherIsPutBeforeTheOtherWhicheverOfThemAsks) {
  for (const EndReason reason : {EndReason::kSafety, EndReason::kBoundary}) {
    const MemberId sponsor = env.AddSponsor(1);
    const Pairing pairing = env.Pair(sponsor);
    MakeBoth(sponsor, 2);
    MakeBoth(pairing.newcomer, 2);
    End(pairing, reason);
    // The last attestations still hold; every cooldown has passed.
    env.clock.Advance(absl::Hours(24 * 29));
    for (const auto& [asks, gives] :
         {std::pair(pairing.newcomer, sponsor), std::pair(sponsor, pairing.newcomer)}) {
      const auto ticket = env.Open(env.As(asks), RelationshipType::kSponsor, 2);
      ASSERT_TRUE(ticket.ok()) << ticket.status();
      EXPECT_TRUE(FactsOf(asks, gives).ended_for_safety);
      const absl::Status offer = env.MakeOffer(ticket->value, gives).status();
      EXPECT_TRUE(HasReason(offer, reason::kRelationshipNotOffered)) << offer;
    }
  }
  env.ExpectWhole();
}

TEST_P(SafetyTest, AnotherReasonCoolsDownOneWayAndPasses) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  MakeBoth(sponsor, 2);
  MakeBoth(pairing.newcomer, 2);
  End(pairing, EndReason::kTime);
  EXPECT_FALSE(FactsOf(pairing.newcomer, sponsor).ended_for_safety);
  const auto ticket = env.Open(env.As(sponsor), RelationshipType::kSponsor, 2);
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  const auto offer = env.MakeOffer(ticket->value, pairing.newcomer);
  EXPECT_TRUE(offer.ok()) << offer.status();
  env.ExpectWhole();
}

TEST_P(SafetyTest, AnOpenOfferTheOtherWayIsTakenBackAndTheTicketKeepsItsPlace) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  MakeBoth(sponsor, 2);
  MakeBoth(pairing.newcomer, 2);
  const auto ticket = env.Open(env.As(sponsor), RelationshipType::kSponsor, 2);
  const auto offer = env.MakeOffer(ticket->value, pairing.newcomer);
  ASSERT_TRUE(offer.ok()) << offer.status();
  const auto ended = env.ledger->EndPairing(env.As(pairing.newcomer), env.clock.Now(), pairing.id,
                                            EndReason::kSafety);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->effects.offers.size(), 1u) << "both are to hear of it";
  EXPECT_EQ(env.TicketNow(ticket->value).state, TicketState::kWaiting);
  EXPECT_EQ(env.TicketNow(ticket->value).create_time, ticket->value.create_time);
  EXPECT_EQ(env.SeatsOf(pairing.newcomer).TakenSeats(), 0);
  EXPECT_TRUE(HasReason(
      env.ledger->AcceptOffer(env.As(pairing.newcomer), env.clock.Now(), offer->value.id).status(),
      reason::kOfferNotOpen));
  env.ExpectWhole();
}

TEST_P(SafetyTest, ACooldownTheOtherWayGivesWay) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  MakeBoth(sponsor, 2);
  MakeBoth(pairing.newcomer, 2);
  const auto ticket = env.Open(env.As(sponsor), RelationshipType::kSponsor, 2);
  const auto offer = env.MakeOffer(ticket->value, pairing.newcomer);
  ASSERT_TRUE(offer.ok()) << offer.status();
  ASSERT_TRUE(
      env.ledger->DeclineOffer(env.As(pairing.newcomer), env.clock.Now(), offer->value.id).ok());
  EXPECT_FALSE(FactsOf(sponsor, pairing.newcomer).ended_for_safety);
  End(pairing, EndReason::kSafety);
  EXPECT_TRUE(FactsOf(sponsor, pairing.newcomer).ended_for_safety);
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM pair_exclusions WHERE kind = 4"), 2);
}

// What the other one can see of the pairing and of what was told about it.
#define SEEN_OF_PAIRINGS                                                                        \
  "SELECT COALESCE(SUM(version + state + ended_at % 1000000), 0) + (SELECT COUNT(*) * 1000000 " \
  "FROM notices) + (SELECT COUNT(*) * 100000000 FROM outbox) FROM pairings"

TEST_P(SafetyTest, SaidAfterItEndedOtherwiseItKeepsThemApartAllTheSame) {
  enum class Before { kTheOther, kTheSame, kBlock };
  for (const EndReason reason : {EndReason::kSafety, EndReason::kBoundary}) {
    for (const Before before : {Before::kTheOther, Before::kTheSame, Before::kBlock}) {
      const MemberId sponsor = env.AddSponsor(1);
      const Pairing pairing = env.Pair(sponsor);
      MakeBoth(sponsor, 2);
      MakeBoth(pairing.newcomer, 2);
      const absl::Time now = env.clock.Now();
      if (before == Before::kBlock) {
        ASSERT_TRUE(
            env.ledger
                ->ApplyBlock(kNever, now, BlockId::Random(env.random), sponsor, pairing.newcomer)
                .ok());
      } else {
        const MemberId& first = before == Before::kTheOther ? sponsor : pairing.newcomer;
        ASSERT_TRUE(env.ledger->EndPairing(env.As(first), now, pairing.id, EndReason::kTime).ok());
      }
      env.clock.Advance(absl::Hours(1));
      EXPECT_FALSE(FactsOf(sponsor, pairing.newcomer).ended_for_safety);
      const auto seen = env.ledger->GetPairing(env.As(sponsor), pairing.id);
      const int64_t all = env.Count(SEEN_OF_PAIRINGS);
      const auto said =
          env.ledger->EndPairing(env.As(pairing.newcomer), env.clock.Now(), pairing.id, reason);
      ASSERT_TRUE(said.ok()) << said.status();
      EXPECT_EQ(said->value.state, PairingState::kEnded);
      EXPECT_EQ(said->value.end_time, now) << "it ended when it ended";
      EXPECT_TRUE(said->effects.empty()) << "nobody is woken";
      // Both ways, for good.
      EXPECT_TRUE(FactsOf(sponsor, pairing.newcomer).ended_for_safety);
      EXPECT_TRUE(FactsOf(pairing.newcomer, sponsor).ended_for_safety);
      const auto ticket = env.Open(env.As(sponsor), RelationshipType::kSponsor, 2);
      ASSERT_TRUE(ticket.ok()) << ticket.status();
      EXPECT_TRUE(HasReason(env.MakeOffer(ticket->value, pairing.newcomer).status(),
                            reason::kRelationshipNotOffered));
      // The other one sees nothing of it.
      const auto later = env.ledger->GetPairing(env.As(sponsor), pairing.id);
      ASSERT_TRUE(seen.ok() && later.ok());
      EXPECT_EQ(later->version, seen->version);
      EXPECT_EQ(later->end_time, seen->end_time);
      EXPECT_EQ(env.Count(SEEN_OF_PAIRINGS), all);
    }
  }
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM pairings WHERE end_reason IN (10, 12)"), 6)
      << "where a case will be made from it";
  env.ExpectWhole();
}

TEST_P(SafetyTest, WhatWasSaidStaysSaid) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  const Call first = env.As(pairing.newcomer, "said");
  for (int i = 0; i < 3; ++i) {  // the same request
    const auto said =
        env.ledger->EndPairing(first, env.clock.Now(), pairing.id, EndReason::kSafety);
    ASSERT_TRUE(said.ok()) << said.status();
    EXPECT_EQ(said->value.version, pairing.version + 1);
    EXPECT_EQ(said->effects.empty(), i > 0);
  }
  End(pairing, EndReason::kSafety);  // another
  End(pairing, EndReason::kTime);
  End(pairing, EndReason::kBoundary);
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM safety_words WHERE reason = 12"), 1);
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM pairings WHERE end_reason = 12"), 1);
  EXPECT_TRUE(FactsOf(pairing.newcomer, sponsor).ended_for_safety);
  // Each says it for themselves.
  ASSERT_TRUE(
      env.ledger->EndPairing(env.As(sponsor), env.clock.Now(), pairing.id, EndReason::kBoundary)
          .ok());
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM safety_words"), 2);
  const absl::Status stranger =
      env.ledger
          ->EndPairing(env.As(env.AddNewcomer()), env.clock.Now(), pairing.id, EndReason::kSafety)
          .status();
  EXPECT_TRUE(absl::IsNotFound(stranger));
  // What they said goes with them; that the two are kept apart stays.
  MemberTraits gone = env.Newcomer(pairing.newcomer, 2);
  gone.standing = Standing::kErased;
  ASSERT_TRUE(env.ledger->ApplyMember(kNever, env.clock.Now(), gone).ok());
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM safety_words"), 1);
  EXPECT_TRUE(FactsOf(pairing.newcomer, sponsor).ended_for_safety);
  env.ExpectWhole();
}

TEST_P(SafetyTest, SaidLateItTakesBackOpenOffersBetweenThem) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  MakeBoth(sponsor, 2);
  MakeBoth(pairing.newcomer, 2);
  End(pairing, EndReason::kTime);
  const auto ticket = env.Open(env.As(sponsor), RelationshipType::kSponsor, 2);
  const auto offer = env.MakeOffer(ticket->value, pairing.newcomer);
  ASSERT_TRUE(offer.ok()) << offer.status();
  const auto said =
      env.ledger->EndPairing(env.As(sponsor), env.clock.Now(), pairing.id, EndReason::kSafety);
  ASSERT_TRUE(said.ok()) << said.status();
  ASSERT_EQ(said->effects.offers.size(), 1u);
  EXPECT_EQ(said->effects.offers.front().offer, offer->value.id);
  EXPECT_EQ(env.TicketNow(ticket->value).state, TicketState::kWaiting);
  EXPECT_EQ(env.TicketNow(ticket->value).create_time, ticket->value.create_time);
  EXPECT_EQ(env.SeatsOf(pairing.newcomer).TakenSeats(), 0);
  env.ExpectWhole();
}

TEST_P(SafetyTest, SaidLateItKeepsThemApartInCallsForHelp) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  SqlHelpStore help(*env.database, env.vault, env.pools, env.random, BuiltInPrograms(),
                    HelpOptions());
  const absl::Time now = env.clock.Now();
  const HelpCallId id = HelpCallId::Random(env.random);
  ASSERT_TRUE(help.SetBackups(env.As(pairing.newcomer), now, {&sponsor, 1}).ok());
  ASSERT_TRUE(help.Reach(env.As(pairing.newcomer), now, id, {}).ok());
  End(pairing, EndReason::kFit);
  ASSERT_EQ(help.ListAsks(env.As(sponsor), false, 10, {})->items.size(), 1u);
  End(pairing, EndReason::kSafety);
  EXPECT_TRUE(help.ListAsks(env.As(sponsor), false, 10, {})->items.empty());
  const auto answered = help.Answer(env.As(sponsor), now, id);
  ASSERT_TRUE(answered.ok()) << answered.status();
  EXPECT_EQ(answered->value.state, HelpAskState::kOver);
  EXPECT_TRUE(help.GetBackups(env.As(pairing.newcomer))->empty());
  EXPECT_TRUE(HasReason(help.SetBackups(env.As(pairing.newcomer), now, {&sponsor, 1}).status(),
                        reason::kBackupNotPossible));
  env.ExpectWhole();
}

INSTANTIATE_TEST_SUITE_P(Backends, SafetyTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory,
                                           storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

class SafetyMigrationTest : public ::testing::TestWithParam<storage::TestBackend> {};

TEST_P(SafetyMigrationTest, WhatWasForbiddenOneWayIsForbiddenBothWays) {
  const std::vector<storage::Migration>& all = LedgerMigrations();
  const auto mirror = std::find_if(all.begin(), all.end(), [](const storage::Migration& migration) {
    return migration.name == "0007_exclusions_both_ways";
  });
  ASSERT_NE(mirror, all.end());
  storage::TestDatabase test_database(GetParam());
  const auto database = test_database.Open();
  ASSERT_TRUE(database->Migrate({all.data(), static_cast<size_t>(mirror - all.begin())}).ok());
  SystemRandom random;
  const MemberId a = MemberId::Random(random);
  const MemberId b = MemberId::Random(random);
  const MemberId c = MemberId::Random(random);
  const MemberId d = MemberId::Random(random);
  const auto write = [&](absl::FunctionRef<absl::Status(storage::Transaction&)> work) {
    const absl::Status status = database->Write(kNever, work);
    ASSERT_TRUE(status.ok()) << status;
  };
  write([&](storage::Transaction& tx) -> absl::Status {
    const auto put = [&](const MemberId& newcomer, const MemberId& sponsor, int64_t until,
                         int kind) {
      return tx
          .Execute(
              "INSERT INTO pair_exclusions (newcomer, sponsor, until, kind) "
              "VALUES ($1, $2, $3, $4)",
              {newcomer, sponsor, until, kind})
          .status();
    };
    RETURN_IF_ERROR(put(a, b, INT64_MAX, 4));
    RETURN_IF_ERROR(put(b, a, 5, 2));          // a cooldown the other way gives way
    RETURN_IF_ERROR(put(a, c, INT64_MAX, 4));  // both ways already
    RETURN_IF_ERROR(put(c, a, INT64_MAX, 4));
    RETURN_IF_ERROR(put(b, d, INT64_MAX, 4));
    return put(a, d, 7, 3);  // this one has nothing to do with it
  });
  ASSERT_TRUE(database->Migrate(all).ok());
  ASSERT_TRUE(database->Migrate(all).ok());
  const auto count = [&](absl::string_view condition) {
    int64_t found = -1;
    const absl::Status status =
        database->Read(kNever, [&](storage::Transaction& tx) -> absl::Status {
          ASSIGN_OR_RETURN(
              const storage::Rows rows,
              tx.Query(absl::StrCat("SELECT COUNT(*) FROM pair_exclusions WHERE ", condition), {}));
          found = rows.front().Int(0);
          return absl::OkStatus();
        });
    EXPECT_TRUE(status.ok()) << status;
    return found;
  };
  EXPECT_EQ(count("kind = 4 AND until = 9223372036854775807"), 6);
  EXPECT_EQ(count("kind = 3 AND until = 7"), 1);
  EXPECT_EQ(count("kind = 2"), 0);
  EXPECT_EQ(count("kind = 4 AND NOT EXISTS (SELECT 1 FROM pair_exclusions r WHERE r.kind = 4 "
                  "AND r.newcomer = pair_exclusions.sponsor "
                  "AND r.sponsor = pair_exclusions.newcomer)"),
            0);
}

INSTANTIATE_TEST_SUITE_P(Backends, SafetyMigrationTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory,
                                           storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::matching
