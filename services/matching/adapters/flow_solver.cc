#include "services/matching/adapters/flow_solver.h"

#include <lemon/network_simplex.h>
#include <lemon/smart_graph.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace handrail::matching {
namespace {

using Graph = lemon::SmartDigraph;

// Which tickets and sponsors hang together. Tickets first, then sponsors.
class Parts {
 public:
  explicit Parts(const AssignmentProblem& problem)
      : parent_(problem.ticket_count + problem.seats.size()) {
    std::iota(parent_.begin(), parent_.end(), size_t{0});
    for (const AssignmentEdge& edge : problem.edges) {
      const size_t a = Root(edge.ticket);
      const size_t b = Root(problem.ticket_count + edge.sponsor);
      parent_[std::max(a, b)] = std::min(a, b);  // so that a root is the part's first ticket
    }
  }

  size_t Root(size_t node) {
    while (parent_[node] != node) node = parent_[node] = parent_[parent_[node]];
    return node;
  }

 private:
  std::vector<size_t> parent_;
};

// The edges of each part, in order of the part's first ticket.
std::vector<std::vector<AssignmentEdge>> SplitInParts(const AssignmentProblem& problem) {
  Parts parts(problem);
  std::vector<std::vector<AssignmentEdge>> split;
  std::vector<std::vector<AssignmentEdge>> by_root(problem.ticket_count);
  for (const AssignmentEdge& edge : problem.edges) {
    by_root[parts.Root(edge.ticket)].push_back(edge);
  }
  for (std::vector<AssignmentEdge>& edges : by_root) {
    if (!edges.empty()) split.push_back(std::move(edges));
  }
  return split;
}

// What is added to every weight so that one pair more outweighs any choice of pairs.
int64_t BonusOfAPair(const AssignmentProblem& problem, size_t most_pairs) {
  if (problem.aim == AssignmentAim::kWeight || problem.edges.empty()) return 0;
  const auto [least, most] = std::minmax_element(
      problem.edges.begin(), problem.edges.end(),
      [](const AssignmentEdge& a, const AssignmentEdge& b) { return a.weight < b.weight; });
  const int64_t range = most->weight - least->weight;
  return range * static_cast<int64_t>(most_pairs) + std::max<int64_t>(0, -least->weight) + 1;
}

// One part as a flow from a source over tickets and sponsors to a sink; what does not flow there
// takes an arc of cost 0 past them.
class Flow {
 public:
  Flow(const AssignmentProblem& problem, std::vector<AssignmentEdge> edges)
      : edges_(std::move(edges)), capacity_(graph_), cost_(graph_) {
    std::sort(edges_.begin(), edges_.end(), [](const AssignmentEdge& a, const AssignmentEdge& b) {
      return std::pair(a.ticket, a.sponsor) < std::pair(b.ticket, b.sponsor);
    });
    source_ = graph_.addNode();
    sink_ = graph_.addNode();
    for (const AssignmentEdge& edge : edges_) {
      const auto [ticket, new_ticket] = ticket_nodes_.try_emplace(edge.ticket);
      if (new_ticket) {
        ticket->second = graph_.addNode();
        AddArc(source_, ticket->second, 1, 0);
        ++tickets_;
      }
      const auto [sponsor, new_sponsor] = sponsor_nodes_.try_emplace(edge.sponsor);
      if (new_sponsor) {
        sponsor->second = graph_.addNode();
        AddArc(sponsor->second, sink_, problem.seats[edge.sponsor], 0);
      }
    }
    amount_ = static_cast<int>(std::min<size_t>(tickets_, problem.max_pairs));
    const int64_t bonus = BonusOfAPair(problem, tickets_);
    for (const AssignmentEdge& edge : edges_) {
      arcs_.push_back(AddArc(ticket_nodes_[edge.ticket], sponsor_nodes_[edge.sponsor], 1,
                             -(edge.weight + bonus)));
    }
    AddArc(source_, sink_, amount_, 0);
  }

  // False when it could not be solved in whole numbers of 64 bits.
  bool Solve(Assignment& assignment) {
    int64_t largest = 0;
    for (Graph::ArcIt arc(graph_); arc != lemon::INVALID; ++arc) {
      largest = std::max(largest, std::abs(cost_[arc]));
    }
    // Potentials add up along a path of the tree: at most this times the number of nodes.
    if (largest > (int64_t{1} << 60) / (graph_.maxNodeId() + 2)) return false;
    lemon::NetworkSimplex<Graph, int, int64_t> simplex(graph_);
    simplex.upperMap(capacity_).costMap(cost_).stSupply(source_, sink_, amount_);
    if (simplex.run() != lemon::NetworkSimplex<Graph, int, int64_t>::OPTIMAL) return false;
    for (size_t i = 0; i < edges_.size(); ++i) {
      if (simplex.flow(arcs_[i]) == 0) continue;
      assignment.sponsor_of[edges_[i].ticket] = static_cast<int32_t>(edges_[i].sponsor);
      ++assignment.pairs;
      assignment.weight += edges_[i].weight;
    }
    return true;
  }

 private:
  Graph::Arc AddArc(Graph::Node from, Graph::Node to, int capacity, int64_t cost) {
    const Graph::Arc arc = graph_.addArc(from, to);
    capacity_[arc] = capacity;
    cost_[arc] = cost;
    return arc;
  }

  std::vector<AssignmentEdge> edges_;
  Graph graph_;
  Graph::ArcMap<int> capacity_;
  Graph::ArcMap<int64_t> cost_;
  Graph::Node source_;
  Graph::Node sink_;
  absl::flat_hash_map<uint32_t, Graph::Node> ticket_nodes_;
  absl::flat_hash_map<uint32_t, Graph::Node> sponsor_nodes_;
  std::vector<Graph::Arc> arcs_;
  size_t tickets_ = 0;
  int amount_ = 0;
};

void AddGreedy(const AssignmentProblem& problem, std::vector<AssignmentEdge> edges,
               Assignment& assignment) {
  AssignmentProblem part;
  part.ticket_count = problem.ticket_count;
  part.seats = problem.seats;
  part.edges = std::move(edges);
  part.max_pairs = problem.max_pairs;
  part.aim = problem.aim;
  const Assignment greedy = GreedyAssignment(part);
  for (size_t ticket = 0; ticket < problem.ticket_count; ++ticket) {
    if (greedy.sponsor_of[ticket] == Assignment::kNobody) continue;
    assignment.sponsor_of[ticket] = greedy.sponsor_of[ticket];
  }
  assignment.pairs += greedy.pairs;
  assignment.weight += greedy.weight;
  assignment.is_best = false;
}

}  // namespace

Assignment FlowSolver::SolveValid(const AssignmentProblem& problem,
                                  absl::FunctionRef<bool()> out_of_time) const {
  Assignment assignment;
  assignment.sponsor_of.assign(problem.ticket_count, Assignment::kNobody);
  // A bound on the pairs holds the parts together.
  const bool bounded = problem.max_pairs < problem.ticket_count;
  std::vector<std::vector<AssignmentEdge>> parts;
  if (!bounded) {
    parts = SplitInParts(problem);
  } else if (!problem.edges.empty()) {
    parts.push_back(problem.edges);
  }
  std::vector<AssignmentEdge> unsolved;
  for (const std::vector<AssignmentEdge>& edges : parts) {
    const bool solve = edges.size() <= options_.max_edges && !out_of_time();
    if (!solve || !Flow(problem, edges).Solve(assignment)) {
      unsolved.insert(unsolved.end(), edges.begin(), edges.end());
    }
  }
  if (!unsolved.empty()) AddGreedy(problem, std::move(unsolved), assignment);
  return assignment;
}

}  // namespace handrail::matching
