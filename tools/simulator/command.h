#ifndef HANDRAIL_TOOLS_SIMULATOR_COMMAND_H_
#define HANDRAIL_TOOLS_SIMULATOR_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "tools/simulator/simulator.h"

// The command line of the simulator, for tools/simulate and for `handrail simulate`.
namespace handrail::simulator {

// What a person asked for.
struct Command {
  SimulatorOptions options;
  std::string population = "documented";
  std::string sample;  // the file that "sample" stands for
  std::string window;  // a duration, "" for production's
  std::string json;
  std::string html;
  bool quick = false;
  bool quiet = false;
};

// Adds the flags to `app`, an application or one of its subcommands. `command` must outlive it.
void AddFlags(CLI::App& app, Command& command);
// Runs what the flags say; writes the files, and the table to `print`. INVALID_ARGUMENT for wrong
// flags, NOT_FOUND and FAILED_PRECONDITION for a population that cannot be read.
absl::Status Run(Command command, const std::function<void(const std::string&)>& print,
                 const std::function<void(const std::string&)>& progress);

}  // namespace handrail::simulator

#endif  // HANDRAIL_TOOLS_SIMULATOR_COMMAND_H_
