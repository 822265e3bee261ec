#ifndef HANDRAIL_TOOLS_HANDRAIL_COMMANDS_CONTEXT_H_
#define HANDRAIL_TOOLS_HANDRAIL_COMMANDS_CONTEXT_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "tools/handrail/client/person.h"
#include "tools/handrail/up/layout.h"

namespace handrail::tools {

// What every command of `handrail` shares: the data folder, the services of the deployment and the
// people whose keys lie in the folder.
class Context {
 public:
  std::string data_folder = "handrail-data";
  // Override what the data folder says, for a deployment that runs elsewhere.
  Endpoints override_endpoints;

  SystemClock clock;
  SystemRandom random;

  absl::StatusOr<Layout> GetLayout();
  absl::StatusOr<Endpoints> GetEndpoints();
  absl::StatusOr<Services*> GetServices();
  absl::StatusOr<std::unique_ptr<Person>> LoadPerson(const std::string& name);
  // Whoever runs the deployment: the first operator of `handrail up` is called "operator".
  absl::StatusOr<std::unique_ptr<Person>> LoadOperator(const std::string& name);

  // What the chosen command does; run by main after the command line was read.
  std::function<absl::Status()> action;

 private:
  std::unique_ptr<Services> services_;
};

// Each adds its part of the command line. The app and the context outlive the parse.
void AddUpCommand(CLI::App& app, Context& context);
void AddStatusCommand(CLI::App& app, Context& context);
void AddCheckCommand(CLI::App& app, Context& context);
// After AddOffersCommands, which it adds to.
void AddOperatorCommands(CLI::App& app, Context& context);
void AddExplainCommand(CLI::App& app, Context& context);
void AddAuditCommands(CLI::App& app, Context& context);
void AddTopCommand(CLI::App& app, Context& context);
void AddSimulateCommand(CLI::App& app, Context& context);
void AddPersonCommands(CLI::App& app, Context& context);
// Adds to `handrail person`.
void AddDeviceCommands(CLI::App& person, Context& context);
void AddSponsorCommands(CLI::App& app, Context& context);
void AddMatchCommands(CLI::App& app, Context& context);
void AddOffersCommands(CLI::App& app, Context& context);
void AddHelpCommands(CLI::App& app, Context& context);
void AddPairingCommands(CLI::App& app, Context& context);
void AddCareCommands(CLI::App& app, Context& context);
void AddChatCommands(CLI::App& app, Context& context);

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_COMMANDS_CONTEXT_H_
