#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/testing/temporary_directory.h"
#include "common/testing/temporary_postgres.h"
#include "tools/benchmark/machine.h"
#include "tools/benchmark/pairs_load.h"
#include "tools/benchmark/peers/ejabberd_config.h"
#include "tools/benchmark/peers/peer.h"
#include "tools/benchmark/peers/xmpp_clients.h"
#include "tools/benchmark/postgres_sql.h"
#include "tools/handrail/up/process.h"

namespace handrail::benchmark {
namespace {

constexpr int64_t kPatience = 120'000'000'000;  // nanoseconds
constexpr int64_t kPoll = 50'000'000;
constexpr char kCountArchive[] = "SELECT count(*) FROM archive";

// CPU time and fsyncs at a moment.
struct PeerUsage {
  double server = 0;
  double database = 0;
  int64_t syncs = 0;
};

class EjabberdPeer final : public Peer {
 public:
  EjabberdPeer(std::string root, int pairs) : root_(std::move(root)), pairs_(pairs) {}
  ~EjabberdPeer() override { clients_ = nullptr; }

  absl::Status Start() {
    RETURN_IF_ERROR(StartDatabase());
    RETURN_IF_ERROR(StartServer());
    XmppClients::Events events;
    events.on_acknowledged = [this](int client, const absl::Status& status) {
      PairsLoad* const load = load_;
      if (load == nullptr || client >= pairs_) return;
      if (status.ok()) ++acknowledged_;
      load->OnAcknowledged(client, status);
    };
    events.on_message = [this](int client) {
      PairsLoad* const load = load_;
      if (load != nullptr && client >= pairs_) load->OnReceived(client - pairs_);
    };
    ASSIGN_OR_RETURN(clients_, XmppClients::Connect(options_.port, 2 * pairs_, std::move(events)));
    return absl::OkStatus();
  }

  absl::Status MeasurePairs(const PairsPlan& plan, Report& report) override {
    const std::string body(static_cast<size_t>(plan.payload_bytes), 'x');
    const int64_t archived = QueryNumber(database_url_, kCountArchive);
    acknowledged_ = 0;
    PairsLoad load(pairs_, [&](int pair) { clients_->Send(pair, pair + pairs_, body); });
    load_ = &load;
    PeerUsage before;
    PeerUsage after;
    const Window window{[&] { before = TakeUsage(); }, [&] { after = TakeUsage(); }};
    const LoadResult result = load.RunFor(plan.warm_up, plan.measured, window);
    load_ = nullptr;
    if (result.failed > 0 || result.completed == 0) {
      return absl::InternalError(absl::StrCat("ejabberd failed: ", result.first_error.ToString()));
    }
    // What was acknowledged is in the archive of both, or else it was not the same that is
    // compared.
    const int64_t kept = QueryNumber(database_url_, kCountArchive) - archived;
    if (kept != 2 * acknowledged_) {
      return absl::InternalError(absl::StrCat("ejabberd archived ", kept, " rows of ",
                                              acknowledged_.load(), " acknowledged messages"));
    }
    const auto messages = static_cast<double>(result.completed);
    const auto add = [&](std::string name, double value, std::string unit) {
      report.Add({std::move(name), "-", value, std::move(unit), ""});
    };
    add("peer_ejabberd_pairs32", result.PerSecond(), "messages/s");
    add("peer_ejabberd_pairs32_p50", absl::ToDoubleMilliseconds(load.latencies().Percentile(0.5)),
        "ms");
    add("peer_ejabberd_pairs32_p99", absl::ToDoubleMilliseconds(load.latencies().Percentile(0.99)),
        "ms");
    const double server = after.server - before.server;
    const double database = after.database - before.database;
    add("cpu_per_peer_ejabberd_pairs32", 1e6 * server / messages, "us/message");
    add("cpu_with_database_per_peer_ejabberd_pairs32", 1e6 * (server + database) / messages,
        "us/message");
    add("fsyncs_per_peer_ejabberd_pairs32",
        static_cast<double>(after.syncs - before.syncs) / messages, "fsyncs/message");
    return absl::OkStatus();
  }

 private:
  absl::Status StartDatabase() {
    // An address of this process alone, so that the usual port is free whoever else is there.
    const int pid = getpid();
    options_.database_address =
        absl::StrFormat("127.%d.%d.%d", 80 + pid % 100, pid / 100 % 250, pid / 25'000 % 250 + 1);
    testing::TemporaryPostgres::Options postgres;
    postgres.settings = PostgresSettings();
    postgres.settings.push_back(
        absl::StrCat("listen_addresses = '", options_.database_address, "'"));
    ASSIGN_OR_RETURN(postgres_, testing::TemporaryPostgres::Start(postgres));
    options_.database = "bench_peer";
    ASSIGN_OR_RETURN(database_url_, postgres_->CreateDatabase(options_.database));
    const std::string schema = root_ + "/usr/share/ejabberd/sql/pg.sql";
    std::ifstream file(schema);
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    if (text.empty()) return absl::FailedPreconditionError(absl::StrCat("no ", schema));
    RETURN_IF_ERROR(RunStatements(database_url_, text));
    return RunStatements(database_url_, EjabberdAccounts(2 * pairs_));
  }

  absl::Status StartServer() {
    options_.root = root_;
    options_.folder = folder_.path();
    ASSIGN_OR_RETURN(options_.port, FreePorts(1));
    std::ofstream file(folder_.File("ejabberd.yml"));
    file << EjabberdYaml(options_);
    file.close();
    server_ = std::make_unique<tools::Process>(
        tools::Process::Options{"ejabberd", EjabberdCommand(options_), folder_.File("output.log")});
    RETURN_IF_ERROR(server_->Start());
    const int64_t give_up = SteadyNanoseconds() + kPatience;
    while (CanListen(options_.port)) {
      if (const auto ended = server_->Ended(); ended.has_value()) {
        return absl::FailedPreconditionError(absl::StrCat("ejabberd ended: ", *ended));
      }
      if (SteadyNanoseconds() > give_up) {
        return absl::FailedPreconditionError("ejabberd does not listen");
      }
      SleepUntil(SteadyNanoseconds() + kPoll);
    }
    return absl::OkStatus();
  }

  PeerUsage TakeUsage() const {
    return {CpuSeconds(server_->pid()), FamilyCpuSeconds(postgres_->pid()),
            QueryNumber(database_url_, kWalSyncs)};
  }

  const std::string root_;
  const int pairs_;
  EjabberdOptions options_;
  testing::TemporaryDirectory folder_;
  std::unique_ptr<testing::TemporaryPostgres> postgres_;
  std::string database_url_;
  std::unique_ptr<tools::Process> server_;
  std::atomic<PairsLoad*> load_{nullptr};
  std::atomic<int64_t> acknowledged_{0};
  std::unique_ptr<XmppClients> clients_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Peer>> StartEjabberd(const std::string& root, int pairs) {
  auto peer = std::make_unique<EjabberdPeer>(root, pairs);
  RETURN_IF_ERROR(peer->Start());
  return peer;
}

}  // namespace handrail::benchmark
