#include "services/matching/domain/batch_plan.h"

#include <gtest/gtest.h>

#include "services/matching/domain/people_for_test.h"

namespace handrail::matching {
namespace {

// Good enough for a handful of pairs.
class GreedySolver final : public AssignmentSolver {
  Assignment SolveValid(const AssignmentProblem& problem,
                        absl::FunctionRef<bool()>) const override {
    return GreedyAssignment(problem);
  }
};

class BatchPlanTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 3; ++i) {
      tickets_.emplace_back();
      tickets_.back().ticket = NumberedId<TicketId>(i + 1);
      tickets_.back().enqueue_micros = absl::ToUnixMicros(TestNow() - absl::Hours(10 * (i + 1)));
      sponsors_.emplace_back();
      sponsors_.back().member = NumberedId<MemberId>(100 + i);
      sponsors_.back().accepting = true;
      sponsors_.back().capacity = 2;
      sponsors_.back().taken_seats = 1;
    }
  }

  void Add(size_t ticket, size_t sponsor, double score, int64_t weight) {
    planner_.Add(Candidate{&tickets_[ticket], &sponsors_[sponsor], score, weight});
  }

  std::vector<TicketRecord> tickets_;
  std::vector<SponsorRecord> sponsors_;
  BatchPlanner planner_{TestNow()};
};

TEST_F(BatchPlanTest, APlanIsDescribed) {
  Add(0, 0, 80, 800);
  Add(1, 0, 60, 900);
  Add(1, 0, 99, 999);  // the same pair again changes nothing
  Add(2, 1, 50, 500);
  const BatchPlan plan = planner_.MaximumWeight(GreedySolver(), [] { return false; });
  ASSERT_EQ(plan.pairs.size(), 2u);
  EXPECT_EQ(plan.pairs[0].ticket, tickets_[2].ticket);  // the longest waiting first
  EXPECT_EQ(plan.pairs[0].sponsor, sponsors_[1].member);
  EXPECT_EQ(plan.pairs[1].ticket, tickets_[1].ticket);
  EXPECT_EQ(plan.pairs[1].weight_billionths, 900);
  EXPECT_EQ(plan.tickets, 3u);
  EXPECT_EQ(plan.sponsors, 2u);
  EXPECT_EQ(plan.seats, 2);
  EXPECT_DOUBLE_EQ(plan.mean_score, 55);
  EXPECT_EQ(plan.paired_waits.p50, absl::Hours(20));
  EXPECT_EQ(plan.paired_waits.p99, absl::Hours(30));
  EXPECT_EQ(plan.left_waits.p50, absl::Hours(10));
  EXPECT_EQ(plan.blocking_pairs, 0);
}

TEST_F(BatchPlanTest, SeatsThatAreSetReplaceThoseOfTheRecord) {
  Add(0, 0, 80, 800);
  Add(1, 0, 60, 900);
  planner_.SetSeats(sponsors_[0].member, 2);
  EXPECT_EQ(planner_.Stable().pairs.size(), 2u);
  planner_.SetSeats(sponsors_[0].member, 0);
  EXPECT_EQ(planner_.Stable().pairs.size(), 0u);
  sponsors_[2].accepting = false;
  Add(2, 2, 70, 700);
  EXPECT_EQ(planner_.Stable().pairs.size(), 0u);
}

// The sum of weights can be larger where two people would rather swap; the stable plan never
// leaves them so.
TEST_F(BatchPlanTest, TheStablePlanHasNoBlockingPairWhereTheHeaviestHasOne) {
  Add(0, 0, 90, 50);
  Add(0, 1, 10, 45);
  Add(1, 0, 80, 49);
  Add(1, 1, 70, 1);
  const BatchPlan stable = planner_.Stable();
  EXPECT_EQ(stable.blocking_pairs, 0);
  ASSERT_EQ(stable.pairs.size(), 2u);
  EXPECT_EQ(stable.pairs[1].ticket, tickets_[0].ticket);
  EXPECT_EQ(stable.pairs[1].sponsor, sponsors_[0].member);
}

}  // namespace
}  // namespace handrail::matching
