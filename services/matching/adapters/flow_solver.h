#ifndef HANDRAIL_SERVICES_MATCHING_ADAPTERS_FLOW_SOLVER_H_
#define HANDRAIL_SERVICES_MATCHING_ADAPTERS_FLOW_SOLVER_H_

#include <cstddef>

#include "services/matching/domain/assignment.h"

namespace handrail::matching {

// The b-matching as a flow of least cost, solved by LEMON's network simplex. Parts of the problem
// that share nobody are solved one after the other, the one with the longest waiting first, and
// time is looked at in between. 512 tickets of 32 candidates each take 2 ms, 2,048 take 10 ms.
class FlowSolver final : public AssignmentSolver {
 public:
  struct Options {
    // A part with more edges than this is greedy at once, because a part that was begun is
    // finished.
    size_t max_edges = 4'000'000;
  };

  FlowSolver() : FlowSolver(Options{}) {}
  explicit FlowSolver(const Options& options) : options_(options) {}

 private:
  Assignment SolveValid(const AssignmentProblem& problem,
                        absl::FunctionRef<bool()> out_of_time) const override;

  const Options options_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_FLOW_SOLVER_H_
