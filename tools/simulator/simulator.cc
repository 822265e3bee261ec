#include "tools/simulator/simulator.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/macros.h"
#include "services/matching/adapters/flow_solver.h"
#include "services/matching/adapters/program_table.h"

namespace handrail::simulator {
namespace {

struct Supply {
  const char* name;
  double seats_for_one;
};
constexpr Supply kSupplies[] = {{"ample", 1.5}, {"balanced", 1.0}, {"scarce", 0.8}};
constexpr char kFcfs[] = "fcfs";

std::vector<Policy> AllPolicies(const SimulatorOptions& options) {
  matching::ChoiceOptions score_only;
  score_only.aging = 0;
  score_only.balance = 0;
  using Kind = Policy::Kind;
  return {{kFcfs, Kind::kFirstCome, {}, {}},
          {"longest_idle", Kind::kLongestIdle, {}, {}},
          {"least_loaded", Kind::kLeastLoaded, {}, {}},
          {"score_only", Kind::kChoice, score_only, {}},
          {"handrail", Kind::kChoice, options.choice, options.window},
          {"handrail_6h", Kind::kChoice, options.choice, absl::Hours(6)},
          {"batch_1h", Kind::kBatch, options.choice, absl::Hours(1)},
          {"batch_6h", Kind::kBatch, options.choice, absl::Hours(6)},
          {"batch_24h", Kind::kBatch, options.choice, absl::Hours(24)}};
}

bool Wanted(const std::vector<std::string>& chosen, absl::string_view name) {
  return chosen.empty() || std::find(chosen.begin(), chosen.end(), name) != chosen.end();
}

void CheckNames(const std::vector<std::string>& chosen, const std::vector<std::string>& known,
                absl::string_view what, std::vector<std::string>& faults) {
  for (const std::string& name : chosen) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      faults.push_back(absl::StrCat(what, " ", name, " is none of ", absl::StrJoin(known, ", ")));
    }
  }
}

absl::Status CheckOptions(const SimulatorOptions& options) {
  std::vector<std::string> faults;
  CheckNames(options.supplies, SupplyNames(), "supply", faults);
  CheckNames(options.policies, PolicyNames(), "policy", faults);
  if (const absl::Status status = options.choice.Validate(); !status.ok()) {
    faults.emplace_back(status.message());
  }
  if (options.window < absl::ZeroDuration() || options.window > absl::Hours(24 * 7)) {
    faults.push_back("the window is not 0..168h");
  }
  if (options.repeats < 1 || options.repeats > 1000) faults.push_back("repeats is not 1..1000");
  WorldOptions world;
  world.newcomers = options.newcomers;
  world.days = options.days;
  if (const absl::Status status = world.Validate(); !status.ok()) {
    faults.emplace_back(status.message());
  }
  if (faults.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(faults, "; "));
}

}  // namespace

std::vector<std::string> SupplyNames() {
  std::vector<std::string> names;
  for (const Supply& supply : kSupplies) names.emplace_back(supply.name);
  return names;
}

std::vector<std::string> PolicyNames() {
  std::vector<std::string> names;
  for (const Policy& policy : AllPolicies({})) names.push_back(policy.name);
  return names;
}

namespace {

constexpr double kCurveAging[] = {0, 0.5, 1, 2, 4, 8};
constexpr int kCurveWindowHours[] = {0, 1, 6, 24};

// What is to be played where supply is this: the table's policies, first-come-first-served first,
// then those of the curve.
std::vector<Policy> PoliciesFor(const SimulatorOptions& options, const Supply& supply,
                                size_t* in_table) {
  std::vector<Policy> policies;
  for (Policy& policy : AllPolicies(options)) {
    if (policy.name == kFcfs || Wanted(options.policies, policy.name)) {
      policies.push_back(std::move(policy));
    }
  }
  *in_table = policies.size();
  if (!options.curve || supply.seats_for_one >= 1) return policies;
  for (const double aging : kCurveAging) {
    for (const int hours : kCurveWindowHours) {
      policies.push_back({absl::StrFormat("aging %g, window %d h", aging, hours),
                          Policy::Kind::kChoice, options.choice, absl::Hours(hours)});
      policies.back().choice.aging = aging;
    }
  }
  return policies;
}

}  // namespace

absl::StatusOr<Report> RunSimulator(const SimulatorOptions& options,
                                    const std::function<void(const std::string&)>& progress) {
  RETURN_IF_ERROR(CheckOptions(options));
  Report report;
  report.options = options;
  report.population = options.meetings.empty() ? "the documented distributions"
                                               : absl::StrCat("the meetings of ", options.meetings);
  std::vector<Surroundings> surroundings = DocumentedSurroundings(options.seed);
  if (!options.meetings.empty()) {
    ASSIGN_OR_RETURN(surroundings, SurroundingsFromMeetings(options.meetings));
  }
  const matching::RuleSet rules;
  const matching::Scorer scorer;
  const matching::FlowSolver solver;
  const Engine engine{matching::BuiltInPrograms(), rules, scorer, solver, {}};
  for (const Supply& supply : kSupplies) {
    if (!Wanted(options.supplies, supply.name)) continue;
    size_t in_table = 0;
    const std::vector<Policy> policies = PoliciesFor(options, supply, &in_table);
    std::vector<std::vector<Measures>> parts(policies.size());
    for (int repeat = 0; repeat < options.repeats; ++repeat) {
      WorldOptions world_options;
      world_options.seed = options.seed + static_cast<uint64_t>(repeat);
      world_options.newcomers = options.newcomers;
      world_options.days = options.days;
      world_options.supply = supply.seats_for_one;
      const World world = World::Draw(world_options, surroundings);
      const auto eligible = FindEligible(world, rules, scorer, engine.policies);
      for (size_t i = 0; i < policies.size(); ++i) {
        const Log log = Simulate(world, eligible, policies[i], engine);
        parts[i].push_back(Measure(world, eligible, log, solver));
        progress(absl::StrFormat("supply %s, seed %d, %s", supply.name, world_options.seed,
                                 policies[i].name));
      }
    }
    const Measures fcfs = Combine(parts[0]);
    for (size_t i = 0; i < policies.size(); ++i) {
      Measures row = Combine(parts[i]);
      row.supply = supply.name;
      row.policy = policies[i].name;
      row.CompareWith(fcfs);
      if (i >= in_table) {
        report.curve.push_back(std::move(row));
      } else if (Wanted(options.policies, row.policy)) {
        report.rows.push_back(std::move(row));
      }
    }
  }
  return report;
}

}  // namespace handrail::simulator
