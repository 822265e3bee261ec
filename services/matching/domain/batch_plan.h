#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_BATCH_PLAN_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_BATCH_PLAN_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "services/matching/domain/assignment.h"
#include "services/matching/domain/choice.h"
#include "services/matching/domain/deferred_acceptance.h"

// Many tickets and seats decided together, from what the chooser found for each: for the window of
// the matcher, for the batch run of operators and for the simulator.
namespace handrail::matching {

// One ticket before one sponsor, not yet offered.
struct PlannedPair {
  TicketId ticket;
  MemberId sponsor;
  double score = 0;  // 0..100
  int64_t weight_billionths = 0;
};

// A suggestion and what it would mean; nothing is changed by it.
struct BatchPlan {
  std::vector<PlannedPair> pairs;  // the longest waiting ticket first
  size_t tickets = 0;              // with at least one candidate
  size_t sponsors = 0;             // who are a candidate of somebody
  int64_t seats = 0;               // theirs, free now
  double mean_score = 0;           // of the pairs, 0..100; 0 without pairs
  // Pairs who would both rather have each other, by the newcomers' scores and the sponsors'
  // weights.
  int64_t blocking_pairs = 0;
  // How long those have waited who would be paired, and those who would not.
  struct Waits {
    absl::Duration p50, p90, p99;
  };
  Waits paired_waits;
  Waits left_waits;
  bool is_best = true;  // false when time ran out and some of it is greedy
};

// Collects candidates, then plans as often as wanted. Not thread-safe.
class BatchPlanner {
 public:
  // `now` is when waits end.
  explicit BatchPlanner(absl::Time now) : now_micros_(absl::ToUnixMicros(now)) {}

  // What a search found for one ticket or for one sponsor. Pairs that came before are ignored, so
  // that the lists of both sides may be added. Copies what it needs.
  void Add(const Choice& choice);
  void Add(const Candidate& candidate);
  // Free seats of a sponsor to be used instead of those in the sponsor's record.
  void SetSeats(const MemberId& sponsor, int free_seats) { seats_[sponsor] = free_seats; }

  size_t ticket_count() const { return tickets_.size(); }
  size_t pair_count() const { return pairs_.size(); }

  // As many pairs as can be, and of those the largest sum of weights.
  BatchPlan MaximumWeight(const AssignmentSolver& solver,
                          absl::FunctionRef<bool()> out_of_time) const;
  // Newcomers propose, by score; sponsors hold, by weight, which counts the wait. No blocking pair.
  BatchPlan Stable() const;

 private:
  struct TicketEntry {
    TicketId id;
    int64_t enqueue_micros = 0;
  };
  struct SponsorEntry {
    MemberId id;
    int record_seats = 0;
  };
  struct Pair {
    size_t ticket = 0;
    size_t sponsor = 0;
    double score = 0;
    int64_t weight_billionths = 0;
  };
  // Tickets by wait and sponsors by id, whatever the order in which they came.
  struct Ordered {
    std::vector<uint32_t> ticket_rank;  // by entry
    std::vector<uint32_t> sponsor_rank;
    std::vector<size_t> tickets;  // entries, by rank
    std::vector<size_t> sponsors;
    std::vector<int> seats;  // by rank
  };

  Ordered Order() const;
  Market ToMarket(const Ordered& ordered) const;
  BatchPlan Describe(const Ordered& ordered, const std::vector<int32_t>& sponsor_of) const;

  const int64_t now_micros_;
  std::vector<TicketEntry> tickets_;
  std::vector<SponsorEntry> sponsors_;
  std::vector<Pair> pairs_;
  absl::flat_hash_map<TicketId, size_t> ticket_places_;
  absl::flat_hash_map<MemberId, size_t> sponsor_places_;
  absl::flat_hash_map<std::pair<size_t, size_t>, size_t> pair_places_;
  absl::flat_hash_map<MemberId, int> seats_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_BATCH_PLAN_H_
