#include "tools/simulator/measures.h"

#include <gtest/gtest.h>

#include "services/matching/adapters/flow_solver.h"
#include "services/matching/domain/people_for_test.h"

namespace handrail::simulator {
namespace {

TEST(MeasuresTest, PercentilesAreByNearestRank) {
  EXPECT_EQ(PercentilesOf({}).p99, 0);
  std::vector<double> values;
  for (int i = 100; i >= 1; --i) values.push_back(i);
  EXPECT_EQ(PercentilesOf(values).p50, 50);
  EXPECT_EQ(PercentilesOf(values).p90, 90);
  EXPECT_EQ(PercentilesOf(values).p99, 99);
  EXPECT_EQ(PercentilesOf({7}).p50, 7);
}

TEST(MeasuresTest, GiniOfEqualsIsZeroAndOfOneWhoHasAllTendsToOne) {
  EXPECT_DOUBLE_EQ(GiniOf({}), 0);
  EXPECT_DOUBLE_EQ(GiniOf({0, 0}), 0);
  EXPECT_DOUBLE_EQ(GiniOf({3, 3, 3}), 0);
  EXPECT_DOUBLE_EQ(GiniOf({0, 0, 0, 8}), 0.75);
  EXPECT_DOUBLE_EQ(GiniOf({3, 1}), 0.25);
}

// Two newcomers and two sponsors of one seat each, who keep it for the whole log.
class TwoByTwo : public ::testing::Test {
 protected:
  TwoByTwo() {
    WorldOptions options;
    options.days = 1;
    options.trial_end_share = 0;
    options.hold_mean_days = 36500;
    std::vector<Newcomer> newcomers(2);
    for (int i = 0; i < 2; ++i) {
      Newcomer& newcomer = newcomers[static_cast<size_t>(i)];
      newcomer.ticket = matching::GoodTicket(i + 1);
      newcomer.ticket.create_time = matching::TestNow() + absl::Hours(i);
      newcomer.ticket.expire_time = newcomer.ticket.create_time + matching::kTicketLifetime;
      newcomer.traits =
          std::make_shared<const matching::MemberTraits>(matching::GoodNewcomer(i + 1));
      newcomer.give_up = absl::InfiniteFuture();
    }
    std::vector<Sponsor> sponsors(2);
    for (int i = 0; i < 2; ++i) {
      sponsors[static_cast<size_t>(i)].traits =
          std::make_shared<const matching::MemberTraits>(matching::GoodSponsor(1001 + i));
    }
    world_ = std::make_unique<World>(options, matching::TestNow(), newcomers, sponsors);
    log_.newcomers.resize(2);
    log_.sponsors.resize(2);
  }

  // Both like sponsor 0 better, the first by 10 points and the second by 40.
  const std::vector<std::vector<Eligible>> eligible_ = {{{0, 80, true}, {1, 70, true}},
                                                        {{0, 90, true}, {1, 50, true}}};
  std::unique_ptr<World> world_;
  matching::FlowSolver solver_;
  Log log_;
};

TEST_F(TwoByTwo, TheOptimumGivesTheSeatToWhomItIsWorthMost) {
  EXPECT_DOUBLE_EQ(OptimalMeanScore(*world_, eligible_, 2, solver_), 80);  // 70 and 90
  EXPECT_DOUBLE_EQ(OptimalMeanScore(*world_, eligible_, 1, solver_), 90);
  auto declining = eligible_;
  declining[1][0].accepts = false;
  EXPECT_DOUBLE_EQ(OptimalMeanScore(*world_, declining, 2, solver_), 65);  // 80 and 50
}

TEST_F(TwoByTwo, ALogIsMeasured) {
  for (size_t i = 0; i < 2; ++i) {
    NewcomerOutcome& outcome = log_.newcomers[i];
    outcome.end = NewcomerOutcome::End::kPaired;
    outcome.first_offer = matching::TestNow() + absl::Hours(2);
    outcome.end_time = matching::TestNow() + absl::Hours(5);
    outcome.offers = 1;
    outcome.sponsor = static_cast<int32_t>(i);
    outcome.score = eligible_[i][i].score;
    const auto number = static_cast<uint32_t>(i);
    log_.offers.push_back({outcome.first_offer, outcome.end_time, number, number});
    log_.sponsors[i].pairings = 1;
    log_.sponsors[i].hours = 24;
    log_.sponsors[i].open_seat_hours = 24;
    log_.sponsors[i].load_seat_hours = i == 0 ? 18 : 6;
  }
  Measures measures = Measure(*world_, eligible_, log_, solver_);
  EXPECT_DOUBLE_EQ(measures.matched, 1);
  EXPECT_DOUBLE_EQ(measures.mean_score, 65);             // 80 and 50
  EXPECT_DOUBLE_EQ(measures.score_vs_bound, 65.0 / 85);  // 80 and 90
  EXPECT_DOUBLE_EQ(measures.score_vs_optimum, 65.0 / 80);
  EXPECT_DOUBLE_EQ(measures.gini, 0.25);
  EXPECT_DOUBLE_EQ(measures.offers_per_pairing, 1);
  EXPECT_EQ(measures.starved, 0);
  EXPECT_EQ(measures.blocking_pairs, 1);  // the second newcomer and sponsor 0
  EXPECT_DOUBLE_EQ(measures.WaitToOffer().p99, 2);
  EXPECT_DOUBLE_EQ(measures.WaitToPairing().p99, 5);
  ASSERT_EQ(measures.groups.size(), 1u);
  EXPECT_EQ(measures.groups.begin()->first.program, "AA");
  EXPECT_EQ(measures.groups.begin()->first.language, "en");
  Measures fcfs = measures;
  fcfs.waits.pairing = {10, 8};
  measures.CompareWith(fcfs);
  EXPECT_DOUBLE_EQ(measures.p99_wait_vs_fcfs, 0.5);
  EXPECT_DOUBLE_EQ(measures.mean_wait_vs_fcfs, 0.5);
  const Measures both = Combine({measures, measures});
  EXPECT_EQ(both.blocking_pairs, 2);
  EXPECT_EQ(both.waits.pairing.size(), 4u);
  EXPECT_DOUBLE_EQ(both.gini, 0.25);
}

TEST_F(TwoByTwo, StarvedIsWhoExpiresWhileLaterOnesAreOffered) {
  log_.offers.push_back({matching::TestNow() + absl::Hours(3), absl::InfiniteFuture(), 1, 0});
  EXPECT_EQ(CountStarved(*world_, eligible_, log_), 1);  // the first; nobody came after the second
  log_.newcomers[0].end = NewcomerOutcome::End::kGaveUp;
  EXPECT_EQ(CountStarved(*world_, eligible_, log_), 0);
  log_.newcomers[0].end = NewcomerOutcome::End::kExpired;
  const absl::Time from = matching::TestNow() + absl::Hours(2);
  log_.offers.push_back({from, from + absl::Hours(2), 0, 1});  // was not waiting just then
  EXPECT_EQ(CountStarved(*world_, eligible_, log_), 0);
  log_.offers.back().end = from + absl::Minutes(30);
  EXPECT_EQ(CountStarved(*world_, eligible_, log_), 1);
  log_.offers.back() = {matching::TestNow(), matching::TestNow(), 0, 0};  // they have met
  EXPECT_EQ(CountStarved(*world_, eligible_, log_), 0);
}

}  // namespace
}  // namespace handrail::simulator
