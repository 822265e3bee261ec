#ifndef HANDRAIL_TOOLS_SIMULATOR_WORLD_H_
#define HANDRAIL_TOOLS_SIMULATOR_WORLD_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/matching/domain/traits.h"
#include "services/matching/domain/types.h"

// The people of a simulation and all that happens to them by chance, before any policy decides
// anything. Every distribution is described, with its basis, in docs/simulation.md.
namespace handrail::simulator {

// Where somebody lives and meets others: what languages, hours and programs are drawn from.
struct Surroundings {
  std::string place;
  std::string time_zone;  // IANA
  std::string language;   // BCP 47
  matching::Philosophy philosophy = matching::Philosophy::kTwelveStepAa;
  int iso_weekday = 1;
  int start_minute = 18 * 60;
};

// The documented distributions, 1,000 draws of them: nobody's data.
std::vector<Surroundings> DocumentedSurroundings(uint64_t seed);
// The meetings of a Meeting Guide or BMLT file, or of a folder of them. NOT_FOUND when there is
// none, FAILED_PRECONDITION when no meeting could be read.
absl::StatusOr<std::vector<Surroundings>> SurroundingsFromMeetings(const std::string& path);

struct WorldOptions {
  uint64_t seed = 1;
  int newcomers = 3000;  // who ask during the days; 1..1,000,000
  int days = 180;        // 1..3,650
  // Seats that there are for each that would be held if everybody were paired at once; under 1
  // somebody has to go without.
  double supply = 1.5;  // 0.05..20

  // How sponsors answer.
  double accept_share = 0.85;  // of the answers; a pair that once declined would decline again
  double prompt_share = 0.75;  // of the sponsors; the rest are late
  double prompt_median_hours = 3;
  double late_median_hours = 18;
  double answer_sigma = 1.0;   // of the log-normal delay
  double away_mean_days = 10;  // silent: no answer, no attestation
  double present_mean_days = 90;
  // How long newcomers stay reachable: exponential, 25 of 100 after 30 days.
  double patience_mean_days = 21.64;
  // How long a pairing holds its seat: a part ends in the trial, the rest is exponential.
  double trial_end_share = 0.25;
  double hold_mean_days = 120;

  // INVALID_ARGUMENT with every fault.
  absl::Status Validate() const;
  double MeanHoldDays() const;
};

struct Newcomer {
  std::shared_ptr<const matching::MemberTraits> traits;
  matching::Ticket ticket;  // as it is when they ask
  absl::Time give_up;       // when they cannot be reached any more
};

struct Sponsor {
  struct Away {
    absl::Time from;
    absl::Time until;
  };

  std::shared_ptr<const matching::MemberTraits> traits;
  int capacity = 1;
  double answer_median_hours = 3;
  std::vector<Away> away;              // in order
  std::vector<absl::Time> first_ends;  // of the pairings held from before
};

class World {
 public:
  // The same options and surroundings give the same world; worlds of different supply share their
  // newcomers and, as far as there are any, their sponsors. Neither may be invalid or empty.
  static World Draw(const WorldOptions& options, const std::vector<Surroundings>& surroundings);
  // People who are given, for tests.
  World(const WorldOptions& options, absl::Time start, std::vector<Newcomer> newcomers,
        std::vector<Sponsor> sponsors);

  const WorldOptions& options() const { return options_; }
  const std::vector<Newcomer>& newcomers() const { return newcomers_; }
  const std::vector<Sponsor>& sponsors() const { return sponsors_; }
  absl::Time start() const { return start_; }
  // Nobody asks after this; who still waits goes on waiting.
  absl::Time arrivals_end() const { return start_ + absl::Hours(24 * options_.days); }
  // Loads count from here on.
  absl::Time half() const { return start_ + absl::Hours(12 * options_.days); }
  // When the last ticket expires.
  absl::Time end() const { return arrivals_end() + matching::kTicketLifetime; }

  // Whether the sponsor would say yes to this newcomer, if they answered.
  bool WouldAccept(size_t newcomer, size_t sponsor) const;
  // How long the sponsor takes to answer the newcomer's offer number `attempt`; infinite when away.
  absl::Duration AnswerDelay(size_t newcomer, size_t sponsor, int attempt, absl::Time now) const;
  // How long the sponsor's pairing number `count` (from 0) of this log holds its seat.
  absl::Duration Hold(size_t sponsor, int count) const;
  // How many pairings a sponsor could begin in the log were every seat filled the moment it is
  // free: no policy can make more.
  int SeatsOverAll(size_t sponsor) const;

 private:
  WorldOptions options_;
  absl::Time start_;
  std::vector<Newcomer> newcomers_;
  std::vector<Sponsor> sponsors_;
};

}  // namespace handrail::simulator

#endif  // HANDRAIL_TOOLS_SIMULATOR_WORLD_H_
