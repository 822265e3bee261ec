#include "services/matching/domain/batch_plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace handrail::matching {
namespace {

BatchPlan::Waits WaitsOf(std::vector<int64_t> micros) {
  std::sort(micros.begin(), micros.end());
  const auto at = [&](double share) {
    if (micros.empty()) return absl::ZeroDuration();
    const double place = std::ceil(share * static_cast<double>(micros.size())) - 1;
    return absl::Microseconds(micros[static_cast<size_t>(std::max(0.0, place))]);
  };
  return {at(0.5), at(0.9), at(0.99)};
}

int64_t WholeScore(double score) { return std::llround(score * 1e9); }

}  // namespace

void BatchPlanner::Add(const Choice& choice) {
  for (const Candidate& candidate : choice.candidates) Add(candidate);
}

void BatchPlanner::Add(const Candidate& candidate) {
  const auto [ticket, new_ticket] =
      ticket_places_.try_emplace(candidate.ticket->ticket, tickets_.size());
  if (new_ticket) {
    tickets_.push_back({candidate.ticket->ticket, candidate.ticket->enqueue_micros});
  }
  const SponsorRecord& record = *candidate.sponsor;
  const auto [sponsor, new_sponsor] = sponsor_places_.try_emplace(record.member, sponsors_.size());
  if (new_sponsor) {
    sponsors_.push_back(
        {record.member, record.HasFreeSeat() ? record.capacity - record.taken_seats : 0});
  }
  const bool new_pair =
      pair_places_.try_emplace({ticket->second, sponsor->second}, pairs_.size()).second;
  if (!new_pair) return;
  pairs_.push_back({ticket->second, sponsor->second, candidate.score, candidate.weight_billionths});
}

BatchPlanner::Ordered BatchPlanner::Order() const {
  Ordered ordered;
  ordered.tickets.resize(tickets_.size());
  ordered.sponsors.resize(sponsors_.size());
  std::iota(ordered.tickets.begin(), ordered.tickets.end(), size_t{0});
  std::iota(ordered.sponsors.begin(), ordered.sponsors.end(), size_t{0});
  std::sort(ordered.tickets.begin(), ordered.tickets.end(), [this](size_t a, size_t b) {
    return std::pair(tickets_[a].enqueue_micros, tickets_[a].id) <
           std::pair(tickets_[b].enqueue_micros, tickets_[b].id);
  });
  std::sort(ordered.sponsors.begin(), ordered.sponsors.end(),
            [this](size_t a, size_t b) { return sponsors_[a].id < sponsors_[b].id; });
  ordered.ticket_rank.resize(tickets_.size());
  ordered.sponsor_rank.resize(sponsors_.size());
  for (uint32_t rank = 0; rank < tickets_.size(); ++rank) {
    ordered.ticket_rank[ordered.tickets[rank]] = rank;
  }
  for (uint32_t rank = 0; rank < sponsors_.size(); ++rank) {
    const SponsorEntry& sponsor = sponsors_[ordered.sponsors[rank]];
    ordered.sponsor_rank[ordered.sponsors[rank]] = rank;
    const auto seats = seats_.find(sponsor.id);
    ordered.seats.push_back(
        std::max(0, seats == seats_.end() ? sponsor.record_seats : seats->second));
  }
  return ordered;
}

Market BatchPlanner::ToMarket(const Ordered& ordered) const {
  Market market;
  market.newcomer_count = tickets_.size();
  market.seats = ordered.seats;
  for (const Pair& pair : pairs_) {
    market.preferences.push_back({ordered.ticket_rank[pair.ticket],
                                  ordered.sponsor_rank[pair.sponsor], WholeScore(pair.score),
                                  pair.weight_billionths});
  }
  return market;
}

BatchPlan BatchPlanner::Describe(const Ordered& ordered,
                                 const std::vector<int32_t>& sponsor_of) const {
  BatchPlan plan;
  plan.tickets = tickets_.size();
  plan.sponsors = sponsors_.size();
  plan.seats = std::accumulate(ordered.seats.begin(), ordered.seats.end(), int64_t{0});
  plan.blocking_pairs = CountBlockingPairs(ToMarket(ordered), sponsor_of);
  std::vector<int64_t> paired;
  std::vector<int64_t> left;
  double score = 0;
  for (size_t rank = 0; rank < sponsor_of.size(); ++rank) {
    const size_t place = ordered.tickets[rank];
    const TicketEntry& ticket = tickets_[place];
    const int64_t wait = std::max<int64_t>(0, now_micros_ - ticket.enqueue_micros);
    (sponsor_of[rank] == kUnplaced ? left : paired).push_back(wait);
    if (sponsor_of[rank] == kUnplaced) continue;
    const size_t sponsor = ordered.sponsors[static_cast<size_t>(sponsor_of[rank])];
    const Pair& pair = pairs_[pair_places_.at({place, sponsor})];
    plan.pairs.push_back({ticket.id, sponsors_[sponsor].id, pair.score, pair.weight_billionths});
    score += pair.score;
  }
  if (!plan.pairs.empty()) plan.mean_score = score / static_cast<double>(plan.pairs.size());
  plan.paired_waits = WaitsOf(std::move(paired));
  plan.left_waits = WaitsOf(std::move(left));
  return plan;
}

BatchPlan BatchPlanner::MaximumWeight(const AssignmentSolver& solver,
                                      absl::FunctionRef<bool()> out_of_time) const {
  const Ordered ordered = Order();
  AssignmentProblem problem;
  problem.ticket_count = tickets_.size();
  problem.seats = ordered.seats;
  problem.aim = AssignmentAim::kPairsThenWeight;
  for (const Pair& pair : pairs_) {
    problem.edges.push_back({ordered.ticket_rank[pair.ticket], ordered.sponsor_rank[pair.sponsor],
                             std::clamp(pair.weight_billionths, -AssignmentProblem::kMaxWeight,
                                        AssignmentProblem::kMaxWeight)});
  }
  const Assignment assignment = solver.Solve(problem, out_of_time);
  BatchPlan plan = Describe(ordered, assignment.sponsor_of);
  plan.is_best = assignment.is_best;
  return plan;
}

BatchPlan BatchPlanner::Stable() const {
  const Ordered ordered = Order();
  return Describe(ordered, DeferredAcceptance(ToMarket(ordered)));
}

}  // namespace handrail::matching
