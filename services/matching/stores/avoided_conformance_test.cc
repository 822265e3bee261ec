#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "common/base/status.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/help_desk.h"
#include "services/matching/domain/match_index.h"
#include "services/matching/domain/member_sync.h"
#include "services/matching/stores/help_sql.h"
#include "services/matching/stores/ledger_test_env.h"

// Two of whom one does not wish to be matched with the other: nothing is offered between them, and
// nothing that they have is ended.
namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Time kNever = absl::InfiniteFuture();

class AvoidedTest : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  void TearDown() override { env.ExpectWhole(); }

  // What profiles tells next of a newcomer or of a sponsor.
  void Tell(MemberTraits member, std::vector<MemberTraits::Avoided> avoided) {
    member.avoided = std::move(avoided);
    const absl::Status status = sync.ApplyMember(kNever, member);
    ASSERT_TRUE(status.ok()) << status;
  }
  PairFacts FactsOf(const MemberId& newcomer, const MemberId& sponsor) {
    PairFacts facts;
    const auto records = env.ledger->LoadPairFacts(kNever, env.clock.Now(), {&newcomer, 1});
    EXPECT_TRUE(records.ok()) << records.status();
    for (const Ledger::PairRecord& record : *records) {
      if (record.sponsor == sponsor) facts.Add(record.facts);
    }
    return facts;
  }
  absl::Status OfferTo(const Ticket& ticket, const MemberId& sponsor) {
    return env.MakeOffer(env.TicketNow(ticket), sponsor).status();
  }
  int64_t Rows() { return env.Count("SELECT COUNT(*) FROM avoided"); }

  LedgerTestEnv env{GetParam()};
  MemberCache members{1000};
  RuleSet rules;
  Effects effects;
  MemberSync sync{*env.ledger, members,   BuiltInPrograms(),
                  rules,       env.clock, [this](const Effects& some) { effects.Append(some); }};
};

TEST_P(AvoidedTest, NothingIsOfferedWhicheverOfThemAskedForIt) {
  for (const bool dual_role : {false, true}) {
    for (const bool by_sponsor : {false, true}) {
      const MemberId sponsor = env.AddSponsor(2);
      const MemberId newcomer = env.AddNewcomer();
      const MemberId other = env.AddNewcomer();
      if (by_sponsor) {
        Tell(env.Sponsor(sponsor, 2), {{newcomer, dual_role}});
      } else {
        Tell(env.Newcomer(newcomer, 2), {{sponsor, dual_role}});
      }
      EXPECT_EQ(FactsOf(newcomer, sponsor).avoided, !dual_role);
      EXPECT_EQ(FactsOf(newcomer, sponsor).dual_role, dual_role);
      EXPECT_EQ(FactsOf(sponsor, newcomer).IsClear(), false) << "whichever of them asks";
      EXPECT_TRUE(FactsOf(other, sponsor).IsClear());
      const auto ticket =
          env.Open(env.As(newcomer), RelationshipType::kSponsor, by_sponsor ? 1 : 2);
      ASSERT_TRUE(ticket.ok()) << ticket.status();
      EXPECT_TRUE(HasReason(OfferTo(ticket->value, sponsor), reason::kRelationshipNotOffered));
      // Taken off the list, all is as before.
      if (by_sponsor) {
        Tell(env.Sponsor(sponsor, 3), {});
      } else {
        Tell(env.Newcomer(newcomer, 3), {});
      }
      EXPECT_TRUE(FactsOf(newcomer, sponsor).IsClear());
      EXPECT_TRUE(OfferTo(ticket->value, sponsor).ok());
    }
  }
  EXPECT_EQ(Rows(), 0);
}

TEST_P(AvoidedTest, AnOpenOfferIsTakenBackAndTheTicketKeepsItsPlace) {
  const MemberId sponsor = env.AddSponsor(2);
  const auto ticket = env.Open(env.As(env.AddNewcomer()));
  const auto offer = env.MakeOffer(ticket->value, sponsor);
  ASSERT_TRUE(offer.ok()) << offer.status();
  const auto beside = env.Open(env.As(env.AddNewcomer()));
  ASSERT_TRUE(env.MakeOffer(beside->value, sponsor).ok());
  Tell(env.Sponsor(sponsor, 2), {{ticket->value.newcomer, false}});
  EXPECT_EQ(env.TicketNow(ticket->value).state, TicketState::kWaiting);
  EXPECT_EQ(env.TicketNow(ticket->value).create_time, ticket->value.create_time);
  EXPECT_EQ(env.TicketNow(beside->value).state, TicketState::kOffered) << "another's stays";
  EXPECT_EQ(env.SeatsOf(sponsor).open_offer_count, 1);
}

// Between the commit of the list and the withdrawal of the offer.
TEST_P(AvoidedTest, AnOfferIsNotAcceptedFromTheCommitOn) {
  const MemberId sponsor = env.AddSponsor(1);
  const auto ticket = env.Open(env.As(env.AddNewcomer()));
  const auto offer = env.MakeOffer(ticket->value, sponsor);
  ASSERT_TRUE(offer.ok()) << offer.status();
  MemberTraits newcomer = env.Newcomer(ticket->value.newcomer, 2);
  newcomer.avoided = {{sponsor, false}};
  ASSERT_TRUE(env.ledger->ApplyMember(kNever, env.clock.Now(), newcomer).ok());
  EXPECT_TRUE(
      HasReason(env.ledger->AcceptOffer(env.As(sponsor), env.clock.Now(), offer->value.id).status(),
                reason::kOfferNotOpen));
}

TEST_P(AvoidedTest, APairingGoesOn) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  Tell(env.Newcomer(pairing.newcomer, 2), {{sponsor, true}});
  const auto now = env.ledger->GetPairing(env.As(sponsor), pairing.id);
  ASSERT_TRUE(now.ok()) << now.status();
  EXPECT_EQ(now->state, pairing.state);
  EXPECT_EQ(now->version, pairing.version) << "nothing is said";
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM outbox WHERE step = 2"), 0);
}

TEST_P(AvoidedTest, AnOlderListChangesNothing) {
  const MemberId sponsor = env.AddSponsor(1);
  const MemberId newcomer = env.AddNewcomer();
  Tell(env.Newcomer(newcomer, 3), {{sponsor, false}});
  Tell(env.Newcomer(newcomer, 2), {});
  EXPECT_TRUE(FactsOf(newcomer, sponsor).avoided);
  Tell(env.Newcomer(newcomer, 4), {{env.AddSponsor(1), false}});
  EXPECT_TRUE(FactsOf(newcomer, sponsor).IsClear()) << "a list replaces the one before";
}

TEST_P(AvoidedTest, ItGoesWithEitherOfThemWhoIsErased) {
  const MemberId sponsor = env.AddSponsor(1);
  const MemberId newcomer = env.AddNewcomer();
  const MemberId other = env.AddNewcomer();
  Tell(env.Newcomer(newcomer, 2), {{sponsor, false}, {other, false}});
  Tell(env.Newcomer(other, 2), {{newcomer, true}});
  EXPECT_EQ(Rows(), 3);
  MemberTraits gone = env.Sponsor(sponsor, 2);
  gone.standing = Standing::kErased;
  Tell(gone, {{newcomer, false}});
  EXPECT_EQ(Rows(), 2);
  gone = env.Newcomer(newcomer, 3);
  gone.standing = Standing::kErased;
  Tell(gone, {});
  EXPECT_EQ(Rows(), 0);
}

TEST_P(AvoidedTest, TheIndexLearnsOfAListAndOfItsEnd) {
  const MemberId sponsor = env.AddSponsor(1);
  const MemberId newcomer = env.AddNewcomer();
  const auto ticket = env.Open(env.As(newcomer));
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  const Scorer scorer;
  const Chooser chooser(rules, scorer);
  MatchIndex index(*env.ledger, members, chooser, BuiltInPrograms());
  const absl::Time now = env.clock.Now();
  ASSERT_TRUE(index.RefreshSponsors(kNever, now, {&sponsor, 1}, nullptr).ok());
  ASSERT_TRUE(index.RefreshTickets(kNever, now, {&ticket->value.id, 1}, nullptr).ok());
  const auto matches = [&] { return index.FindForTicket(ticket->value.id, {}, now).has_value(); };
  EXPECT_TRUE(matches());
  // What the list changes names the newcomer's waiting ticket, so that the index reads anew.
  int64_t version = 2;
  const auto told = [&](std::vector<MemberTraits::Avoided> avoided) {
    effects = Effects();
    Tell(env.Newcomer(newcomer, version++), std::move(avoided));
    ASSERT_THAT(effects.tickets, SizeIs(1));
    ASSERT_TRUE(index.PutTickets(kNever, now, effects.tickets).ok());
  };
  told({{sponsor, false}});
  EXPECT_FALSE(matches());
  told({{env.AddSponsor(1), false}});
  EXPECT_TRUE(matches()) << "another is avoided now";
  told({{sponsor, true}});
  EXPECT_FALSE(matches());
  told({});
  EXPECT_TRUE(matches());
  // A sponsor's list is read with the ticket, at the next scrub.
  Tell(env.Sponsor(sponsor, 2), {{newcomer, false}});
  ASSERT_TRUE(index.RefreshTickets(kNever, now, {&ticket->value.id, 1}, nullptr).ok());
  EXPECT_FALSE(matches());
}

// ---- Calls for help ----

class AvoidedHelpTest : public AvoidedTest {
 protected:
  MemberId AddOnCall() {
    const MemberId id = env.AddSponsor(1);
    EXPECT_TRUE(store.SetOnCall(env.As(id), env.clock.Now(), absl::Hours(24)).ok());
    return id;
  }
  std::vector<HelpAsk> AsksOf(const MemberId& helper) {
    const auto page = store.ListAsks(env.As(helper), false, 10, {});
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? page->items : std::vector<HelpAsk>();
  }

  SqlHelpStore store{*env.database, env.vault,         env.pools,
                     env.random,    BuiltInPrograms(), HelpOptions()};
};

TEST_P(AvoidedHelpTest, ThoseOnCallAreNotAskedForSomebodyTheyKnow) {
  const MemberId avoided = AddOnCall();
  const MemberId avoids = AddOnCall();
  const MemberId another = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  Tell(env.Newcomer(caller, 2), {{avoided, true}});
  Tell(env.Sponsor(avoids, 2), {{caller, false}});
  const HelpCallId id = HelpCallId::Random(env.random);
  const auto found = store.FindOnCall(kNever, env.clock.Now(), caller, id, 0, 10);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(*found, ElementsAre(another));
  // And again under the locks, for a list that has come meanwhile.
  const std::vector<MemberId> all = {avoided, avoids, another};
  ASSERT_TRUE(store.Reach(env.As(caller), env.clock.Now(), id, all).ok());
  EXPECT_THAT(AsksOf(avoided), IsEmpty());
  EXPECT_THAT(AsksOf(avoids), IsEmpty());
  EXPECT_THAT(AsksOf(another), SizeIs(1));
}

TEST_P(AvoidedHelpTest, ALateAnswerBringsNobodyTogetherAndTellsNothing) {
  const MemberId helper = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const HelpCallId id = HelpCallId::Random(env.random);
  ASSERT_TRUE(store.Reach(env.As(caller), env.clock.Now(), id, {&helper, 1}).ok());
  ASSERT_THAT(AsksOf(helper), SizeIs(1));
  Tell(env.Newcomer(caller, 2), {{helper, false}});
  const auto answered = store.Answer(env.As(helper), env.clock.Now(), id);
  ASSERT_TRUE(answered.ok()) << answered.status();
  EXPECT_EQ(answered->value.state, HelpAskState::kOver);
  EXPECT_EQ(answered->value.member, std::nullopt) << "not even who called";
  EXPECT_EQ(store.GetCall(env.As(caller), id)->state, HelpState::kOpen);
  EXPECT_THAT(AsksOf(helper), IsEmpty());
}

TEST_P(AvoidedHelpTest, ASponsorIsStillReached) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  Tell(env.Newcomer(pairing.newcomer, 2), {{sponsor, false}});
  const HelpCallId id = HelpCallId::Random(env.random);
  ASSERT_TRUE(store.Reach(env.As(pairing.newcomer), env.clock.Now(), id, {}).ok());
  ASSERT_THAT(AsksOf(sponsor), SizeIs(1));
  const auto answered = store.Answer(env.As(sponsor), env.clock.Now(), id);
  ASSERT_TRUE(answered.ok()) << answered.status();
  EXPECT_EQ(answered->value.state, HelpAskState::kAnswered);
}

INSTANTIATE_TEST_SUITE_P(Backends, AvoidedTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory,
                                           storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });
INSTANTIATE_TEST_SUITE_P(Backends, AvoidedHelpTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory,
                                           storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::matching
