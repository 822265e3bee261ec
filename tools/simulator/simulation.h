#ifndef HANDRAIL_TOOLS_SIMULATOR_SIMULATION_H_
#define HANDRAIL_TOOLS_SIMULATOR_SIMULATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "services/matching/domain/assignment.h"
#include "services/matching/domain/choice.h"
#include "tools/simulator/eligibility.h"
#include "tools/simulator/world.h"

namespace handrail::simulator {

// How it is decided who is put before whom.
struct Policy {
  enum class Kind {
    kFirstCome,    // the longest waiting ticket, any sponsor with a free seat
    kLongestIdle,  // the longest waiting ticket, the sponsor who has gone longest without an offer
    kLeastLoaded,  // the longest waiting ticket, the sponsor with the smallest share of seats taken
    kChoice,       // the chooser at each event, with `window` while tickets outnumber seats
    kBatch,        // the chooser's weights, everybody at once every `window`
  };

  std::string name;
  Kind kind = Kind::kChoice;
  matching::ChoiceOptions choice;
  absl::Duration window = absl::ZeroDuration();
};

// Numbers of the real system that the simulation follows.
struct Practice {
  absl::Duration timeout_cooldown = absl::Hours(24);
  absl::Duration decline_cooldown = absl::Hours(24 * 30);
  int missed_until_pause = 3;  // offers in a row that were not answered in time
  // An auto-paused sponsor who is there again takes part from then on, at the earliest after this.
  absl::Duration pause_at_least = absl::Hours(24 * 3);
  absl::Duration attests_every = absl::Hours(24 * 25);
};

struct NewcomerOutcome {
  enum class End { kPaired, kGaveUp, kExpired };
  End end = End::kExpired;
  absl::Time end_time = absl::InfiniteFuture();
  absl::Time first_offer = absl::InfiniteFuture();
  int offers = 0;
  int32_t sponsor = -1;  // of the pairing
  double score = 0;      // of the pairing, were the sponsor idle, 0..100
};

struct SponsorOutcome {
  int pairings = 0;
  int free_at_end = 0;
  // Over the second half of the days in which newcomers ask, when the log has forgotten how it
  // began: seats held by a pairing or an offer, and seats there were, both while the sponsor took
  // part; and for how long that was.
  double load_seat_hours = 0;
  double open_seat_hours = 0;
  double hours = 0;
};

struct MadeOffer {
  absl::Time time;
  absl::Time end = absl::InfiniteFuture();  // when it was answered, timed out or was taken back
  uint32_t newcomer = 0;
  uint32_t sponsor = 0;
};

struct Log {
  std::vector<NewcomerOutcome> newcomers;
  std::vector<SponsorOutcome> sponsors;
  std::vector<MadeOffer> offers;
  int64_t broken_rules = 0;  // offers that a rule forbids; 0, or the simulation is wrong
};

// What a simulation of any world needs.
struct Engine {
  const matching::ProgramPolicies& policies;
  const matching::RuleSet& rules;
  const matching::Scorer& scorer;
  const matching::AssignmentSolver& solver;
  Practice practice;
};

// Plays the world's log under the policy. Deterministic. `eligible` is FindEligible of the world.
Log Simulate(const World& world, const std::vector<std::vector<Eligible>>& eligible,
             const Policy& policy, const Engine& engine);

}  // namespace handrail::simulator

#endif  // HANDRAIL_TOOLS_SIMULATOR_SIMULATION_H_
