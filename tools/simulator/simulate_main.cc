#include <CLI/CLI.hpp>
#include <iostream>

#include "tools/simulator/command.h"

int main(int argc, char** argv) {
  CLI::App app(
      "Plays requests for a sponsor through Handrail's own rules, score and choice, beside other "
      "policies, and tells how well people fit and how long they wait. docs/simulation.md says "
      "what "
      "is drawn and what each figure means.",
      "tools/simulate");
  handrail::simulator::Command command;
  command.sample = "tools/handrail/demo/sample_meetings.json";
  handrail::simulator::AddFlags(app, command);
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = handrail::simulator::Run(
      command, [](const std::string& text) { std::cout << text; },
      [](const std::string& line) { std::cerr << line << "\n"; });
  if (status.ok()) return 0;
  std::cerr << "tools/simulate: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
