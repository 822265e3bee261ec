// `handrail`: the command for people who try Handrail and for operators who run it. A client of the
// public API like any app.

#include <iostream>

#include "common/base/log.h"
#include "common/base/status.h"
#include "tools/handrail/commands/context.h"

namespace {

constexpr char kDescription[] =
    "Handrail pairs people who are new to recovery with experienced sponsors, and lets them talk.\n"
    "This command starts Handrail on one machine, acts as the people who use it, and looks after "
    "it.";

constexpr char kFooter[] =
    "A first tour, in two terminals:\n"
    "  handrail up                                     # starts everything; Ctrl-C stops it\n"
    "  handrail person new sam --sponsor --program aa --recovery-date 2015-03-01\n"
    "  handrail sponsor set sam --capacity 2\n"
    "  handrail person new maria --newcomer --program aa\n"
    "  handrail match request maria --program aa --relationship sponsor\n"
    "  handrail offers list sam                        # what is offered to Sam, and why\n"
    "  handrail offers accept sam\n"
    "  handrail chat send sam 'Hello, good to meet you'\n"
    "  handrail chat read maria\n"
    "  handrail status                                 # for operators\n"
    "  handrail check                                  # compares the ledgers with what must hold\n"
    "  handrail top                                    # who waits and what runs, live\n"
    "  handrail explain tickets/…                      # why does this person wait?\n"
    "\n"
    "In danger now? Call your local emergency number first. `handrail help-lines US` shows crisis\n"
    "lines, also when nothing runs.\n"
    "Exit status: 0 done, 1 refused or failed (the reason is printed), 2 wrong usage.";

}  // namespace

int main(int argc, char** argv) {
  using namespace handrail::tools;  // NOLINT: this is the program of that room
  handrail::SetLogOptions("handrail", handrail::Severity::kWarning);
  Context context;
  CLI::App app(kDescription, "handrail");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.option_defaults()->always_capture_default();
  app.add_option("--data", context.data_folder,
                 "The data folder of `handrail up`; also HANDRAIL_DATA")
      ->envname("HANDRAIL_DATA");
  app.add_option("--profiles", context.override_endpoints.profiles,
                 "Address of profiles, host:port; default: what runs on the data folder");
  app.add_option("--matching", context.override_endpoints.matching, "Address of matching");
  app.add_option("--messaging", context.override_endpoints.messaging, "Address of messaging");
  app.add_option("--ca_file", context.override_endpoints.ca_file,
                 "Speak TLS to them: PEM of the authorities to trust, such as\n"
                 "/etc/ssl/certs/ca-certificates.crt");
  app.fallthrough();
  AddUpCommand(app, context);
  AddPersonCommands(app, context);
  AddSponsorCommands(app, context);
  AddMatchCommands(app, context);
  AddOffersCommands(app, context);
  AddPairingCommands(app, context);
  AddCareCommands(app, context);
  AddHelpCommands(app, context);
  AddChatCommands(app, context);
  AddStatusCommand(app, context);
  AddCheckCommand(app, context);
  AddOperatorCommands(app, context);
  AddExplainCommand(app, context);
  AddAuditCommands(app, context);
  AddTopCommand(app, context);
  AddSimulateCommand(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const absl::Status status = context.action ? context.action() : absl::OkStatus();
  if (status.ok()) return 0;
  std::cerr << "handrail: " << status.message();
  const handrail::ErrorDetails details = handrail::DetailsOf(status);
  if (!details.reason.empty()) std::cerr << " [" << details.reason << "]";
  for (const auto& [path, description] : details.field_violations) {
    std::cerr << "\n  " << path << ": " << description;
  }
  for (const auto& [key, value] : details.metadata) std::cerr << "\n  " << key << ": " << value;
  std::cerr << "\n";
  return 1;
}
