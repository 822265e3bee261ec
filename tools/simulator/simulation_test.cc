#include "tools/simulator/simulation.h"

#include <gtest/gtest.h>

#include "services/matching/adapters/flow_solver.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/people_for_test.h"

namespace handrail::simulator {
namespace {

using matching::TestNow;
using Kind = Policy::Kind;

class SimulationTest : public ::testing::Test {
 protected:
  SimulationTest() {
    options_.days = 40;
    options_.accept_share = 1;
    options_.answer_sigma = 1e-9;  // everybody answers after exactly 3 hours
    options_.trial_end_share = 1;  // pairings hold a seat for 3 to 30 days
  }

  void Ask(absl::Duration after, matching::SpiritualStance stance) {
    const int number = static_cast<int>(newcomers_.size()) + 1;
    matching::MemberTraits member = matching::GoodNewcomer(number);
    member.newcomer->person.spiritual_stance = stance;
    Newcomer newcomer;
    newcomer.ticket = matching::GoodTicket(number);
    newcomer.ticket.create_time = TestNow() + after;
    newcomer.ticket.expire_time = newcomer.ticket.create_time + matching::kTicketLifetime;
    newcomer.give_up = absl::InfiniteFuture();
    newcomer.traits = std::make_shared<const matching::MemberTraits>(std::move(member));
    newcomers_.push_back(std::move(newcomer));
  }

  void AddSponsor(int capacity, std::vector<absl::Time> first_ends = {}) {
    matching::MemberTraits member =
        matching::GoodSponsor(1001 + static_cast<int>(sponsors_.size()));
    member.sponsor->person.spiritual_stance = matching::SpiritualStance::kFaith;
    member.sponsor->attest_time = TestNow();
    Sponsor sponsor;
    sponsor.traits = std::make_shared<const matching::MemberTraits>(std::move(member));
    sponsor.capacity = capacity;
    sponsor.first_ends = std::move(first_ends);
    sponsors_.push_back(std::move(sponsor));
  }

  Log Play(const Policy& policy) {
    world_ = std::make_unique<World>(options_, TestNow(), newcomers_, sponsors_);
    eligible_ = FindEligible(*world_, rules_, scorer_, matching::BuiltInPrograms());
    const Log log = Simulate(*world_, eligible_, policy, engine_);
    EXPECT_EQ(log.broken_rules, 0);
    return log;
  }

  absl::Duration WaitOf(const Log& log, size_t newcomer) const {
    return log.newcomers[newcomer].end_time - newcomers_[newcomer].ticket.create_time;
  }

  static constexpr auto kFaith = matching::SpiritualStance::kFaith;
  static constexpr auto kSecular = matching::SpiritualStance::kSecular;
  WorldOptions options_;
  std::vector<Newcomer> newcomers_;
  std::vector<Sponsor> sponsors_;
  std::unique_ptr<World> world_;
  std::vector<std::vector<Eligible>> eligible_;
  const matching::RuleSet rules_;
  const matching::Scorer scorer_;
  const matching::FlowSolver solver_;
  const Engine engine_{matching::BuiltInPrograms(), rules_, scorer_, solver_, {}};
  const Policy fcfs_{"fcfs", Kind::kFirstCome, {}, {}};
  const Policy score_only_{"score_only", Kind::kChoice, {0, 0}, {}};
};

// One seat: the first is paired after the three hours of an answer, the second when that pairing
// has ended and three hours more have passed.
TEST_F(SimulationTest, OneSeatServesOneAfterTheOther) {
  Ask(absl::ZeroDuration(), kFaith);
  Ask(absl::Hours(1), kFaith);
  AddSponsor(1);
  const Log log = Play(fcfs_);
  const absl::Duration hold = world_->Hold(0, 0);
  ASSERT_LT(hold, absl::Hours(24 * 29));
  const auto near = [](absl::Duration a, absl::Duration b) {
    return absl::AbsDuration(a - b) < absl::Seconds(1);
  };
  EXPECT_TRUE(near(WaitOf(log, 0), absl::Hours(3)));
  EXPECT_TRUE(near(WaitOf(log, 1), hold + absl::Hours(5)));
  EXPECT_EQ(log.newcomers[0].sponsor, 0);
  EXPECT_EQ(log.newcomers[1].end, NewcomerOutcome::End::kPaired);
  EXPECT_EQ(log.sponsors[0].pairings, 2);
  EXPECT_EQ(log.offers.size(), 2u);
}

TEST_F(SimulationTest, FirstComeIsServedFirstAndTheBestFitOnlyByScore) {
  Ask(absl::Hours(1), kSecular);
  Ask(absl::Hours(2), kFaith);
  AddSponsor(1, {TestNow() + absl::Hours(10)});
  EXPECT_EQ(Play(fcfs_).offers.front().newcomer, 0u);
  EXPECT_EQ(Play(score_only_).offers.front().newcomer, 1u);
}

TEST_F(SimulationTest, WhoeverIsDeclinedGoesOnToTheNextSponsor) {
  options_.accept_share = 1e-12;  // nobody says yes
  Ask(absl::ZeroDuration(), kFaith);
  for (int i = 0; i < 3; ++i) AddSponsor(1);
  const Log log = Play(score_only_);
  EXPECT_EQ(log.newcomers[0].end, NewcomerOutcome::End::kExpired);
  EXPECT_EQ(log.newcomers[0].offers, 3);  // and none twice: the cooldown outlasts the ticket
}

TEST_F(SimulationTest, WhoDoesNotAnswerIsPassedOverAfterTheDeadlineAndPausedInTheEnd) {
  for (int i = 0; i < 4; ++i) Ask(absl::Hours(48 * i), kFaith);
  AddSponsor(1);
  sponsors_[0].away = {{TestNow() - absl::Hours(1), absl::InfiniteFuture()}};
  const Log log = Play(fcfs_);
  EXPECT_EQ(log.offers.size(), 3u);
  EXPECT_EQ(log.sponsors[0].pairings, 0);
  EXPECT_EQ(log.sponsors[0].hours, 0);  // long paused when loads begin to count
}

TEST_F(SimulationTest, WhoCannotBeReachedAnyMoreLeaves) {
  Ask(absl::ZeroDuration(), kFaith);
  newcomers_[0].give_up = TestNow() + absl::Hours(2);
  AddSponsor(1);
  const Log log = Play(fcfs_);
  EXPECT_EQ(log.newcomers[0].end, NewcomerOutcome::End::kGaveUp);
  EXPECT_EQ(log.sponsors[0].pairings, 0);
  EXPECT_EQ(log.sponsors[0].free_at_end, 1);
}

TEST_F(SimulationTest, ABatchWaitsForItsHour) {
  Ask(absl::Hours(1), kFaith);
  AddSponsor(1);
  const Log log = Play({"batch", Kind::kBatch, {}, absl::Hours(6)});
  EXPECT_EQ(log.newcomers[0].first_offer, TestNow() + absl::Hours(6));
}

// Two seats come free within the window, and only together is there a good way to fill both.
TEST_F(SimulationTest, TheWindowCollectsSeatsOnlyWhileTicketsOutnumberThem) {
  Ask(absl::Hours(1), kFaith);
  Ask(absl::Hours(2), kSecular);
  Ask(absl::Hours(3), kFaith);
  AddSponsor(1, {TestNow() + absl::Hours(10)});
  AddSponsor(1, {TestNow() + absl::Hours(12)});
  const Policy windowed{"handrail", Kind::kChoice, {0, 0}, absl::Hours(4)};
  const Log log = Play(windowed);
  ASSERT_GE(log.offers.size(), 2u);
  EXPECT_EQ(log.offers[0].time, TestNow() + absl::Hours(14));
  EXPECT_EQ(log.offers[1].time, TestNow() + absl::Hours(14));
  newcomers_.resize(1);  // one ticket, one seat: nothing to collect for
  EXPECT_EQ(Play(windowed).offers[0].time, TestNow() + absl::Hours(10));
}

class DrawnWorldTest : public ::testing::TestWithParam<Policy> {};

// In a drawn world no policy breaks a rule or fills more seats than there are.
TEST_P(DrawnWorldTest, KeepsTheRulesAndTheSeats) {
  WorldOptions options;
  options.newcomers = 150;
  options.days = 20;
  options.supply = 0.8;
  const matching::RuleSet rules;
  const matching::Scorer scorer;
  const matching::FlowSolver solver;
  const Engine engine{matching::BuiltInPrograms(), rules, scorer, solver, {}};
  const World world = World::Draw(options, DocumentedSurroundings(1));
  const auto eligible = FindEligible(world, rules, scorer, engine.policies);
  const Log log = Simulate(world, eligible, GetParam(), engine);
  EXPECT_EQ(log.broken_rules, 0);
  EXPECT_GT(log.offers.size(), 50u);
  for (size_t i = 0; i < world.sponsors().size(); ++i) {
    EXPECT_LE(log.sponsors[i].pairings, world.SeatsOverAll(i)) << i;
    EXPECT_LE(log.sponsors[i].load_seat_hours, log.sponsors[i].open_seat_hours + 1e-6) << i;
  }
  if (GetParam().kind != Kind::kFirstCome) return;
  // Nobody who asked earlier, could have this sponsor and had had no offer yet was passed by.
  for (const MadeOffer& offer : log.offers) {
    for (uint32_t earlier = 0; earlier < offer.newcomer; ++earlier) {
      const NewcomerOutcome& other = log.newcomers[earlier];
      if (other.first_offer <= offer.time || other.end_time <= offer.time) continue;
      for (const Eligible& one : eligible[earlier]) {
        ASSERT_NE(one.sponsor, offer.sponsor) << earlier << " before " << offer.newcomer;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, DrawnWorldTest,
                         ::testing::Values(Policy{"fcfs", Kind::kFirstCome, {}, {}},
                                           Policy{"longest_idle", Kind::kLongestIdle, {}, {}},
                                           Policy{"least_loaded", Kind::kLeastLoaded, {}, {}},
                                           Policy{
                                               "handrail", Kind::kChoice, {}, absl::ZeroDuration()},
                                           Policy{"windowed", Kind::kChoice, {}, absl::Hours(6)},
                                           Policy{"batch", Kind::kBatch, {}, absl::Hours(6)}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace handrail::simulator
