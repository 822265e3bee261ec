#ifndef HANDRAIL_TOOLS_SIMULATOR_SIMULATOR_H_
#define HANDRAIL_TOOLS_SIMULATOR_SIMULATOR_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/simulator/measures.h"

// Plays requests and sponsors of invented people through the real rules, score and choice, to see
// what a policy does to how well people fit and how long they wait.
namespace handrail::simulator {

struct SimulatorOptions {
  uint64_t seed = 1;
  int repeats = 3;       // logs of following seeds that are put together; 1..1,000
  int newcomers = 3000;  // of each log
  int days = 180;
  std::vector<std::string> supplies;  // of ample, balanced, scarce; empty means all
  std::vector<std::string> policies;  // names of PolicyNames(); empty means all
  std::string meetings;               // a file or folder of meetings; empty: documented people
  // Of our own policy and the batches, instead of production's.
  matching::ChoiceOptions choice;
  absl::Duration window = absl::ZeroDuration();
  bool curve = false;  // also our policy over aging and window, where seats are scarce
};

struct Report {
  SimulatorOptions options;
  std::string population;  // in words
  std::vector<Measures> rows;
  std::vector<Measures> curve;  // named "aging A, window W"
};

std::vector<std::string> SupplyNames();
std::vector<std::string> PolicyNames();

// Every fault of the options at once: INVALID_ARGUMENT. Errors of SurroundingsFromMeetings.
// `progress` hears a line now and then.
absl::StatusOr<Report> RunSimulator(const SimulatorOptions& options,
                                    const std::function<void(const std::string&)>& progress);

}  // namespace handrail::simulator

#endif  // HANDRAIL_TOOLS_SIMULATOR_SIMULATOR_H_
