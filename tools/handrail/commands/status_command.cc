#include <httplib.h>

#include <iomanip>
#include <iostream>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "tools/handrail/commands/context.h"

namespace handrail::tools {
namespace {

struct Answer {
  int status = 0;  // 0: no answer
  std::string body;
};

Answer Get(const std::string& address, const char* path) {
  httplib::Client client(absl::StrCat("http://", address));
  client.set_connection_timeout(std::chrono::seconds(1));
  client.set_read_timeout(std::chrono::seconds(3));
  const auto result = client.Get(path);
  if (!result) return {};
  return {result->status, result->body};
}

// The gauges of Handrail's own in a Prometheus text: depths, ages and counts that say how it is.
std::map<std::string, double> Gauges(const std::string& text) {
  std::map<std::string, double> gauges;
  std::string gauge;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StartsWith(line, "# TYPE ")) {
      const std::vector<std::string> words = absl::StrSplit(line, ' ');
      gauge = words.size() == 4 && words[3] == "gauge" ? words[2] : "";
      continue;
    }
    if (gauge.empty() || !absl::StartsWith(line, gauge) || !absl::StartsWith(line, "handrail_")) {
      continue;
    }
    const size_t space = line.rfind(' ');
    double value = 0;
    if (space != absl::string_view::npos && absl::SimpleAtod(line.substr(space + 1), &value)) {
      gauges[std::string(line.substr(0, space))] = value;
    }
  }
  return gauges;
}

absl::Status ShowStatus(Context& context) {
  ASSIGN_OR_RETURN(const Endpoints endpoints, context.GetEndpoints());
  bool all_ready = true;
  for (const auto& [service, address] : endpoints.admin) {
    const Answer ready = Get(address, "/readyz");
    all_ready = all_ready && ready.status == 200;
    const auto pid = endpoints.pids.find(service);
    std::cout << std::left << std::setw(11) << service
              << (ready.status == 200 ? "ready"
                  : ready.status == 0 ? "DOWN"
                                      : "NOT READY")
              << "   " << address;
    if (pid != endpoints.pids.end()) std::cout << "   process " << pid->second;
    std::cout << "\n";
    if (ready.status != 0 && ready.status != 200) std::cout << "    " << ready.body << "\n";
    for (const auto& [name, value] : Gauges(Get(address, "/metrics").body)) {
      std::cout << "    " << name << " " << value << "\n";
    }
  }
  if (all_ready) return absl::OkStatus();
  return UnavailableError(reason::kPeerUnavailable, "not everything is ready; see above");
}

}  // namespace

void AddStatusCommand(CLI::App& app, Context& context) {
  CLI::App* status =
      app.add_subcommand("status", "For operators: what runs, whether it is ready, and what waits");
  status->footer("Exit status 1 when something is down or not ready.");
  status->callback([&context] { context.action = [&context] { return ShowStatus(context); }; });
}

}  // namespace handrail::tools
