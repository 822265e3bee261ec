#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "services/matching/adapters/engine_test_env.h"
#include "services/matching/adapters/program_table.h"

// Several replicas on one ledger and one real Redis share the pools.
namespace handrail::matching {
namespace {

constexpr int kPools = 24;

class EngineShareTest : public EngineTestBase {
 protected:
  void SetUp() override { AddSponsorOfManyPools(); }

  // Eight programs, each online, in a country and in one of its regions.
  void AddSponsorOfManyPools() {
    const MemberId id = MemberId::Random(env_.random);
    MemberTraits member = env_.Sponsor(id);
    SponsorTraits& traits = *member.sponsor;
    traits.person.modalities = {Modality::kAppText, Modality::kInPersonPublic};
    traits.person.place.country = "US";
    traits.person.place.region = "US-NY";
    const SponsorProgram program = traits.programs.front();
    traits.programs.clear();
    for (int number = 1; number <= 8; ++number) {
      traits.programs.push_back(program);
      traits.programs.back().philosophy = static_cast<Philosophy>(number);
    }
    ASSERT_EQ(PoolsForSponsor(traits).size(), size_t{kPools});
    ASSERT_TRUE(env_.ledger->ApplyMember(absl::InfiniteFuture(), env_.clock.Now(), member).ok());
    ASSERT_TRUE(env_.ledger->SetAvailability(env_.As(id), env_.clock.Now(), 3, true).ok());
  }
  // Redis counts a lease by its own clock: short, so that a crash is not waited for.
  std::unique_ptr<Matcher> NewReplica(absl::Duration scrub = MatcherOptions().scrub) {
    MatcherOptions options;
    options.scrub = scrub;
    options.lease = absl::Seconds(2);
    options.lease_renewal = absl::Milliseconds(600);
    return std::make_unique<Matcher>(*env_.ledger, *queue_, members_, chooser_, BuiltInPrograms(),
                                     env_.clock, env_.random, options, Matcher::Sink());
  }
  // Rounds of all, a second after the other, until `done` or half a minute has passed.
  template <typename Done>
  bool RunUntil(const std::vector<Matcher*>& replicas, Done done) {
    const absl::Time give_up = SystemClock().Now() + absl::Seconds(30);
    while (SystemClock().Now() < give_up) {
      env_.clock.Advance(absl::Seconds(1));
      for (Matcher* replica : replicas) replica->RunRoundForTest();
      if (done()) return true;
    }
    return false;
  }
  static int64_t Led(const std::unique_ptr<Matcher>& replica) { return replica->Stats().pools_led; }
  std::vector<std::string> Names() {
    const auto names = queue_->Replicas(env_.clock.Now() + absl::Seconds(10), env_.clock.Now(),
                                        "probe", absl::Minutes(1));
    EXPECT_TRUE(names.ok()) << names.status();
    return names.value_or(std::vector<std::string>());
  }
};

TEST_F(EngineShareTest, WhoComesFirstLeadsAllUntilAnotherComesAndThenTheyShare) {
  auto a = NewReplica();
  ASSERT_TRUE(RunUntil({a.get()}, [&] { return Led(a) == kPools; }));
  auto b = NewReplica();
  const auto shared = [&] { return Led(a) + Led(b) == kPools && Led(a) > 0 && Led(b) > 0; };
  ASSERT_TRUE(RunUntil({a.get(), b.get()}, shared)) << Led(a) << " and " << Led(b);
  const int64_t of_a = Led(a);
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(RunUntil({a.get(), b.get()}, shared));
  }
  EXPECT_EQ(Led(a), of_a);  // it stays that way
}

TEST_F(EngineShareTest, WhatACrashedReplicaLedIsTakenOver) {
  auto a = NewReplica();
  auto b = NewReplica();
  const auto shared = [&] { return Led(a) + Led(b) == kPools && Led(a) > 0 && Led(b) > 0; };
  ASSERT_TRUE(RunUntil({a.get(), b.get()}, shared)) << Led(a) << " and " << Led(b);
  b.reset();  // its thread never ran, so that it gives nothing back
  EXPECT_TRUE(RunUntil({a.get()}, [&] { return Led(a) == kPools; })) << Led(a);
  const auto opened = env_.Open(env_.As(env_.AddNewcomer()));
  ASSERT_TRUE(opened.ok()) << opened.status();
  const Ticket ticket = opened->value;
  a->Notify(opened->effects);
  EXPECT_TRUE(RunUntil({a.get()}, [&] { return StateOf(ticket) == TicketState::kOffered; }));
  env_.ExpectWhole();
}

TEST_F(EngineShareTest, WhoTakesOverReadsTheSponsorsToo) {
  // So that nothing comes by chance.
  auto a = NewReplica(absl::Hours(1));
  auto b = NewReplica(absl::Hours(1));
  const auto shared = [&] { return Led(a) + Led(b) == kPools && Led(a) > 0 && Led(b) > 0; };
  ASSERT_TRUE(RunUntil({a.get(), b.get()}, shared)) << Led(a) << " and " << Led(b);
  // Seats that only b hears of, which then crashes.
  const auto all = env_.ledger->ScanSponsors(absl::InfiniteFuture(), 10, MemberId());
  ASSERT_TRUE(all.ok() && all->size() == 1);
  const MemberId sponsor = all->front().availability.sponsor;
  const auto none = env_.ledger->SetAvailability(env_.As(sponsor), env_.clock.Now(), 0, true);
  ASSERT_TRUE(none.ok());
  a->Notify(none->effects);
  a->RunRoundForTest();
  const auto more = env_.ledger->SetAvailability(env_.As(sponsor), env_.clock.Now(), 3, true);
  ASSERT_TRUE(more.ok());
  b.reset();
  ASSERT_TRUE(RunUntil({a.get()}, [&] { return Led(a) == kPools; })) << Led(a);
  const auto opened = env_.Open(env_.As(env_.AddNewcomer()));
  ASSERT_TRUE(opened.ok()) << opened.status();
  a->Notify(opened->effects);
  EXPECT_TRUE(RunUntil({a.get()}, [&] { return StateOf(opened->value) == TicketState::kOffered; }));
}

// As after a failover that kept the lease and lost the end of the stream.
TEST_F(EngineShareTest, WhatOthersSaidInALostStreamIsReadAnew) {
  auto a = NewReplica(absl::Hours(1));
  auto b = NewReplica(absl::Hours(1));
  const auto shared = [&] { return Led(a) + Led(b) == kPools && Led(a) > 0 && Led(b) > 0; };
  ASSERT_TRUE(RunUntil({a.get(), b.get()}, shared)) << Led(a) << " and " << Led(b);
  const auto opened = env_.Open(env_.As(env_.AddNewcomer()));
  ASSERT_TRUE(opened.ok()) << opened.status();
  const auto run_both = [&] {
    env_.clock.Advance(absl::Seconds(1));
    for (Matcher* replica : {a.get(), b.get()}) replica->RunRoundForTest();
  };
  for (int i = 0; i < 3; ++i) run_both();
  ASSERT_EQ(StateOf(opened->value), TicketState::kWaiting) << "nobody was told";
  for (Matcher* replica : {a.get(), b.get()}) replica->PoolsLost({opened->value.pool});
  run_both();
  EXPECT_EQ(StateOf(opened->value), TicketState::kOffered);
}

TEST_F(EngineShareTest, APoolThatTheFirstDoesNotKnowIsLedMeanwhileByWhoKnowsIt) {
  auto a = NewReplica();
  ASSERT_TRUE(RunUntil({a.get()}, [&] { return Led(a) == kPools; }));
  // Somebody says to be there, and takes no pool at all: neither dead nor alive.
  ASSERT_EQ(Names().size(), 2u);
  const auto keeps_all = [&] {
    Names();
    return Led(a) == kPools;
  };
  // It lets go what belongs to the other, and takes it again when nobody came for it.
  ASSERT_TRUE(RunUntil({a.get()}, [&] { return !keeps_all(); }));
  ASSERT_TRUE(RunUntil({a.get()}, keeps_all));
  int without = 0;  // rounds, of a second each
  for (int round = 0; round < 20; ++round) {
    RunUntil({a.get()}, [] { return true; });
    without = keeps_all() ? 0 : without + 1;
    ASSERT_LE(without, 1) << round;
  }
}

TEST_F(EngineShareTest, ATicketIsServedWhicheverReplicaHearsOfIt) {
  auto a = NewReplica();
  auto b = NewReplica();
  const auto shared = [&] { return Led(a) + Led(b) == kPools && Led(a) > 0 && Led(b) > 0; };
  ASSERT_TRUE(RunUntil({a.get(), b.get()}, shared)) << Led(a) << " and " << Led(b);
  // One of the two does not lead its pool.
  for (Matcher* replica : {a.get(), b.get()}) {
    const auto opened = env_.Open(env_.As(env_.AddNewcomer()));
    ASSERT_TRUE(opened.ok()) << opened.status();
    replica->Notify(opened->effects);
    EXPECT_TRUE(RunUntil({a.get(), b.get()},
                         [&] { return StateOf(opened->value) == TicketState::kOffered; }));
  }
  env_.ExpectWhole();
}

TEST_F(EngineShareTest, ALostListIsMadeAgainAndNoPoolHasTwoLeadersMeanwhile) {
  auto a = NewReplica();
  auto b = NewReplica();
  const auto shared = [&] { return Led(a) + Led(b) == kPools && Led(a) > 0 && Led(b) > 0; };
  ASSERT_TRUE(RunUntil({a.get(), b.get()}, shared)) << Led(a) << " and " << Led(b);
  const int64_t of_a = Led(a);
  for (int round = 0; round < 10; ++round) {
    const auto lost =
        redis_->Command(env_.clock.Now() + absl::Seconds(10), {"DEL", "hr:{replicas}"});
    ASSERT_TRUE(lost.ok()) << lost.status();
    RunUntil({a.get(), b.get()}, [] { return true; });
    EXPECT_LE(Led(a) + Led(b), kPools);
  }
  ASSERT_TRUE(RunUntil({a.get(), b.get()}, [&] { return shared() && Led(a) == of_a; }));
}

TEST_F(EngineShareTest, WithoutTheListThePoolsAreLedAllTheSame) {
  const auto command = [&](const std::vector<absl::string_view>& words) {
    return redis_->Command(env_.clock.Now() + absl::Seconds(10), words).status();
  };
  // Where the list should be is something else.
  ASSERT_TRUE(command({"SET", "hr:{replicas}", "broken"}).ok());
  auto a = NewReplica();
  ASSERT_TRUE(RunUntil({a.get()}, [&] { return Led(a) == kPools; }));
  for (int round = 0; round < 20; ++round) {
    RunUntil({a.get()}, [] { return true; });
    ASSERT_EQ(Led(a), kPools) << round;
    ASSERT_TRUE(a->Stats().redis_up);
  }
  auto b = NewReplica();
  ASSERT_TRUE(command({"DEL", "hr:{replicas}"}).ok());
  EXPECT_TRUE(RunUntil({a.get(), b.get()},
                       [&] { return Led(a) + Led(b) == kPools && Led(a) > 0 && Led(b) > 0; }))
      << Led(a) << " and " << Led(b);
}

TEST_F(EngineShareTest, AReplicaThatStopsLeavesTheList) {
  auto a = NewReplica();
  a->Start();
  const absl::Time give_up = SystemClock().Now() + absl::Seconds(30);
  while (Names().size() < 2 && SystemClock().Now() < give_up) {
  }
  ASSERT_EQ(Names().size(), 2u);
  a->Stop();
  EXPECT_EQ(Names(), std::vector<std::string>{"probe"});
}

TEST_F(EngineShareTest, WhoIsSilentForTheTimeOfALeaseIsForgotten) {
  const absl::Time soon = env_.clock.Now() + absl::Hours(1);
  ASSERT_TRUE(queue_->Replicas(soon, env_.clock.Now(), "silent", absl::Seconds(10)).ok());
  env_.clock.Advance(absl::Seconds(9));
  EXPECT_EQ(Names().size(), 2u);
  env_.clock.Advance(absl::Seconds(2));
  EXPECT_EQ(Names(), std::vector<std::string>{"probe"});
}

using EngineDegradedTest = EngineTestBase;

// With nobody's score higher than another's, so that only the wait decides.
TEST_F(EngineDegradedTest, WithoutRedisTheLongestWaitingIsServedFirst) {
  server_.Stop();
  AwaitRedis(false);
  std::vector<Ticket> tickets;
  for (int i = 0; i < 5; ++i) {
    tickets.push_back(Ask());
    env_.clock.Advance(absl::Hours(1));
  }
  // A matcher that starts now knows them from SQL alone.
  const auto a = NewMatcher();
  a->RunRoundForTest();
  for (size_t served = 0; served < tickets.size(); ++served) {
    Effects effects;
    effects.sponsors = {env_.AddSponsor(1)};
    a->Notify(effects);
    a->RunRoundForTest();
    for (size_t i = 0; i < tickets.size(); ++i) {
      EXPECT_EQ(StateOf(tickets[i]), i <= served ? TicketState::kOffered : TicketState::kWaiting)
          << i << " after " << served;
    }
  }
  EXPECT_FALSE(a->Stats().redis_up);
  env_.ExpectWhole();
}

}  // namespace
}  // namespace handrail::matching
