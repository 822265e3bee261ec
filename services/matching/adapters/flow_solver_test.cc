#include "services/matching/adapters/flow_solver.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/testing/seeded_random.h"

namespace handrail::matching {
namespace {

bool Never() { return false; }

AssignmentProblem RandomProblem(Random& random, uint64_t most) {
  AssignmentProblem problem;
  problem.ticket_count = random.Below(4) == 0 ? random.Below(most + 1) : most;
  problem.seats.resize(random.Below(most + 1));
  for (int& seats : problem.seats) seats = static_cast<int>(random.Below(8)) / 3;
  const uint64_t percent = 20 + random.Below(61);
  for (uint32_t ticket = 0; ticket < problem.ticket_count; ++ticket) {
    for (uint32_t sponsor = 0; sponsor < problem.seats.size(); ++sponsor) {
      if (random.Below(100) >= percent) continue;
      const auto weight = static_cast<int64_t>(random.Below(1000)) - 100;
      problem.edges.push_back({ticket, sponsor, weight});
    }
  }
  if (random.Below(3) == 0) problem.max_pairs = random.Below(most + 1);
  if (random.Below(2) == 0) problem.aim = AssignmentAim::kPairsThenWeight;
  return problem;
}

// The best (pairs, weight) under the problem's aim, by trying everything.
class BruteForce {
 public:
  explicit BruteForce(const AssignmentProblem& problem)
      : problem_(problem), free_(problem.seats), by_ticket_(problem.ticket_count) {
    for (const AssignmentEdge& edge : problem.edges) by_ticket_[edge.ticket].push_back(edge);
    Try(0, 0, 0);
  }

  size_t pairs() const { return best_pairs_; }
  int64_t weight() const { return best_weight_; }

 private:
  void Try(size_t ticket, size_t pairs, int64_t weight) {
    if (ticket == problem_.ticket_count) {
      const bool by_pairs = problem_.aim == AssignmentAim::kPairsThenWeight;
      if ((by_pairs && pairs > best_pairs_) ||
          ((!by_pairs || pairs == best_pairs_) && weight > best_weight_)) {
        best_pairs_ = pairs;
        best_weight_ = weight;
      }
      return;
    }
    Try(ticket + 1, pairs, weight);
    if (pairs == problem_.max_pairs) return;
    for (const AssignmentEdge& edge : by_ticket_[ticket]) {
      if (free_[edge.sponsor] == 0) continue;
      --free_[edge.sponsor];
      Try(ticket + 1, pairs + 1, weight + edge.weight);
      ++free_[edge.sponsor];
    }
  }

  const AssignmentProblem& problem_;
  std::vector<int> free_;
  std::vector<std::vector<AssignmentEdge>> by_ticket_;
  size_t best_pairs_ = 0;
  int64_t best_weight_ = 0;
};

void ExpectEqualToBruteForce(uint64_t seed, int count, uint64_t most) {
  testing::SeededRandom random(seed);
  const FlowSolver solver;
  int better_than_greedy = 0;
  for (int i = 0; i < count; ++i) {
    const AssignmentProblem problem = RandomProblem(random, most);
    const Assignment assignment = solver.Solve(problem, Never);
    ASSERT_TRUE(IsAssignmentOf(problem, assignment)) << i;
    ASSERT_TRUE(assignment.is_best) << i;
    const BruteForce best(problem);
    ASSERT_EQ(assignment.weight, best.weight()) << i;
    if (problem.aim == AssignmentAim::kPairsThenWeight) {
      ASSERT_EQ(assignment.pairs, best.pairs()) << i;
    }
    const Assignment greedy = GreedyAssignment(problem);
    ASSERT_TRUE(IsAssignmentOf(problem, greedy)) << i;
    if (problem.aim == AssignmentAim::kWeight) {
      ASSERT_LE(greedy.weight, assignment.weight) << i;
      ASSERT_GE(2 * greedy.weight, assignment.weight) << i;
      better_than_greedy += assignment.weight > greedy.weight ? 1 : 0;
    }
  }
  EXPECT_GT(better_than_greedy, count / 50);  // else there was nothing to solve
}

TEST(FlowSolverTest, ThousandsOfSmallProblemsAreSolvedAsByTryingEverything) {
  ExpectEqualToBruteForce(1, 4000, 5);
}

TEST(FlowSolverTest, SoAreProblemsOfEightByEight) { ExpectEqualToBruteForce(2, 2000, 8); }

TEST(FlowSolverTest, NobodyAndNothing) {
  const FlowSolver solver;
  EXPECT_EQ(solver.Solve({}, Never).pairs, 0u);
  AssignmentProblem problem;
  problem.ticket_count = 2;
  problem.seats = {0};
  problem.edges = {{0, 0, 5}};
  EXPECT_EQ(solver.Solve(problem, Never).pairs, 0u);
}

TEST(FlowSolverTest, ABadProblemPlacesNobody) {
  const FlowSolver solver;
  AssignmentProblem problem;
  problem.ticket_count = 1;
  problem.seats = {1};
  problem.edges = {{0, 0, 1}, {1, 0, 1}};
  EXPECT_EQ(solver.Solve(problem, Never).pairs, 0u);
  problem.edges = {{0, 0, AssignmentProblem::kMaxWeight + 1}};
  EXPECT_EQ(solver.Solve(problem, Never).pairs, 0u);
  problem.edges = {{0, 0, AssignmentProblem::kMaxWeight}};
  problem.seats = {-1};
  EXPECT_EQ(solver.Solve(problem, Never).pairs, 0u);
  problem.seats = {1};
  EXPECT_EQ(solver.Solve(problem, Never).pairs, 1u);
}

// Two parts that share nobody; greedy loses in each.
AssignmentProblem TwoParts() {
  AssignmentProblem problem;
  problem.ticket_count = 4;
  problem.seats = {1, 1, 1, 1};
  problem.edges = {{0, 0, 10}, {0, 1, 9}, {1, 0, 9}, {2, 2, 10}, {2, 3, 9}, {3, 2, 9}};
  return problem;
}

TEST(FlowSolverTest, AtTheDeadlineTheRestIsGreedy) {
  const FlowSolver solver;
  EXPECT_EQ(solver.Solve(TwoParts(), Never).weight, 36);
  int asked = 0;
  const Assignment half = solver.Solve(TwoParts(), [&] { return ++asked > 1; });
  EXPECT_TRUE(IsAssignmentOf(TwoParts(), half));
  EXPECT_EQ(half.weight, 28);  // the part of the longest waiting was solved
  EXPECT_EQ(half.sponsor_of[0], 1);
  EXPECT_FALSE(half.is_best);
  const Assignment none = solver.Solve(TwoParts(), [] { return true; });
  EXPECT_EQ(none.weight, 20);
  EXPECT_FALSE(none.is_best);
}

TEST(FlowSolverTest, APartThatIsTooLargeIsGreedy) {
  FlowSolver::Options options;
  options.max_edges = 2;
  const Assignment assignment = FlowSolver(options).Solve(TwoParts(), Never);
  EXPECT_EQ(assignment.weight, 20);
  EXPECT_FALSE(assignment.is_best);
}

TEST(FlowSolverTest, TheOrderOfTheEdgesDoesNotMatter) {
  testing::SeededRandom random(3);
  const FlowSolver solver;
  for (int i = 0; i < 200; ++i) {
    AssignmentProblem problem = RandomProblem(random, 8);
    const Assignment assignment = solver.Solve(problem, Never);
    std::reverse(problem.edges.begin(), problem.edges.end());
    ASSERT_EQ(solver.Solve(problem, Never).sponsor_of, assignment.sponsor_of) << i;
  }
}

// The largest weights and many people at once stay within 64 bits.
TEST(FlowSolverTest, LargeWeightsAreSolvedToo) {
  testing::SeededRandom random(4);
  AssignmentProblem problem;
  problem.ticket_count = 400;
  problem.seats.assign(50, 2);
  for (uint32_t ticket = 0; ticket < 400; ++ticket) {
    for (uint32_t sponsor = 0; sponsor < 50; ++sponsor) {
      problem.edges.push_back(
          {ticket, sponsor,
           AssignmentProblem::kMaxWeight - static_cast<int64_t>(random.Below(1'000'000'000))});
    }
  }
  problem.aim = AssignmentAim::kPairsThenWeight;
  const Assignment assignment = FlowSolver().Solve(problem, Never);
  EXPECT_TRUE(assignment.is_best);
  EXPECT_EQ(assignment.pairs, 100u);
  EXPECT_TRUE(IsAssignmentOf(problem, assignment));
}

}  // namespace
}  // namespace handrail::matching
