#ifndef HANDRAIL_TOOLS_SIMULATOR_MEASURES_H_
#define HANDRAIL_TOOLS_SIMULATOR_MEASURES_H_

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tools/simulator/simulation.h"

// What a log says of a policy. Each measure is defined in docs/simulation.md.
namespace handrail::simulator {

struct Percentiles {
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  int64_t count = 0;
};
// By nearest rank; zeros of nothing.
Percentiles PercentilesOf(std::vector<double> values);

// Waits in hours, one by one.
struct Waits {
  std::vector<double> first_offer;  // of those who had one
  std::vector<double> pairing;      // of the paired, from asking on
};

// Those who share language and program.
struct Group {
  std::string language;
  std::string program;
  auto operator<=>(const Group&) const = default;
};

struct Measures {
  std::string supply;
  std::string policy;
  int64_t newcomers = 0;
  int64_t sponsors = 0;
  double matched = 0;  // share of the newcomers who could have had anybody at all
  double mean_score = 0;
  double score_vs_bound = 0;
  double score_vs_optimum = 0;
  Waits waits;
  std::map<Group, Waits> groups;
  double p99_wait_vs_fcfs = 0;  // set by CompareWith
  double mean_wait_vs_fcfs = 0;
  double offers_per_pairing = 0;
  double gini = 0;
  int64_t starved = 0;
  int64_t blocking_pairs = 0;
  int64_t broken_rules = 0;

  Percentiles WaitToOffer() const { return PercentilesOf(waits.first_offer); }
  Percentiles WaitToPairing() const { return PercentilesOf(waits.pairing); }
  void CompareWith(const Measures& fcfs);
};

// Several logs of one policy and supply as one: waits are put together, counts are added, the rest
// are means. `parts` is not empty.
Measures Combine(const std::vector<Measures>& parts);

// Everything but the comparison with first-come-first-served.
Measures Measure(const World& world, const std::vector<std::vector<Eligible>>& eligible,
                 const Log& log, const matching::AssignmentSolver& solver);

double MeanOf(const std::vector<double>& values);  // 0 of nothing
// The inequality of values that are not negative: 0 all are equal, towards 1 one has all.
double GiniOf(std::vector<double> values);

// The mean score of the best `pairs` pairs that anybody who knew the whole log could make, were
// every seat filled the moment it is free; 0 for none.
double OptimalMeanScore(const World& world, const std::vector<std::vector<Eligible>>& eligible,
                        size_t pairs, const matching::AssignmentSolver& solver);

// Newcomers whose ticket expired although, while they waited and had no open offer themselves,
// somebody who had asked later was put before a sponsor whom they could have had.
int64_t CountStarved(const World& world, const std::vector<std::vector<Eligible>>& eligible,
                     const Log& log);

}  // namespace handrail::simulator

#endif  // HANDRAIL_TOOLS_SIMULATOR_MEASURES_H_
