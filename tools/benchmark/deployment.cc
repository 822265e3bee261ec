#include "tools/benchmark/deployment.h"

#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "tools/benchmark/echo.grpc.pb.h"
#include "tools/benchmark/load.h"
#include "tools/benchmark/machine.h"
#include "tools/benchmark/postgres_sql.h"
#include "tools/benchmark/unary_call.h"

namespace handrail::benchmark {
namespace {

constexpr int kPorts = 21;  // the supervisor's 1 to 13, and the echo server's 20
constexpr const char* kServices[] = {"profiles", "matching", "messaging"};

// gRPC 1.51 makes a queue for the callbacks of clients with the first channel that needs it and
// takes it down with the last, and sometimes frees it twice then. One channel that stays keeps it.
void KeepCallbackQueue(const std::shared_ptr<grpc::Channel>& channel) {
  static const auto* kept = new std::shared_ptr<grpc::Channel>(channel);
  grpc::ClientContext context;
  context.set_deadline(FromNow(10'000));
  const std::unique_ptr<EchoService::Stub> stub = EchoService::NewStub(*kept);
  const EchoRequest request;
  EchoResponse response;
  Mutex mutex;
  CondVar answered;
  bool done = false;
  stub->async()->Echo(&context, &request, &response, [&](const grpc::Status&) {
    MutexLock lock(mutex);
    done = true;
    answered.SignalAll();
  });
  MutexLock lock(mutex);
  while (!done) answered.Wait(mutex);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Deployment>> Deployment::Start(const std::string& backend,
                                                              const Prepare& prepare) {
  auto deployment = std::unique_ptr<Deployment>(new Deployment(backend));
  ASSIGN_OR_RETURN(const int port, FreePorts(kPorts));
  tools::UpOptions options;
  options.data_folder = deployment->folder_.File("data");
  options.port = port;
  ASSIGN_OR_RETURN(options.database_url, deployment->StartDatabase());
  // A load that stands for thousands of people comes from few addresses, and no limit that keeps a
  // flood away is part of what is measured.
  options.service_flags = {"--rate_limit_scale", "0"};
  // Nor is the probation of new sponsors: here all of them are.
  options.matching_flags = {"--probation", "0"};
  ASSIGN_OR_RETURN(const tools::Layout layout, tools::MakeLayout(options.data_folder));
  deployment->database_url_ =
      options.database_url.empty() ? layout.Database("{service}") : options.database_url;
  if (prepare) {
    RETURN_IF_ERROR(prepare(layout, *deployment));
  }
  ASSIGN_OR_RETURN(deployment->supervisor_, tools::Supervisor::Create(std::move(options)));
  RETURN_IF_ERROR(deployment->supervisor_->Start());
  storage::RedisOptions redis;
  redis.url = deployment->endpoints().redis_url;
  ASSIGN_OR_RETURN(deployment->redis_, storage::ConnectRedis(redis));
  deployment->echo_address_ = absl::StrCat("127.0.0.1:", port + kPorts - 1);
  RETURN_IF_ERROR(deployment->StartEcho());
  return deployment;
}

Deployment::~Deployment() = default;

absl::Status Deployment::StartEcho() {
  echo_ = std::make_unique<tools::Process>(tools::Process::Options{
      "echo", {"/proc/self/exe", "--serve_echo", echo_address_}, folder_.File("echo.log")});
  RETURN_IF_ERROR(echo_->Start());
  // Connections of its own: those of the deployment before, to the same port, may be waiting for
  // minutes until they try again.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto channel =
      grpc::CreateCustomChannel(echo_address_, grpc::InsecureChannelCredentials(), arguments);
  if (!channel->WaitForConnected(FromNow(10'000))) {
    return absl::UnavailableError("the echo server does not answer");
  }
  KeepCallbackQueue(channel);
  return absl::OkStatus();
}

// What the services get as --database_url; empty for SQLite in the data folder.
absl::StatusOr<std::string> Deployment::StartDatabase() {
  if (backend_ == "sqlite") return std::string();
  testing::TemporaryPostgres::Options options;
  options.settings = PostgresSettings();
  ASSIGN_OR_RETURN(postgres_, testing::TemporaryPostgres::Start(options));
  std::string url;
  for (const char* service : kServices) {
    ASSIGN_OR_RETURN(url, postgres_->CreateDatabase(absl::StrCat("bench_", service)));
  }
  return absl::StrReplaceAll(url, {{absl::StrCat("bench_", kServices[2]), "bench_{service}"}});
}

std::string Deployment::database_url(const std::string& service) const {
  return absl::StrReplaceAll(database_url_, {{"{service}", service}});
}

std::string Deployment::database_folder() const {
  return postgres_ == nullptr ? folder_.path() : postgres_->data_directory();
}

Usage Deployment::TakeUsage() const {
  Usage usage;
  std::map<std::string, int> pids = supervisor_->endpoints().pids;
  pids["echo"] = echo_->pid();
  for (const auto& [name, pid] : pids) {
    usage.cpu_seconds[name] = CpuSeconds(pid);
    usage.resident_bytes[name] = ResidentBytes(pid);
  }
  if (postgres_ != nullptr) usage.cpu_seconds["postgres"] = FamilyCpuSeconds(postgres_->pid());
  for (const auto& [service, address] : supervisor_->endpoints().admin) {
    const std::string metrics = FetchMetrics(address);
    usage.commits[service] = MetricIn(metrics, "handrail_database_commits_total");
  }
  usage.postgres_syncs = PostgresSyncs();
  const auto stats =
      redis_->Command(SystemClock().Now() + absl::Seconds(10), {"INFO", "commandstats"});
  if (stats.ok()) usage.redis_micros = CommandMicros(stats->text);
  return usage;
}

int64_t Deployment::PostgresSyncs() const {
  return postgres_ == nullptr ? -1 : QueryNumber(postgres_->url(), kWalSyncs);
}

}  // namespace handrail::benchmark
