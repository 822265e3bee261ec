#include <iostream>
#include <memory>

#include "tools/handrail/commands/context.h"
#include "tools/simulator/command.h"

namespace handrail::tools {

void AddSimulateCommand(CLI::App& app, Context& context) {
  CLI::App* simulate = app.add_subcommand(
      "simulate", "For operators: what a policy of matching would do to fit and wait");
  simulate->footer(
      "Plays people who do not exist through the real rules, score and choice; asks no service.\n"
      "docs/simulation.md says what is drawn and what each figure means.");
  auto command = std::make_shared<simulator::Command>();
  simulator::AddFlags(*simulate, *command);
  simulate->callback([=, &context] {
    context.action = [=] {
      return simulator::Run(
          *command, [](const std::string& text) { std::cout << text; },
          [](const std::string& line) { std::cerr << line << "\n"; });
    };
  });
}

}  // namespace handrail::tools
