#include "services/matching/domain/choice.h"

#include <algorithm>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/pair_table.h"
#include "services/matching/domain/people_for_test.h"

namespace handrail::matching {
namespace {

const PairTable& NoFacts() {
  static const PairTable* const table = new PairTable;
  return *table;
}

Chooser DefaultChooser() { return Chooser(RuleSet{}, Scorer{}); }

TicketRecord WaitingTicket(int number, absl::Duration waited) {
  return MakeTicketRecord(GoodTicket(number, waited), GoodNewcomer(number), BuiltInPrograms(),
                          UtcWeekStart(TestNow()));
}

SponsorRecord FreeSponsor(int number, int taken = 1, absl::Duration idle = absl::Hours(100)) {
  TestPair pair;
  pair.sponsor = GoodSponsor(number);
  pair.seats = GoodSeats(number);
  pair.seats.pairing_count = taken;
  pair.seats.last_offer_time = TestNow() - idle;
  return pair.SponsorOf();
}

Choice Sponsors(const TicketRecord& ticket, const std::vector<SponsorRecord>& sponsors,
                size_t limit = 32, const PairHistory& history = NoFacts()) {
  return DefaultChooser().BestSponsorsFor(ticket, sponsors, history, TestNow(), limit);
}

Choice Tickets(const SponsorRecord& sponsor, const std::vector<TicketRecord>& tickets,
               size_t limit) {
  return DefaultChooser().BestTicketsFor(sponsor, tickets, NoFacts(), TestNow(), limit);
}

TEST(ChoiceTest, TheWeightIsTheDesigns) {
  const Chooser chooser = DefaultChooser();
  TicketRecord ticket = WaitingTicket(1, absl::Hours(84));  // half of the target
  ticket.boost = 0.25;
  EXPECT_NEAR(chooser.Weight(ticket, FreeSponsor(1001, 0), 50, TestNow()), 0.5 + 2 + 0.25, 1e-9);
  // A full sponsor loses the whole balance.
  EXPECT_NEAR(chooser.Weight(ticket, FreeSponsor(1001, 3), 50, TestNow()), 2.75 - 0.1, 1e-9);
}

TEST(ChoiceTest, AgingHasNoCap) {
  const Chooser chooser = DefaultChooser();
  const SponsorRecord sponsor = FreeSponsor(1001);
  double before = -1;
  for (int weeks = 0; weeks <= 520; weeks += 13) {
    const double weight =
        chooser.Weight(WaitingTicket(1, absl::Hours(168 * weeks)), sponsor, 0, TestNow());
    EXPECT_GT(weight, before);
    before = weight;
  }
  EXPECT_GT(before, 1000);
}

TEST(ChoiceTest, ABoostIsBounded) {
  Ticket ticket = GoodTicket();
  ticket.boost = 1e9;
  const TicketRecord record =
      MakeTicketRecord(ticket, GoodNewcomer(), BuiltInPrograms(), UtcWeekStart(TestNow()));
  EXPECT_EQ(record.boost, kMaxBoost);
}

TEST(ChoiceTest, TiesGoToTheSponsorLongestWithoutAnOfferThenByAStableHash) {
  const TicketRecord ticket = WaitingTicket(1, absl::Hours(1));
  std::vector<SponsorRecord> sponsors;
  for (int i = 0; i < 20; ++i) sponsors.push_back(FreeSponsor(1001 + i));
  sponsors.push_back(FreeSponsor(2000, 1, absl::Hours(101)));
  const auto order = [&] {
    std::vector<MemberId> ids;
    for (const Candidate& candidate : Sponsors(ticket, sponsors).candidates) {
      ids.push_back(candidate.sponsor->member);
    }
    return ids;
  };
  const std::vector<MemberId> first = order();
  ASSERT_EQ(first.size(), 21u);
  EXPECT_EQ(first.front(), NumberedId<MemberId>(2000));
  // However they stand in memory.
  std::reverse(sponsors.begin(), sponsors.end());
  EXPECT_EQ(order(), first);
  std::rotate(sponsors.begin(), sponsors.begin() + 7, sponsors.end());
  EXPECT_EQ(order(), first);
  // And not the same ones first for everybody.
  const Choice other = Sponsors(WaitingTicket(2, absl::Hours(1)), sponsors);
  EXPECT_NE(other.candidates[1].sponsor->member, first[1]);
}

TEST(ChoiceTest, TheStableHashDoesNotChange) {
  // Written down: two replicas of different builds have to break a tie alike.
  EXPECT_EQ(StableHash("handrail", 7), 14980473035506218970u);
}

TEST(ChoiceTest, TheLessLoadedIsPreferred) {
  const std::vector<SponsorRecord> sponsors = {FreeSponsor(1001, 2), FreeSponsor(1002, 0),
                                               FreeSponsor(1003, 1)};
  const Choice choice = Sponsors(WaitingTicket(1, absl::Hours(1)), sponsors);
  EXPECT_EQ(choice.best().sponsor, &sponsors[1]);
  EXPECT_EQ(choice.candidates.back().sponsor, &sponsors[0]);
}

TEST(ChoiceTest, TheLongestWaitingWhoIsEligibleIsAlwaysAmongTheCandidates) {
  // Boosted newcomers outweigh one who has waited a little longer.
  std::vector<TicketRecord> tickets;
  for (int i = 1; i <= 50; ++i) {
    tickets.push_back(WaitingTicket(i, absl::Hours(1)));
    tickets.back().boost = 1;
  }
  tickets.push_back(WaitingTicket(100, absl::Hours(2)));
  TicketRecord not_eligible = WaitingTicket(101, absl::Hours(99));
  not_eligible.newcomer.person.flags = 0;
  tickets.push_back(not_eligible);
  for (const size_t limit : {2u, 5u, 32u}) {
    const Choice choice = Tickets(FreeSponsor(1001), tickets, limit);
    ASSERT_EQ(choice.candidates.size(), limit);
    EXPECT_NE(choice.best().ticket->ticket, NumberedId<TicketId>(100));
    EXPECT_EQ(choice.candidates.back().ticket->ticket, NumberedId<TicketId>(100));
    EXPECT_EQ(choice.removed.of(Rule::kAdult), 1);
    EXPECT_EQ(choice.removed.passed, 51);
  }
}

TEST(ChoiceTest, WhoWaitsLongEnoughIsFirstWhateverTheScoreOfTheOthers) {
  std::vector<TicketRecord> tickets;
  for (int i = 1; i <= 50; ++i) {
    tickets.push_back(WaitingTicket(i, absl::Hours(1)));
    tickets.back().boost = kMaxBoost;
  }
  // Nobody gains more than 1 by score and 1 by boost: after a target more of waiting, it is
  // decided.
  tickets.push_back(WaitingTicket(100, absl::Hours(170)));
  EXPECT_EQ(Tickets(FreeSponsor(1001), tickets, 1).best().ticket->ticket,
            NumberedId<TicketId>(100));
}

TEST(ChoiceTest, WhatStandsBetweenTwoIsLookedUpAndCounted) {
  PairTable table;
  table.Block(NumberedId<MemberId>(1001), NumberedId<MemberId>(1));
  table.CoolDown(NumberedId<MemberId>(1), NumberedId<MemberId>(1002), TestNow() + absl::Hours(1));
  const std::vector<SponsorRecord> sponsors = {FreeSponsor(1001), FreeSponsor(1002),
                                               FreeSponsor(1003)};
  const TicketRecord ticket = WaitingTicket(1, absl::Hours(1));
  const Choice choice = Sponsors(ticket, sponsors, 32, table);
  ASSERT_EQ(choice.candidates.size(), 1u);
  EXPECT_EQ(choice.best().sponsor, &sponsors[2]);
  EXPECT_EQ(choice.removed.of(Rule::kNotBlocked), 1);
  EXPECT_EQ(choice.removed.of(Rule::kCooldown), 1);
}

TEST(ChoiceTest, NothingToChooseFromIsNoCandidate) {
  EXPECT_FALSE(Sponsors(WaitingTicket(1, absl::Hours(1)), {}).found());
  EXPECT_FALSE(Tickets(FreeSponsor(1001, 3), {WaitingTicket(1, absl::Hours(1))}, 2).found());
}

TEST(ChoiceTest, OptionsNameTheirFaults) {
  EXPECT_TRUE(ChoiceOptions{}.Validate().ok());
  EXPECT_THAT((ChoiceOptions{-1, 2}.Validate().message()),
              ::testing::AllOf(::testing::HasSubstr("aging"), ::testing::HasSubstr("balance")));
}

TEST(PairTableTest, WhoIsAvoidedIsReplacedAndAllElseStays) {
  const auto a = NumberedId<MemberId>(1), b = NumberedId<MemberId>(2), c = NumberedId<MemberId>(3);
  PairTable table;
  table.Block(a, b);
  table.SetAvoided(a, {{{b, true, false}, {c, false, true}, {c, true, false}}});
  EXPECT_TRUE(table.Between(a, b).avoided);
  EXPECT_TRUE(table.Between(a, c).avoided && table.Between(a, c).dual_role);
  EXPECT_TRUE(table.Between(c, a).IsClear()) << "one direction";
  table.SetAvoided(a, {{{c, true, false}}});
  EXPECT_FALSE(table.Between(a, b).avoided);
  EXPECT_TRUE(table.Between(a, b).blocked) << "a block stays";
  EXPECT_TRUE(table.Between(a, c).avoided);
  EXPECT_FALSE(table.Between(a, c).dual_role);
  table.SetAvoided(a, {});
  EXPECT_TRUE(table.Between(a, c).IsClear());
  table.Prune(TestNow());
  EXPECT_EQ(table.size(), 2u) << "the block, both ways";
  EXPECT_FALSE(table.HasAny(c));
}

TEST(PairTableTest, CooldownsPassAndBlocksStay) {
  const auto a = NumberedId<MemberId>(1), b = NumberedId<MemberId>(2), c = NumberedId<MemberId>(3);
  PairTable table;
  EXPECT_TRUE(table.Between(a, b).IsClear());
  table.CoolDown(a, b, TestNow());
  table.CoolDown(a, b, TestNow() - absl::Hours(1));  // never shortened
  table.Block(a, c);
  EXPECT_EQ(table.Between(b, a).cooldown_until, TestNow());
  table.Prune(TestNow() - absl::Seconds(1));
  EXPECT_EQ(table.size(), 4u);
  table.Prune(TestNow());
  EXPECT_EQ(table.size(), 2u);
  EXPECT_TRUE(table.HasAny(a));
  EXPECT_FALSE(table.HasAny(b));
  EXPECT_TRUE(table.Between(c, a).blocked);
}

}  // namespace
}  // namespace handrail::matching
