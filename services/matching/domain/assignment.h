#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_ASSIGNMENT_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_ASSIGNMENT_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/functional/function_ref.h"

// Many tickets before many seats at once: the b-matching that weighs most (design.md §5). Tickets
// and sponsors are numbers here, so that a solver knows nothing of people.
namespace handrail::matching {

// A pair that may be made, and what it is worth.
struct AssignmentEdge {
  uint32_t ticket = 0;
  uint32_t sponsor = 0;
  int64_t weight = 0;
};

enum class AssignmentAim : uint8_t {
  kWeight,           // the largest sum of weights; a pair of negative weight is never made
  kPairsThenWeight,  // as many pairs as can be, and of those the largest sum
};

struct AssignmentProblem {
  // |weight| of an edge is at most this: a thousand times the weight of a wait of ten targets.
  static constexpr int64_t kMaxWeight = 1'000'000'000'000;

  size_t ticket_count = 0;  // tickets are 0..ticket_count-1; number the longest waiting first
  std::vector<int> seats;   // free ones, by sponsor; not negative
  std::vector<AssignmentEdge> edges;  // at most one for each pair
  size_t max_pairs = std::numeric_limits<size_t>::max();
  AssignmentAim aim = AssignmentAim::kWeight;
};

struct Assignment {
  static constexpr int32_t kNobody = -1;

  std::vector<int32_t> sponsor_of;  // by ticket, or kNobody
  size_t pairs = 0;
  int64_t weight = 0;
  // False when time ran out and some of it is greedy.
  bool is_best = true;
};

// Takes the heaviest edge that is still possible, again and again; equal ones in order of ticket,
// then sponsor. At least half of the best sum of weights. O(edges log edges).
Assignment GreedyAssignment(const AssignmentProblem& problem);

// Implementations are thread-safe and deterministic: the same problem, when time suffices, gives
// the same assignment everywhere.
class AssignmentSolver {
 public:
  virtual ~AssignmentSolver() = default;

  // The best assignment. `out_of_time` is asked between parts of the problem that do not touch each
  // other; from when it says true, the rest is greedy. A problem that is not well-formed places
  // nobody.
  Assignment Solve(const AssignmentProblem& problem, absl::FunctionRef<bool()> out_of_time) const;

 private:
  virtual Assignment SolveValid(const AssignmentProblem& problem,
                                absl::FunctionRef<bool()> out_of_time) const = 0;
};

// What every assignment promises: no seat is taken twice, only edges are used, and the sums are
// right. For tests and for callers who do not trust a solver. O(edges).
bool IsAssignmentOf(const AssignmentProblem& problem, const Assignment& assignment);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_ASSIGNMENT_H_
