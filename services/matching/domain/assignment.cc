#include "services/matching/domain/assignment.h"

#include <algorithm>
#include <tuple>

#include "absl/container/flat_hash_map.h"

namespace handrail::matching {
namespace {

bool IsWellFormed(const AssignmentProblem& problem) {
  for (const int seats : problem.seats) {
    if (seats < 0) return false;
  }
  return std::all_of(problem.edges.begin(), problem.edges.end(), [&](const AssignmentEdge& edge) {
    return edge.ticket < problem.ticket_count && edge.sponsor < problem.seats.size() &&
           edge.weight <= AssignmentProblem::kMaxWeight &&
           edge.weight >= -AssignmentProblem::kMaxWeight;
  });
}

}  // namespace

Assignment GreedyAssignment(const AssignmentProblem& problem) {
  std::vector<AssignmentEdge> edges = problem.edges;
  std::sort(edges.begin(), edges.end(), [](const AssignmentEdge& a, const AssignmentEdge& b) {
    return std::tuple(-a.weight, a.ticket, a.sponsor) < std::tuple(-b.weight, b.ticket, b.sponsor);
  });
  Assignment assignment;
  assignment.sponsor_of.assign(problem.ticket_count, Assignment::kNobody);
  assignment.is_best = false;
  std::vector<int> free = problem.seats;
  for (const AssignmentEdge& edge : edges) {
    if (assignment.pairs >= problem.max_pairs) break;
    if (edge.weight < 0 && problem.aim == AssignmentAim::kWeight) break;
    if (assignment.sponsor_of[edge.ticket] != Assignment::kNobody || free[edge.sponsor] == 0) {
      continue;
    }
    assignment.sponsor_of[edge.ticket] = static_cast<int32_t>(edge.sponsor);
    --free[edge.sponsor];
    ++assignment.pairs;
    assignment.weight += edge.weight;
  }
  return assignment;
}

Assignment AssignmentSolver::Solve(const AssignmentProblem& problem,
                                   absl::FunctionRef<bool()> out_of_time) const {
  if (IsWellFormed(problem)) return SolveValid(problem, out_of_time);
  Assignment nobody;
  nobody.sponsor_of.assign(problem.ticket_count, Assignment::kNobody);
  nobody.is_best = false;
  return nobody;
}

bool IsAssignmentOf(const AssignmentProblem& problem, const Assignment& assignment) {
  if (assignment.sponsor_of.size() != problem.ticket_count) return false;
  absl::flat_hash_map<std::pair<uint32_t, uint32_t>, int64_t> weights;
  for (const AssignmentEdge& edge : problem.edges) {
    weights[{edge.ticket, edge.sponsor}] = edge.weight;
  }
  std::vector<int> free = problem.seats;
  size_t pairs = 0;
  int64_t weight = 0;
  for (uint32_t ticket = 0; ticket < problem.ticket_count; ++ticket) {
    const int32_t sponsor = assignment.sponsor_of[ticket];
    if (sponsor == Assignment::kNobody) continue;
    const auto edge = weights.find({ticket, static_cast<uint32_t>(sponsor)});
    if (edge == weights.end() || free[static_cast<size_t>(sponsor)]-- == 0) return false;
    ++pairs;
    weight += edge->second;
  }
  return pairs == assignment.pairs && weight == assignment.weight && pairs <= problem.max_pairs;
}

}  // namespace handrail::matching
