#include "tools/simulator/measures.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/container/flat_hash_set.h"
#include "services/matching/domain/deferred_acceptance.h"
#include "tools/simulator/words.h"

namespace handrail::simulator {
namespace {

using End = NewcomerOutcome::End;

int64_t Whole(double score) { return std::llround(score * 1e9); }

// Pairs who, looking back over the whole log, would both rather have had each other by score.
int64_t CountBlocking(const std::vector<std::vector<Eligible>>& eligible, const Log& log) {
  matching::Market market;
  market.newcomer_count = eligible.size();
  std::vector<int32_t> sponsor_of(eligible.size(), matching::kUnplaced);
  for (const SponsorOutcome& sponsor : log.sponsors) {
    market.seats.push_back(sponsor.pairings + sponsor.free_at_end);
  }
  for (uint32_t i = 0; i < eligible.size(); ++i) {
    for (const Eligible& one : eligible[i]) {
      if (!one.accepts) continue;
      market.preferences.push_back({i, one.sponsor, Whole(one.score), Whole(one.score)});
    }
    sponsor_of[i] = log.newcomers[i].sponsor;
  }
  return matching::CountBlockingPairs(market, sponsor_of);
}

void AddTo(Waits& sum, const Waits& part) {
  sum.first_offer.insert(sum.first_offer.end(), part.first_offer.begin(), part.first_offer.end());
  sum.pairing.insert(sum.pairing.end(), part.pairing.begin(), part.pairing.end());
}

Waits WaitsOf(const Newcomer& newcomer, const NewcomerOutcome& outcome) {
  const absl::Time asked = newcomer.ticket.create_time;
  Waits waits;
  if (outcome.offers > 0) waits.first_offer = {absl::ToDoubleHours(outcome.first_offer - asked)};
  if (outcome.end == End::kPaired) waits.pairing = {absl::ToDoubleHours(outcome.end_time - asked)};
  return waits;
}

Group GroupOf(const Newcomer& newcomer) {
  return {newcomer.traits->newcomer->person.languages.front().Tag(),
          std::string(NameOf(newcomer.ticket.philosophy))};
}

// Of sponsors who took part for at least half of the time: a mean over a few days says nothing.
double GiniOfLoad(const World& world, const Log& log) {
  const double half = absl::ToDoubleHours(world.arrivals_end() - world.half()) / 2;
  std::vector<double> loads;
  for (const SponsorOutcome& sponsor : log.sponsors) {
    if (sponsor.hours < half || sponsor.open_seat_hours <= 0) continue;
    loads.push_back(sponsor.load_seat_hours / sponsor.open_seat_hours);
  }
  return GiniOf(std::move(loads));
}

}  // namespace

double MeanOf(const std::vector<double>& values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void Measures::CompareWith(const Measures& fcfs) {
  const double p99 = fcfs.WaitToPairing().p99;
  const double mean = MeanOf(fcfs.waits.pairing);
  p99_wait_vs_fcfs = p99 > 0 ? WaitToPairing().p99 / p99 : 0;
  mean_wait_vs_fcfs = mean > 0 ? MeanOf(waits.pairing) / mean : 0;
}

Measures Combine(const std::vector<Measures>& parts) {
  Measures all = parts.front();
  for (size_t i = 1; i < parts.size(); ++i) {
    const Measures& part = parts[i];
    all.newcomers += part.newcomers;
    all.sponsors += part.sponsors;
    all.starved += part.starved;
    all.blocking_pairs += part.blocking_pairs;
    all.broken_rules += part.broken_rules;
    AddTo(all.waits, part.waits);
    for (const auto& [group, waits] : part.groups) AddTo(all.groups[group], waits);
  }
  for (double Measures::*mean :
       {&Measures::matched, &Measures::mean_score, &Measures::score_vs_bound,
        &Measures::score_vs_optimum, &Measures::offers_per_pairing, &Measures::gini}) {
    double sum = 0;
    for (const Measures& part : parts) sum += part.*mean;
    all.*mean = sum / static_cast<double>(parts.size());
  }
  return all;
}

Percentiles PercentilesOf(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double rank = std::ceil(share * static_cast<double>(values.size()));
    return values[static_cast<size_t>(std::max(1.0, rank)) - 1];
  };
  return {at(0.5), at(0.9), at(0.99), static_cast<int64_t>(values.size())};
}

double GiniOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  double sum = 0;
  double weighted = 0;
  const auto count = static_cast<double>(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    sum += values[i];
    weighted += (2 * (static_cast<double>(i) + 1) - count - 1) * values[i];
  }
  return sum > 0 ? weighted / (count * sum) : 0;
}

double OptimalMeanScore(const World& world, const std::vector<std::vector<Eligible>>& eligible,
                        size_t pairs, const matching::AssignmentSolver& solver) {
  matching::AssignmentProblem problem;
  problem.ticket_count = eligible.size();
  for (size_t i = 0; i < world.sponsors().size(); ++i) {
    problem.seats.push_back(world.SeatsOverAll(i));
  }
  for (uint32_t i = 0; i < eligible.size(); ++i) {
    for (const Eligible& one : eligible[i]) {
      if (one.accepts) problem.edges.push_back({i, one.sponsor, Whole(one.score)});
    }
  }
  problem.max_pairs = pairs;
  const matching::Assignment best = solver.Solve(problem, [] { return false; });
  return best.pairs == 0 ? 0
                         : static_cast<double>(best.weight) / 1e9 / static_cast<double>(best.pairs);
}

int64_t CountStarved(const World& world, const std::vector<std::vector<Eligible>>& eligible,
                     const Log& log) {
  int64_t starved = 0;
  for (uint32_t i = 0; i < log.newcomers.size(); ++i) {
    if (log.newcomers[i].end != End::kExpired) continue;
    const matching::Ticket& ticket = world.newcomers()[i].ticket;
    absl::flat_hash_set<uint32_t> possible;
    for (const Eligible& one : eligible[i]) possible.insert(one.sponsor);
    std::vector<const MadeOffer*> own;
    for (const MadeOffer& offer : log.offers) {
      if (offer.newcomer != i) continue;
      own.push_back(&offer);
      possible.erase(offer.sponsor);  // they have met, and rest
    }
    const auto passed_by = [&](const MadeOffer& offer) {
      const bool later = world.newcomers()[offer.newcomer].ticket.create_time > ticket.create_time;
      const bool waits = std::none_of(own.begin(), own.end(), [&](const MadeOffer* one) {
        return one->time <= offer.time && offer.time < one->end;
      });
      return later && waits && offer.time < ticket.expire_time && possible.contains(offer.sponsor);
    };
    starved += std::any_of(log.offers.begin(), log.offers.end(), passed_by) ? 1 : 0;
  }
  return starved;
}

Measures Measure(const World& world, const std::vector<std::vector<Eligible>>& eligible,
                 const Log& log, const matching::AssignmentSolver& solver) {
  Measures measures;
  measures.newcomers = static_cast<int64_t>(log.newcomers.size());
  measures.sponsors = static_cast<int64_t>(log.sponsors.size());
  std::vector<double> scores;
  std::vector<double> bounds;
  int64_t possible = 0;
  for (size_t i = 0; i < log.newcomers.size(); ++i) {
    const NewcomerOutcome& outcome = log.newcomers[i];
    if (eligible[i].empty()) continue;
    ++possible;
    const Waits waits = WaitsOf(world.newcomers()[i], outcome);
    AddTo(measures.waits, waits);
    AddTo(measures.groups[GroupOf(world.newcomers()[i])], waits);
    if (outcome.end != End::kPaired) continue;
    scores.push_back(outcome.score);
    bounds.push_back(
        std::max_element(eligible[i].begin(), eligible[i].end(),
                         [](const Eligible& a, const Eligible& b) { return a.score < b.score; })
            ->score);
  }
  const auto paired = static_cast<double>(scores.size());
  measures.matched = possible == 0 ? 0 : paired / static_cast<double>(possible);
  measures.mean_score = MeanOf(scores);
  if (!scores.empty()) {
    measures.score_vs_bound = MeanOf(scores) / MeanOf(bounds);
    measures.score_vs_optimum =
        MeanOf(scores) / OptimalMeanScore(world, eligible, scores.size(), solver);
    measures.offers_per_pairing = static_cast<double>(log.offers.size()) / paired;
  }
  measures.gini = GiniOfLoad(world, log);
  measures.starved = CountStarved(world, eligible, log);
  measures.blocking_pairs = CountBlocking(eligible, log);
  measures.broken_rules = log.broken_rules;
  return measures;
}

}  // namespace handrail::simulator
