#include "common/rpc/main_support.h"

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/profiles_source.h"
#include "common/rpc/status_conversion.h"

namespace handrail::rpc {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitConfiguration = 2;

struct SecretFiles {
  std::string database_url;
  std::string redis_url;
};

void AddCommonFlags(CLI::App& app, CommonOptions* options, SecretFiles* files) {
  AddServerFlags(app, &options->server);
  AddFlag(app, "database_url", &options->database_url,
          "where the truth is: sqlite: or postgresql:");
  AddFlag(app, "database_url_file", &files->database_url, "a file whose first line is the URL");
  AddFlag(app, "redis_url", &options->redis_url,
          "where the queues are; docs/redis.md has the forms");
  AddFlag(app, "redis_url_file", &files->redis_url, "a file whose first line is the URL");
  AddFlag(app, "data_folder", &options->data_folder, "files and keys of the embedded default");
  AddFlag(app, "issuer", &options->issuer, "iss of the tokens");
  AddFlag(app, "audience", &options->audience, "aud of the tokens");
  AddFlag(app, "profiles_address", &options->profiles_address, "public listener of profiles");
  AddFlag(app, "profiles_internal_address", &options->profiles_internal_address,
          "internal listener of profiles");
  AddFlag(app, "matching_internal_address", &options->matching_internal_address,
          "internal listener of matching");
  AddFlag(app, "messaging_internal_address", &options->messaging_internal_address,
          "internal listener of messaging");
  AddFlag(app, "log_level", &options->log_level, "debug, info, warning, error");
}

// Secrets are mounted as files: a command line and an environment are easily seen by others.
void ReadUrl(const std::string& flag, const std::string& file, std::string* url,
             std::vector<std::string>* faults) {
  if (file.empty()) return;
  if (!url->empty()) {
    faults->push_back(absl::StrCat("--", flag, " and --", flag, "_file exclude each other"));
    return;
  }
  std::ifstream stream(file);
  std::string line;
  if (!std::getline(stream, line) || absl::StripAsciiWhitespace(line).empty()) {
    faults->push_back(absl::StrCat("--", flag, "_file: ", file, " cannot be read or is empty"));
    return;
  }
  *url = std::string(absl::StripAsciiWhitespace(line));
}

// Debian builds Abseil with its debugging aids on. One looks for cycles in the order of locks:
// every lock that libgrpc takes then costs a global one, and what looks like a cycle ends the
// process.
void LeaveLocksAlone() { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

bool ParseSeverity(absl::string_view text, Severity* severity) {
  if (text == "debug")
    *severity = Severity::kDebug;
  else if (text == "info")
    *severity = Severity::kInfo;
  else if (text == "warning")
    *severity = Severity::kWarning;
  else if (text == "error")
    *severity = Severity::kError;
  else
    return false;
  return true;
}

std::vector<std::string> Faults(const MainSpec& spec, const SecretFiles& files,
                                CommonOptions* options, Severity* severity) {
  std::vector<std::string> faults = options->server.Validate();
  ReadUrl("database_url", files.database_url, &options->database_url, &faults);
  ReadUrl("redis_url", files.redis_url, &options->redis_url, &faults);
  if (!ParseSeverity(options->log_level, severity)) {
    faults.push_back("--log_level must be debug, info, warning or error");
  }
  if (options->issuer.empty()) faults.push_back("--issuer must not be empty");
  if (options->audience.empty()) faults.push_back("--audience must not be empty");
  const auto check_address = [&faults](absl::string_view flag, absl::string_view address) {
    if (address.empty() || absl::StartsWith(address, "dns:///")) return;
    if (const std::string fault = AddressFault(address); !fault.empty()) {
      faults.push_back(absl::StrCat("--", flag, ": ", fault));
    }
  };
  check_address("profiles_address", options->profiles_address);
  check_address("profiles_internal_address", options->profiles_internal_address);
  check_address("matching_internal_address", options->matching_internal_address);
  check_address("messaging_internal_address", options->messaging_internal_address);
  if (options->profiles_address.empty() != options->profiles_internal_address.empty() &&
      spec.service != "profiles") {
    faults.push_back("--profiles_address and --profiles_internal_address come together");
  }
  if (spec.validate) {
    for (std::string& fault : spec.validate(*options)) faults.push_back(std::move(fault));
  }
  return faults;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> ChannelTo(const CommonOptions& options,
                                                         const std::string& address) {
  ClientOptions client;
  client.address = address;
  if (!IsUnixAddress(address)) {
    client.ca_file = options.server.internal_ca_file;
    client.certificate_file = options.server.internal_certificate_file;
    client.key_file = options.server.internal_key_file;
  }
  return MakeChannel(client);
}

void PrintAddresses(const MainSpec& spec, const ServerHost& host) {
  const nlohmann::json line = {{"service", spec.service},
                               {"public", host.public_address()},
                               {"internal", host.internal_address()},
                               {"admin", host.admin_address()}};
  std::cout << line.dump() << std::endl;  // flushed: whoever started us waits for it
}

absl::StatusOr<std::unique_ptr<KeyRefresher>> StartRefresher(const CommonOptions& options,
                                                             const MainSpec& spec,
                                                             const Clock& clock, KeySource& keys,
                                                             RevocationSet& revocations) {
  if (options.profiles_address.empty()) return std::unique_ptr<KeyRefresher>();
  // The signing keys are public, and the public listener of profiles has no certificate of its own
  // unless it is reached over TCP with TLS, whose authority is that of the services.
  ClientOptions client;
  client.address = options.profiles_address;
  if (!IsLocalAddress(options.profiles_address)) client.ca_file = options.server.internal_ca_file;
  ASSIGN_OR_RETURN(auto public_channel, MakeChannel(client));
  ASSIGN_OR_RETURN(auto internal_channel, ChannelTo(options, options.profiles_internal_address));
  return std::make_unique<KeyRefresher>(
      clock, ProfilesSources(std::move(public_channel), std::move(internal_channel), spec.service),
      keys, revocations);
}

absl::Status Run(const MainSpec& spec, const CommonOptions& options, SignalWaiter& signals) {
  SystemClock clock;
  SystemRandom random;
  prometheus::Registry registry;
  TimerQueue timers;
  DrainNotifier drain;
  KeySource keys(clock, options.issuer, options.audience);
  RevocationSet revocations(clock);
  TokenAuthenticator tokens(keys, revocations);
  ServiceAuthenticator services({options.server.allowed_services, options.server.trust_domain});
  EdgeOptions edge_options = options.server.edge;
  edge_options.behind_edge = options.server.behind_edge;
  ASSIGN_OR_RETURN(const std::unique_ptr<Edge> edge,
                   Edge::Create(edge_options, {clock, tokens, services, drain, registry},
                                spec.public_services, spec.internal_services));
  const MainContext context{options,  clock, random,     *edge, {timers, drain, random},
                            registry, keys,  revocations};
  ASSIGN_OR_RETURN(const std::unique_ptr<ServiceProcess> process, spec.build(context));
  ASSIGN_OR_RETURN(const std::unique_ptr<KeyRefresher> refresher,
                   StartRefresher(options, spec, clock, keys, revocations));
  ServerServices handlers = process->Services();
  handlers.readiness.push_back({"signing_keys", [&keys] {
                                  return keys.HasKeys() ? absl::OkStatus()
                                                        : absl::UnavailableError("no keys yet");
                                }});
  ASSIGN_OR_RETURN(
      const std::unique_ptr<ServerHost> host,
      ServerHost::Start(options.server, edge->policy(), std::move(handlers), drain, registry));
  const absl::Status started = process->Start();
  if (started.ok()) {
    PrintAddresses(spec, *host);
    signals.Wait();
    host->Drain();
  }
  host->Stop();
  if (refresher != nullptr) refresher->Stop();
  process->Stop();
  timers.Stop();
  return started;
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> MainContext::InternalChannel(
    const std::string& address) const {
  return ChannelTo(options, address);
}

int RunMain(int argc, char** argv, const MainSpec& spec) {
  SignalWaiter signals;
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);  // a core dump would hold keys and people's words
  LeaveLocksAlone();
  CommonOptions options;
  SecretFiles files;
  CLI::App app{spec.description, "handrail_" + spec.service};
  AddCommonFlags(app, &options, &files);
  if (spec.add_flags) spec.add_flags(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return kExitConfiguration;
  }
  Severity severity = Severity::kInfo;
  const std::vector<std::string> faults = Faults(spec, files, &options, &severity);
  SetLogOptions(spec.service, severity);
  if (!faults.empty()) {
    for (const std::string& fault : faults) std::cerr << fault << "\n";
    return kExitConfiguration;
  }
  const absl::Status status = Run(spec, options, signals);
  if (status.ok()) return 0;
  Log(Severity::kError, "not_started",
      {{LogField::kCode, CodeName(status.code())}, {LogField::kReason, ReasonOf(status)}});
  std::cerr << spec.service << " did not start: " << WithReason(status).message() << "\n";
  return ReasonOf(status) == reason::kConfigurationInvalid ? kExitConfiguration : kExitFailed;
}

}  // namespace handrail::rpc
