// handrail_bench: what the services do in a second, beside what this gRPC can do at most.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status.h"
#include "tools/benchmark/core_runs.h"
#include "tools/benchmark/crowd.h"
#include "tools/benchmark/echo_server.h"
#include "tools/benchmark/machine.h"
#include "tools/benchmark/peers/peer.h"
#include "tools/benchmark/runs.h"
#include "tools/benchmark/selection.h"

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
  std::string peer;       // "ejabberd", or empty
  std::string peer_root;  // where its packages were unpacked
  std::string echo_address;
};

// What all of a run shares.
struct Run {
  const Arguments& arguments;
  const Selection selection;
  const Plan plan;
  Report report;
  std::unique_ptr<Peer> peer;  // may be null
};

Plan PlanFor(const Arguments& arguments) {
  Plan plan;
  plan.repeats = arguments.repeats;
  if (!arguments.quick) return plan;
  plan.warm_up = absl::Milliseconds(500);
  plan.measured = absl::Milliseconds(1500);
  plan.delivery = absl::Seconds(3);
  plan.newcomers = 1500;
  plan.sponsors = 160;
  plan.conversations = 48;
  plan.memory_tickets = 1000;
  return plan;
}

// One round of everything that is repeated; a ceiling stands next to what is compared with it.
absl::Status Round(Run& run, Bench& bench, Conversations* conversations) {
  const auto measure = [&](const char* name, const auto& what) -> absl::Status {
    if (!run.selection.Wants(name)) return absl::OkStatus();
    std::cerr << "  " << name << "\n";
    return what();
  };
  bench.report.BeginRound();
  RETURN_IF_ERROR(measure("unary_echo", [&] { return MeasureUnaryEcho(bench); }));
  RETURN_IF_ERROR(measure("request_match", [&] { return MeasureRequestMatch(bench); }));
  RETURN_IF_ERROR(measure("send_unary", [&] { return conversations->MeasureSendUnary(bench); }));
  RETURN_IF_ERROR(measure("stream_echo", [&] { return MeasureStreamEcho(bench); }));
  RETURN_IF_ERROR(
      measure("send_stream", [&] { return conversations->MeasureSendStream(bench, kSendStream); }));
  RETURN_IF_ERROR(measure("send_stream_frames", [&] {
    return conversations->MeasureSendStream(bench, kSendStreamFrames);
  }));
  if (run.peer != nullptr) {
    RETURN_IF_ERROR(measure("peer_ejabberd_pairs32", [&] {
      const PairsPlan pairs{run.plan.pairs, run.plan.pairs_payload_bytes, run.plan.warm_up,
                            run.plan.measured};
      return run.peer->MeasurePairs(pairs, run.report);
    }));
  }
  RETURN_IF_ERROR(measure("send_pairs32", [&] { return conversations->MeasureSendPairs(bench); }));
  RETURN_IF_ERROR(measure("pairing_lifecycle", [&] { return MeasurePairingLifecycle(bench); }));
  return measure("delivery", [&]() -> absl::Status {
    RETURN_IF_ERROR(MeasureEchoLatency(bench));
    return conversations->MeasureDelivery(bench);
  });
}

// What leaves much behind, and so comes last: people in many conversations.
absl::Status AfterRounds(Run& run, Bench& bench, Conversations* conversations) {
  const Selection& selection = run.selection;
  const bool catch_up = selection.Wants("catch_up_5000");
  const bool reconnect = selection.Wants("reconnect_1000");
  const bool stalled = selection.Wants("stalled_readers_p99_ratio");
  if (catch_up || reconnect || stalled) {
    std::cerr << "  catch_up_5000, reconnect_1000, stalled_readers_p99_ratio\n";
    ASSIGN_OR_RETURN(const auto crowd, Crowd::Open(bench));
    for (int repeat = 0; repeat < std::min(run.plan.repeats, Crowd::kCatchUps); ++repeat) {
      bench.report.BeginRound();
      if (catch_up) RETURN_IF_ERROR(crowd->MeasureCatchUp(bench, repeat));
      if (reconnect) RETURN_IF_ERROR(crowd->MeasureReconnect(bench));
    }
    if (stalled) RETURN_IF_ERROR(crowd->MeasureStalledReaders(bench, *conversations));
  }
  return absl::OkStatus();
}

// Streamed sends again, into a deployment of its own whose table was full before it started.
absl::Status RunFilled(Run& run, const std::string& backend) {
  if (!run.selection.Wants("send_stream_1m_rows")) return absl::OkStatus();
  const Plan& plan = run.plan;
  std::cerr << backend << ": send_stream_1m_rows\n";
  ASSIGN_OR_RETURN(const auto deployment,
                   Deployment::Start(backend, [&](const tools::Layout&, const Deployment& filled) {
                     return FillMessages(filled.database_url("messaging"), plan.stored_rows,
                                         plan.pairs_payload_bytes);
                   }));
  ASSIGN_OR_RETURN(const auto people, Population::Create(deployment->endpoints(),
                                                         plan.conversations, plan.conversations));
  Bench bench{plan, *deployment, *people, run.report};
  ASSIGN_OR_RETURN(const auto conversations, Conversations::Open(bench));
  for (int repeat = 0; repeat < plan.repeats; ++repeat) {
    bench.report.BeginRound();
    RETURN_IF_ERROR(conversations->MeasureSendStream(bench, kSendStreamFilled));
  }
  return absl::OkStatus();
}

absl::Status RunRetention(Run& run, const std::string& backend) {
  if (!run.selection.Wants("retention_1m_rows")) return absl::OkStatus();
  for (int repeat = 1; repeat <= run.plan.repeats; ++repeat) {
    std::cerr << backend << ": retention_1m_rows, " << repeat << " of " << run.plan.repeats << "\n";
    run.report.BeginRound();
    RETURN_IF_ERROR(MeasureRetention(backend, run.plan, run.report));
  }
  return absl::OkStatus();
}

// Takes minutes, most of them to put the people there, so a quick run leaves it out unless asked.
absl::Status RunRebuild(Run& run, const std::string& backend) {
  const bool asked = !run.selection.everything() && run.selection.Wants("rebuild_1m");
  if (!asked && (run.arguments.quick || !run.selection.everything())) return absl::OkStatus();
  std::cerr << backend << ": rebuild_1m\n";
  run.report.BeginRound();
  return MeasureRebuild(backend, run.arguments.waiting, run.report);
}

bool WantsConversations(const Selection& selection) {
  for (const char* name : {"send_unary", "send_stream", "send_stream_frames", "send_pairs32",
                           "delivery", "stalled_readers_p99_ratio"}) {
    if (selection.Wants(name)) return true;
  }
  return false;
}

absl::Status MeasureMemory(const Selection& selection, Bench& bench) {
  bench.report.BeginRound();
  if (selection.Wants("memory")) {
    std::cerr << "  memory\n";
    RETURN_IF_ERROR(MeasureTicketMemory(bench));
  }
  if (!selection.Wants("memory") && !selection.Wants("idle_stream_kib")) return absl::OkStatus();
  std::cerr << "  idle_stream_kib\n";
  return MeasureStreamMemory(bench);
}

absl::Status RunBackend(Run& run, const std::string& backend) {
  // Those have deployments of their own; the peer alone needs one to stand beside.
  if (!run.selection.WantsBeside({"rebuild_1m", "send_stream_1m_rows", "retention_1m_rows"}))
    return absl::OkStatus();
  std::cerr << backend << ": starting the services\n";
  ASSIGN_OR_RETURN(const auto deployment, Deployment::Start(backend));
  run.report.Fact(absl::StrCat("databases of ", backend),
                  absl::StrCat("on ", FileSystemOf(deployment->database_folder())));
  if (FileSystemOf(deployment->database_folder()) == "tmpfs") {
    run.report.Note("the databases lay in memory: no figure of a write says anything");
  }
  const Plan& plan = run.plan;
  std::cerr << backend << ": " << plan.newcomers + plan.sponsors << " people register\n";
  ASSIGN_OR_RETURN(const auto people,
                   Population::Create(deployment->endpoints(), plan.newcomers, plan.sponsors));
  Bench bench{plan, *deployment, *people, run.report};
  RETURN_IF_ERROR(MeasureMemory(run.selection, bench));
  std::unique_ptr<Conversations> conversations;
  if (WantsConversations(run.selection)) {
    ASSIGN_OR_RETURN(conversations, Conversations::Open(bench));
  }
  for (int repeat = 1; repeat <= plan.repeats; ++repeat) {
    std::cerr << backend << ": round " << repeat << " of " << plan.repeats << "\n";
    RETURN_IF_ERROR(Round(run, bench, conversations.get()));
  }
  return AfterRounds(run, bench, conversations.get());
}

absl::Status RunCore(Run& run) {
  CorePlan plan;
  if (run.arguments.quick) {
    plan.turns = 40'000;
    plan.decisions = 5'000;
  }
  const auto wanted = [&](const std::string& name) { return run.selection.Wants(name); };
  if (std::none_of(std::begin(kCoreRuns), std::end(kCoreRuns), wanted)) return absl::OkStatus();
  for (int repeat = 1; repeat <= run.plan.repeats; ++repeat) {
    std::cerr << "core: round " << repeat << " of " << run.plan.repeats << "\n";
    run.report.BeginRound();
    RETURN_IF_ERROR(MeasureCore(plan, wanted, run.report));
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

absl::Status StartPeer(Run& run) {
  if (run.arguments.peer.empty() || !run.selection.Wants("peer_ejabberd_pairs32")) {
    return absl::OkStatus();
  }
  std::cerr << "ejabberd: starting\n";
  ASSIGN_OR_RETURN(run.peer, StartEjabberd(run.arguments.peer_root, run.plan.pairs));
  run.report.Fact("peer", "ejabberd with its archive on a PostgreSQL of its own");
  return absl::OkStatus();
}

int RunAll(const Arguments& arguments) {
  Run run{arguments, Selection(arguments.only), PlanFor(arguments), Report(), nullptr};
  Report& report = run.report;
  report.Fact("machine", absl::StrFormat("%d cores, %s", Cores(), CpuModel()));
  report.Fact("load before the run", absl::StrFormat("%.2f", LoadAverage()));
  if (LoadAverage() > 0.5) {
    report.Note(
        "other programs used this machine just before the run: the figures are too low, and "
        "so noisy that only their ratios say something");
  }
  bool ok = true;
  const auto end_early = [&](const std::string& what, const absl::Status& status) {
    if (status.ok()) return;
    ok = false;
    std::cerr << what << ": " << status.ToString() << "\n";
    report.Note(absl::StrCat(what, " ended early: ", status.ToString()));
  };
  end_early("core", RunCore(run));
  std::vector<std::string> backends = {"sqlite", "postgres"};
  if (arguments.backend != "all") backends = {arguments.backend};
  if (run.selection.WantsServices()) {
    end_early("ejabberd", StartPeer(run));
    for (const std::string& backend : backends) {
      for (const auto part : {RunRebuild, RunBackend, RunFilled, RunRetention}) {
        end_early(backend, part(run, backend));
      }
    }
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
                              "repeated: messaging, ",
                              absl::StrJoin(kRuns, ", "), ", ", absl::StrJoin(kCoreRuns, ", ")));
  app.add_option("--repeats", arguments.repeats, "how often; the medians count (5, quick: 1)")
      ->check(CLI::Range(1, 99));
  app.add_option("--waiting", arguments.waiting, "people in the pool of rebuild_1m")
      ->check(CLI::Range(1000, 1'000'000))
      ->capture_default_str();
  app.add_option("--json", arguments.json_path, "writes the figures there");
  app.add_option("--markdown", arguments.markdown_path,
                 "writes a table there, between the marks of that file if it has them");
  app.add_option("--peer", arguments.peer, "measures this server, too, beside send_pairs32")
      ->check(CLI::IsMember({"ejabberd"}));
  app.add_option("--peer_root", arguments.peer_root, "where the packages of the peer are unpacked");
  app.add_option("--serve_echo", arguments.echo_address)->group("");  // this program's own child
  CLI11_PARSE(app, argc, argv);
  if (!arguments.echo_address.empty()) return RunEchoServer(arguments.echo_address);
  if (arguments.repeats == 0) arguments.repeats = arguments.quick ? 1 : 5;
  return RunAll(arguments);
}

}  // namespace
}  // namespace handrail::benchmark

int main(int argc, char** argv) { return handrail::benchmark::Main(argc, argv); }
