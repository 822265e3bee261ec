#include "tools/simulator/command.h"

#include "absl/strings/str_cat.h"
#include "common/base/macros.h"
#include "tools/handrail/client/endpoints.h"
#include "tools/simulator/report.h"

namespace handrail::simulator {
namespace {

constexpr int kQuickNewcomers = 1500;
constexpr int kQuickDays = 90;

// What stands for itself when a flag says nothing else.
void MakeQuick(const CLI::App& app, SimulatorOptions& options) {
  if (app.count("--newcomers") == 0) options.newcomers = kQuickNewcomers;
  if (app.count("--days") == 0) options.days = kQuickDays;
}

}  // namespace

void AddFlags(CLI::App& app, Command& command) {
  SimulatorOptions& options = command.options;
  app.add_option("--population", command.population,
                 "Where people come from: 'documented' (distributions of docs/simulation.md), "
                 "'sample' (a small meeting directory of our own), or a Meeting Guide or BMLT file "
                 "or a folder of them")
      ->capture_default_str();
  app.add_option("--meetings", command.population, "The same as --population FILE");
  app.add_option("--seed", options.seed, "Of all chance; the same seed gives the same report")
      ->capture_default_str();
  app.add_option("--repeats", options.repeats, "Logs of following seeds, put together")
      ->capture_default_str();
  app.add_option("--newcomers", options.newcomers, "Who ask, in each log")->capture_default_str();
  app.add_option("--days", options.days, "In which they ask")->capture_default_str();
  app.add_option("--supply", options.supplies, "ample, balanced or scarce; may be repeated (all)");
  app.add_option(
      "--policy", options.policies,
      "fcfs, longest_idle, least_loaded, score_only, handrail, handrail_6h, batch_1h, batch_6h or "
      "batch_24h; may be "
      "repeated (all)");
  app.add_option("--aging", options.choice.aging, "Weight of a full target wait, ours and batches")
      ->capture_default_str();
  app.add_option("--balance", options.choice.balance, "Weight of a full sponsor, ours and batches")
      ->capture_default_str();
  app.add_option("--window", command.window,
                 "How long our policy collects while tickets outnumber seats, such as 6h (0, as in "
                 "production, unless --window of matching says otherwise)");
  app.add_flag("--curve", options.curve, "Also our policy over aging and window, seats scarce");
  app.add_flag("--quick", command.quick, "Small logs: under 3 minutes for everything");
  app.add_option("--json", command.json, "Writes the rows as a JSON array to this file");
  app.add_option("--html", command.html, "Writes a page with charts to this file");
  app.add_flag("--quiet", command.quiet, "No table and no progress");
  app.parse_complete_callback([&app, &command] {
    if (command.quick) MakeQuick(app, command.options);
  });
}

absl::Status Run(Command command, const std::function<void(const std::string&)>& print,
                 const std::function<void(const std::string&)>& progress) {
  if (command.population == "sample") {
    command.options.meetings = command.sample;
  } else if (command.population != "documented") {
    command.options.meetings = command.population;
  }
  if (!command.window.empty() && !absl::ParseDuration(command.window == "0" ? "0s" : command.window,
                                                      &command.options.window)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--window ", command.window, " is no duration such as 6h or 90m"));
  }
  ASSIGN_OR_RETURN(const Report report, RunSimulator(command.options, [&](const std::string& line) {
                     if (!command.quiet) progress(line);
                   }));
  if (!command.json.empty()) {
    RETURN_IF_ERROR(tools::WriteFileAtomically(command.json, ToJson(report)));
  }
  if (!command.html.empty()) {
    RETURN_IF_ERROR(tools::WriteFileAtomically(command.html, ToHtml(report)));
  }
  if (!command.quiet) print(ToTable(report));
  return absl::OkStatus();
}

}  // namespace handrail::simulator
