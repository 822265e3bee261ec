#include "tools/simulator/world.h"

#include <algorithm>
#include <cmath>
#include <queue>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/simulator/draws.h"

namespace handrail::simulator {

absl::Status WorldOptions::Validate() const {
  std::vector<std::string> faults;
  const auto need = [&faults](bool holds, absl::string_view text) {
    if (!holds) faults.emplace_back(text);
  };
  need(newcomers >= 1 && newcomers <= 1'000'000, "newcomers is not 1..1000000");
  need(days >= 1 && days <= 3650, "days is not 1..3650");
  need(supply >= 0.05 && supply <= 20, "supply is not 0.05..20");
  need(accept_share > 0 && accept_share <= 1, "accept_share is not in (0, 1]");
  need(prompt_share >= 0 && prompt_share <= 1, "prompt_share is not 0..1");
  need(trial_end_share >= 0 && trial_end_share <= 1, "trial_end_share is not 0..1");
  for (const double positive :
       {prompt_median_hours, late_median_hours, answer_sigma, away_mean_days, present_mean_days,
        patience_mean_days, hold_mean_days}) {
    need(positive > 0 && positive <= 36500, "a mean, median or deviation is not in (0, 36500]");
  }
  if (faults.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(faults, "; "));
}

double WorldOptions::MeanHoldDays() const {
  return trial_end_share * (3 + 30) / 2 + (1 - trial_end_share) * hold_mean_days;
}

World::World(const WorldOptions& options, absl::Time start, std::vector<Newcomer> newcomers,
             std::vector<Sponsor> sponsors)
    : options_(options),
      start_(start),
      newcomers_(std::move(newcomers)),
      sponsors_(std::move(sponsors)) {}

bool World::WouldAccept(size_t newcomer, size_t sponsor) const {
  return UnitOf(MixOf(options_.seed, Draw::kAccepts, {newcomer, sponsor})) <= options_.accept_share;
}

absl::Duration World::AnswerDelay(size_t newcomer, size_t sponsor, int attempt,
                                  absl::Time now) const {
  const Sponsor& who = sponsors_[sponsor];
  for (const Sponsor::Away& away : who.away) {
    if (away.from <= now && now < away.until) return absl::InfiniteDuration();
  }
  const auto number = static_cast<uint64_t>(attempt);
  const double normal =
      NormalOf(UnitOf(MixOf(options_.seed, Draw::kDelay, {newcomer, sponsor, number, 0})),
               UnitOf(MixOf(options_.seed, Draw::kDelay, {newcomer, sponsor, number, 1})));
  return absl::Hours(who.answer_median_hours * std::exp(options_.answer_sigma * normal));
}

absl::Duration World::Hold(size_t sponsor, int count) const {
  const auto number = static_cast<uint64_t>(count);
  const double part = UnitOf(MixOf(options_.seed, Draw::kHold, {sponsor, number, 0}));
  const double draw = UnitOf(MixOf(options_.seed, Draw::kHold, {sponsor, number, 1}));
  if (part <= options_.trial_end_share) return absl::Hours(24 * (3 + 27 * draw));
  return absl::Hours(24 * options_.hold_mean_days * -std::log(draw));
}

int World::SeatsOverAll(size_t sponsor) const {
  const Sponsor& who = sponsors_[sponsor];
  std::priority_queue<absl::Time, std::vector<absl::Time>, std::greater<>> free;
  for (int i = 0; i < who.capacity; ++i) {
    const auto seat = static_cast<size_t>(i);
    free.push(seat < who.first_ends.size() ? who.first_ends[seat] : start_);
  }
  int begun = 0;
  while (!free.empty() && free.top() < end()) {
    const absl::Time from = free.top();
    free.pop();
    free.push(from + Hold(sponsor, begun++));
  }
  return begun;
}

}  // namespace handrail::simulator
