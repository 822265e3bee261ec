#include "tools/handrail/up/supervisor.h"

#include <httplib.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <iostream>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "tools/handrail/client/person.h"

namespace handrail::tools {
namespace {

constexpr absl::Duration kReadyTimeout = absl::Seconds(60);
constexpr absl::Duration kStopGrace = absl::Seconds(15);
constexpr absl::Duration kMaxBackoff = absl::Seconds(5);
// A process that ran this long is taken to have been well.
constexpr absl::Duration kWellAfter = absl::Seconds(10);

const std::vector<std::string>& ServiceNames() {
  static const auto* names = new std::vector<std::string>{"profiles", "matching", "messaging"};
  return *names;
}

std::string OwnFolder() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

// The last lines of a log, for a person who wants to know why something did not start.
std::string LogTail(const std::string& path) {
  const auto text = ReadFile(path);
  if (!text.ok()) return "(no log)";
  std::vector<std::string> lines = absl::StrSplit(*text, '\n', absl::SkipEmpty());
  const size_t first = lines.size() > 8 ? lines.size() - 8 : 0;
  std::string tail;
  for (size_t i = first; i < lines.size(); ++i) absl::StrAppend(&tail, "    ", lines[i], "\n");
  return tail;
}

bool AnswersReady(const std::string& admin_port) {
  int port = 0;
  if (!absl::SimpleAtoi(admin_port, &port)) return false;
  httplib::Client client("127.0.0.1", port);
  client.set_connection_timeout(std::chrono::seconds(1));
  client.set_read_timeout(std::chrono::seconds(2));
  const auto result = client.Get("/readyz");
  return result && result->status == 200;
}

}  // namespace

Supervisor::Supervisor(UpOptions options, Layout layout, std::unique_ptr<FolderLock> lock)
    : options_(std::move(options)), layout_(std::move(layout)), lock_(std::move(lock)) {}

absl::StatusOr<std::unique_ptr<Supervisor>> Supervisor::Create(UpOptions options) {
  if (options.binary_folder.empty()) options.binary_folder = OwnFolder();
  ASSIGN_OR_RETURN(Layout layout, MakeLayout(options.data_folder));
  ASSIGN_OR_RETURN(std::unique_ptr<FolderLock> lock, FolderLock::Take(layout));
  RETURN_IF_ERROR(EnsureOperator(layout));
  auto supervisor = std::unique_ptr<Supervisor>(
      new Supervisor(std::move(options), std::move(layout), std::move(lock)));
  const std::string& redis_url = supervisor->options_.redis_url;
  if (redis_url.empty()) supervisor->AddChild("redis", supervisor->RedisCommand());
  Endpoints& endpoints = supervisor->endpoints_;
  endpoints.redis_url =
      !redis_url.empty() ? redis_url : absl::StrCat("unix://", supervisor->layout_.RedisSocket());
  int offset = 1;
  for (const std::string& service : ServiceNames()) {
    const std::string address = absl::StrCat("127.0.0.1:", supervisor->options_.port + offset);
    endpoints.admin[service] = absl::StrCat("127.0.0.1:", supervisor->options_.port + 10 + offset);
    (service == "profiles"   ? endpoints.profiles
     : service == "matching" ? endpoints.matching
                             : endpoints.messaging) = address;
    ++offset;
  }
  for (const std::string& service : ServiceNames()) {
    supervisor->AddChild(service, supervisor->ServiceCommand(service));
    supervisor->children_.back().admin_port =
        std::string(absl::StripPrefix(endpoints.admin[service], "127.0.0.1:"));
  }
  return supervisor;
}

Supervisor::~Supervisor() { Stop(); }

absl::Status Supervisor::EnsureOperator(const Layout& layout) {
  if (std::filesystem::exists(layout.OperatorsFile())) return absl::OkStatus();
  SystemRandom random;
  ASSIGN_OR_RETURN(const std::string key, EnsureDeviceKey(random, layout.PersonFile("operator")));
  return WriteFileAtomically(
      layout.OperatorsFile(),
      absl::StrCat("# <role> <members/… or the public key of a device>, one a line; the role is\n"
                   "# `operator` or `staff`. Read when profiles starts.\n"
                   "operator ",
                   key, "\n"));
}

void Supervisor::AddChild(const std::string& name, std::vector<std::string> command) {
  Child child;
  child.process =
      std::make_unique<Process>(Process::Options{name, std::move(command), layout_.Log(name)});
  children_.push_back(std::move(child));
}

std::vector<std::string> Supervisor::RedisCommand() const {
  // Nothing in this Redis needs to outlive it: it is an index, rebuilt from the ledgers.
  return {"redis-server", "--port", "0", "--unixsocket", layout_.RedisSocket(), "--unixsocketperm",
          "700", "--save", "", "--appendonly", "no", "--daemonize", "no", "--maxmemory-policy",
          "noeviction",
          // To empty it takes a moment, however much was in it.
          "--lazyfree-lazy-user-flush", "yes", "--dir", layout_.root + "/run"};
}

std::vector<std::string> Supervisor::ServiceCommand(const std::string& service) const {
  const auto internal = [this](absl::string_view name) {
    return absl::StrCat("unix:", layout_.InternalSocket(name));
  };
  const std::string& listen = service == "profiles"   ? endpoints_.profiles
                              : service == "matching" ? endpoints_.matching
                                                      : endpoints_.messaging;
  const std::string database =
      options_.database_url.empty()
          ? layout_.Database(service)
          : absl::StrReplaceAll(options_.database_url, {{"{service}", service}});
  std::vector<std::string> command = {
      absl::StrCat(options_.binary_folder, "/handrail_", service), "--public_address", listen,
      "--internal_address", internal(service), "--admin_address", endpoints_.admin.at(service),
      "--database_url", database, "--redis_url", endpoints_.redis_url, "--data_folder",
      layout_.root,
      // Nothing stands between us and the callers that would
      // need time to look elsewhere.
      "--drain_serve_on", "0s"};
  for (const std::string& other : ServiceNames()) {
    if (other == service) continue;
    command.push_back(absl::StrCat("--", other, "_internal_address"));
    command.push_back(internal(other));
  }
  if (service != "profiles") {
    command.insert(command.end(), {"--profiles_address", endpoints_.profiles});
  }
  const auto add = [&command](std::vector<std::string> flags) {
    command.insert(command.end(), flags.begin(), flags.end());
  };
  if (service == "profiles") add({"--operators_file", layout_.OperatorsFile()});
  if (service == "matching") add(options_.matching_flags);
  add(options_.service_flags);
  return command;
}

absl::Status Supervisor::Start() {
  for (Child& child : children_) {
    RETURN_IF_ERROR(child.process->Start());
    child.started_at = clock_.Now();
  }
  for (Child& child : children_) RETURN_IF_ERROR(WaitUntilReady(child));
  PublishEndpoints();
  return absl::OkStatus();
}

absl::Status Supervisor::WaitUntilReady(Child& child) {
  if (child.admin_port.empty()) return absl::OkStatus();
  const absl::Time give_up = clock_.Now() + kReadyTimeout;
  while (!AnswersReady(child.admin_port)) {
    const auto ended = child.process->Ended();
    if (ended.has_value() || clock_.Now() > give_up) {
      return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
          .Message(absl::StrCat(child.process->name(), " did not become ready",
                                ended.has_value() ? absl::StrCat(" (", *ended, ")") : std::string(),
                                ". The end of ", child.process->log_path(), ":\n",
                                LogTail(child.process->log_path())));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return absl::OkStatus();
}

void Supervisor::LookAfter(Child& child) {
  const absl::Time now = clock_.Now();
  if (child.process->running()) {
    const auto ended = child.process->Ended();
    if (!ended.has_value()) {
      if (now - child.started_at > kWellAfter) child.backoff = absl::Milliseconds(100);
      return;
    }
    child.restart_at = now + child.backoff;
    std::cerr << child.process->name() << " ended (" << *ended << "); starting it again in "
              << absl::FormatDuration(child.backoff) << ". Log: " << child.process->log_path()
              << "\n";
    child.backoff = std::min(child.backoff * 2, kMaxBackoff);
    return;
  }
  if (now < child.restart_at) return;
  const absl::Status started = child.process->Start();
  child.started_at = now;
  if (!started.ok()) {
    std::cerr << started.message() << "\n";
    child.restart_at = now + child.backoff;
    child.backoff = std::min(child.backoff * 2, kMaxBackoff);
    return;
  }
  PublishEndpoints();
}

void Supervisor::PublishEndpoints() {
  for (const Child& child : children_)
    endpoints_.pids[child.process->name()] = child.process->pid();
  endpoints_.pids["up"] = getpid();
  const absl::Status written = WriteEndpoints(layout_.root, endpoints_);
  if (!written.ok()) std::cerr << written.message() << "\n";
}

void Supervisor::Run(const std::function<bool()>& stop_requested) {
  while (!stop_requested()) {
    for (Child& child : children_) LookAfter(child);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

void Supervisor::Stop() {
  RemoveEndpoints(layout_.root);
  for (size_t i = children_.size(); i > 1; --i) children_[i - 1].process->Signal(SIGTERM);
  for (size_t i = children_.size(); i > 0; --i) children_[i - 1].process->Stop(kStopGrace);
}

}  // namespace handrail::tools
