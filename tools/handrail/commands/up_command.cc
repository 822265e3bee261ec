#include <signal.h>

#include <csignal>
#include <iostream>
#include <memory>

#include "common/base/status.h"
#include "tools/handrail/commands/context.h"
#include "tools/handrail/up/supervisor.h"

namespace handrail::tools {
namespace {

volatile std::sig_atomic_t stop_requested = 0;

void RequestStop(int) { stop_requested = 1; }

absl::Status RunUp(const UpOptions& options) {
  struct sigaction action = {};
  action.sa_handler = RequestStop;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  ASSIGN_OR_RETURN(std::unique_ptr<Supervisor> supervisor, Supervisor::Create(options));
  std::cout << "Starting Handrail on " << supervisor->layout().root << " …" << std::endl;
  RETURN_IF_ERROR(supervisor->Start());
  const Endpoints& endpoints = supervisor->endpoints();
  std::cout
      << "Ready.\n"
      << "  profiles   " << endpoints.profiles << "   admin http://"
      << endpoints.admin.at("profiles") << "/readyz\n"
      << "  matching   " << endpoints.matching << "   admin http://"
      << endpoints.admin.at("matching") << "/readyz\n"
      << "  messaging  " << endpoints.messaging << "   admin http://"
      << endpoints.admin.at("messaging") << "/readyz\n"
      << "  redis      " << endpoints.redis_url << "\n"
      << "  ledgers    " << supervisor->layout().root << "/db   (back these up)\n"
      << "  keys       " << supervisor->layout().Keys()
      << "   (and these, elsewhere: without them the ledgers cannot be read)\n"
      << "  logs       " << supervisor->layout().root << "/log\n"
      << "What people send each other is stored as the bytes their app sends; this server does\n"
      << "not encrypt it. Ctrl-C stops everything; nothing is lost." << std::endl;
  supervisor->Run([] { return stop_requested != 0; });
  std::cout << "Stopping …" << std::endl;
  supervisor->Stop();
  std::cout << "Stopped." << std::endl;
  return absl::OkStatus();
}

}  // namespace

void AddUpCommand(CLI::App& app, Context& context) {
  auto options = std::make_shared<UpOptions>();
  CLI::App* up = app.add_subcommand(
      "up", "Starts the three services, a private Redis and SQLite ledgers in the data folder");
  up->footer(
      "Everything listens on 127.0.0.1 only. Ctrl-C or SIGTERM stops it in order; a process that "
      "ends by\n"
      "itself is started again. Start it on the same folder and everything is still there.");
  up->add_option("--port", options->port,
                 "Base port: profiles +1, matching +2, messaging +3; admin +11, +12, +13")
      ->check(CLI::Range(1, 65000));
  up->add_option("--binaries", options->binary_folder,
                 "Where the service programs are; default: beside this one");
  up->add_option(
      "--database_url", options->database_url,
      "Use PostgreSQL: a URL with {service} where the database name differs; default: SQLite "
      "in the data folder");
  up->add_option("--service_flag", options->service_flags,
                 "A flag for every service, such as --service_flag=--log_level=debug");
  up->callback([options, &context] {
    options->data_folder = context.data_folder;
    context.action = [options] { return RunUp(*options); };
  });
}

}  // namespace handrail::tools
