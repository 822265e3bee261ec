// handrail_bench: what the services do in a second, beside what this gRPC can do at most.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status.h"
#include "tools/benchmark/core_runs.h"
#include "tools/benchmark/echo_server.h"
#include "tools/benchmark/machine.h"
#include "tools/benchmark/runs.h"

namespace handrail::benchmark {
namespace {

struct Arguments {
  bool quick = false;
  std::string backend = "all";
  std::vector<std::string> only;
  int repeats = 0;  // 0: 5, or 1 when quick
  int waiting = 1'000'000;
  std::string json_path;
  std::string markdown_path;
  std::string echo_address;
};

// The measurements, by the name of their main figure. An echo runs before what is compared with it.
constexpr const char* kRuns[] = {"unary_echo",  "request_match", "send_unary",
                                 "stream_echo", "send_stream",   "pairing_lifecycle",
                                 "delivery",    "memory",        "rebuild_1m"};
// Figures of which the name does not say which measurement they come from.
struct Figure {
  const char* name;
  const char* run;
};
constexpr Figure kFigures[] = {{"create_to_offer_p99", "pairing_lifecycle"},
                               {"redis_us_per_pairing", "pairing_lifecycle"},
                               {"first_match_after_loss", "rebuild_1m"}};

bool Wanted(const Arguments& arguments, const std::string& name) {
  if (arguments.only.empty()) return true;
  const auto has = [&](const std::string& asked) {
    for (const std::string& only : arguments.only) {
      // "delivery_p99" means the run that measures it.
      if (only == asked || only.rfind(asked + "_p", 0) == 0) return true;
      for (const Figure& figure : kFigures) {
        if (only == figure.name && asked == figure.run) return true;
      }
    }
    return false;
  };
  if (name == "unary_echo" && (has("request_match") || has("send_unary"))) return true;
  if (name == "unary_echo" && has("pairing_lifecycle")) return true;
  if (name == "stream_echo" && has("send_stream")) return true;
  return has(name);
}

// Some of `only` is a run that needs services, or nothing was asked for in particular.
bool WantsServices(const Arguments& arguments) {
  return std::any_of(std::begin(kRuns), std::end(kRuns),
                     [&](const char* name) { return Wanted(arguments, name); });
}

Plan PlanFor(const Arguments& arguments) {
  Plan plan;
  if (!arguments.quick) return plan;
  plan.warm_up = absl::Milliseconds(500);
  plan.measured = absl::Milliseconds(1500);
  plan.delivery = absl::Seconds(3);
  plan.newcomers = 1500;
  plan.sponsors = 120;
  plan.conversations = 48;
  plan.memory_tickets = 1000;
  plan.memory_streams = 500;
  return plan;
}

// One round of everything that is repeated; a ceiling stands next to what is compared with it.
absl::Status Round(Bench& bench, const Arguments& arguments, Conversations* conversations) {
  const auto run = [&](const char* name, const auto& measure) -> absl::Status {
    if (!Wanted(arguments, name)) return absl::OkStatus();
    std::cerr << "  " << name << "\n";
    return measure();
  };
  bench.report.BeginRound();
  RETURN_IF_ERROR(run("unary_echo", [&] { return MeasureUnaryEcho(bench); }));
  RETURN_IF_ERROR(run("request_match", [&] { return MeasureRequestMatch(bench); }));
  RETURN_IF_ERROR(run("send_unary", [&] { return conversations->MeasureSendUnary(bench); }));
  RETURN_IF_ERROR(run("stream_echo", [&] { return MeasureStreamEcho(bench); }));
  RETURN_IF_ERROR(run("send_stream", [&] { return conversations->MeasureSendStream(bench); }));
  RETURN_IF_ERROR(run("pairing_lifecycle", [&] { return MeasurePairingLifecycle(bench); }));
  return run("delivery", [&]() -> absl::Status {
    RETURN_IF_ERROR(MeasureEchoLatency(bench));
    return conversations->MeasureDelivery(bench);
  });
}

// Takes minutes, most of them to put the people there, so a quick run leaves it out unless asked.
absl::Status RunRebuild(const Arguments& arguments, const std::string& backend, Report& report) {
  const bool asked = !arguments.only.empty() && Wanted(arguments, "rebuild_1m");
  if (!asked && (arguments.quick || !arguments.only.empty())) return absl::OkStatus();
  std::cerr << backend << ": rebuild_1m\n";
  report.BeginRound();
  return MeasureRebuild(backend, arguments.waiting, report);
}

bool OnlyRebuild(const Arguments& arguments) {
  if (arguments.only.empty()) return false;
  for (const char* run : kRuns) {
    if (std::string(run) != "rebuild_1m" && Wanted(arguments, run)) return false;
  }
  return true;
}

absl::Status RunBackend(const Arguments& arguments, const Plan& plan, const std::string& backend,
                        Report& report) {
  RETURN_IF_ERROR(RunRebuild(arguments, backend, report));
  if (OnlyRebuild(arguments)) return absl::OkStatus();
  std::cerr << backend << ": starting the services\n";
  ASSIGN_OR_RETURN(const auto deployment, Deployment::Start(backend));
  report.Fact(absl::StrCat("databases of ", backend),
              absl::StrCat("on ", FileSystemOf(deployment->database_folder())));
  if (FileSystemOf(deployment->database_folder()) == "tmpfs") {
    report.Note("the databases lay in memory: no figure of a write says anything");
  }
  std::cerr << backend << ": " << plan.newcomers + plan.sponsors << " people register\n";
  ASSIGN_OR_RETURN(const auto people,
                   Population::Create(deployment->endpoints(), plan.newcomers, plan.sponsors));
  Bench bench{plan, *deployment, *people, report};
  report.BeginRound();
  if (Wanted(arguments, "memory")) {
    std::cerr << "  memory\n";
    RETURN_IF_ERROR(MeasureTicketMemory(bench));
    RETURN_IF_ERROR(MeasureStreamMemory(bench));
  }
  std::unique_ptr<Conversations> conversations;
  if (Wanted(arguments, "send_unary") || Wanted(arguments, "send_stream") ||
      Wanted(arguments, "delivery")) {
    ASSIGN_OR_RETURN(conversations, Conversations::Open(bench));
  }
  for (int repeat = 1; repeat <= arguments.repeats; ++repeat) {
    std::cerr << backend << ": round " << repeat << " of " << arguments.repeats << "\n";
    RETURN_IF_ERROR(Round(bench, arguments, conversations.get()));
  }
  return absl::OkStatus();
}

absl::Status RunCore(const Arguments& arguments, Report& report) {
  CorePlan plan;
  if (arguments.quick) {
    plan.turns = 40'000;
    plan.decisions = 5'000;
  }
  const auto wanted = [&](const std::string& name) { return Wanted(arguments, name); };
  if (std::none_of(std::begin(kCoreRuns), std::end(kCoreRuns), wanted)) return absl::OkStatus();
  for (int repeat = 1; repeat <= arguments.repeats; ++repeat) {
    std::cerr << "core: round " << repeat << " of " << arguments.repeats << "\n";
    report.BeginRound();
    RETURN_IF_ERROR(MeasureCore(plan, wanted, report));
  }
  return absl::OkStatus();
}

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

bool WriteText(const std::string& path, const std::string& text) {
  if (path.empty()) return true;
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) std::cerr << "cannot write " << path << "\n";
  return static_cast<bool>(file);
}

int RunAll(const Arguments& arguments) {
  const Plan plan = PlanFor(arguments);
  Report report;
  report.Fact("machine", absl::StrFormat("%d cores, %s", Cores(), CpuModel()));
  report.Fact("load before the run", absl::StrFormat("%.2f", LoadAverage()));
  if (LoadAverage() > 0.5) {
    report.Note(
        "other programs used this machine just before the run: the figures are too low, and "
        "so noisy that only their ratios say something");
  }
  bool ok = true;
  if (const absl::Status status = RunCore(arguments, report); !status.ok()) {
    ok = false;
    std::cerr << "core: " << status.ToString() << "\n";
    report.Note(absl::StrCat("core ended early: ", status.ToString()));
  }
  std::vector<std::string> backends = {"sqlite", "postgres"};
  if (arguments.backend != "all") backends = {arguments.backend};
  if (!WantsServices(arguments)) backends.clear();
  for (const std::string& backend : backends) {
    const absl::Status status = RunBackend(arguments, plan, backend, report);
    if (status.ok()) continue;
    ok = false;
    std::cerr << backend << ": " << status.ToString() << "\n";
    report.Note(absl::StrCat(backend, " ended early: ", status.ToString()));
  }
  std::cout << report.Table() << std::flush;
  ok = WriteText(arguments.json_path, report.Json()) && ok;
  ok = WriteText(arguments.markdown_path,
                 PutFigures(ReadText(arguments.markdown_path), report.Markdown())) &&
       ok;
  return ok ? 0 : 1;
}

int Main(int argc, char** argv) {
  // As the services do, so that load and ceiling are no slower than they must be.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  Arguments arguments;
  CLI::App app{"Measures the services beside the bare gRPC of this machine.", "handrail_bench"};
  app.add_flag("--quick", arguments.quick, "one short repeat of everything");
  app.add_option("--backend", arguments.backend, "sqlite, postgres or all")
      ->check(CLI::IsMember({"sqlite", "postgres", "all"}))
      ->capture_default_str();
  app.add_option("--only", arguments.only,
                 absl::StrCat("one measurement, with the ceiling it is compared with; may be "
                              "repeated: ",
                              absl::StrJoin(kRuns, ", "), ", ", absl::StrJoin(kCoreRuns, ", ")));
  app.add_option("--repeats", arguments.repeats, "how often; the medians count (5, quick: 1)")
      ->check(CLI::Range(1, 99));
  app.add_option("--waiting", arguments.waiting, "people in the pool of rebuild_1m")
      ->check(CLI::Range(1000, 1'000'000))
      ->capture_default_str();
  app.add_option("--json", arguments.json_path, "writes the figures there");
  app.add_option("--markdown", arguments.markdown_path,
                 "writes a table there, between the marks of that file if it has them");
  app.add_option("--serve_echo", arguments.echo_address)->group("");  // this program's own child
  CLI11_PARSE(app, argc, argv);
  if (!arguments.echo_address.empty()) return RunEchoServer(arguments.echo_address);
  if (arguments.repeats == 0) arguments.repeats = arguments.quick ? 1 : 5;
  return RunAll(arguments);
}

}  // namespace
}  // namespace handrail::benchmark

int main(int argc, char** argv) { return handrail::benchmark::Main(argc, argv); }
