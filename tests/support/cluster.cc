#include "tests/support/cluster.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <future>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"

namespace handrail::tests {
namespace {

constexpr std::array<const char*, 3> kServices = {"profiles", "matching", "messaging"};

bool IsFree(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  const bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return free;
}

// A base whose ports are free now. Below the range from which the kernel gives out its own.
absl::StatusOr<int> FindBasePort(Random& random) {
  for (int attempt = 0; attempt < 200; ++attempt) {
    const int base = 10000 + static_cast<int>(random.Below(1100)) * 20;
    bool free = true;
    for (const int offset : {1, 2, 3, 11, 12, 13}) free = free && IsFree(base + offset);
    if (free) return base;
  }
  return absl::ResourceExhaustedError("no free ports");
}

}  // namespace

absl::string_view Name(Backend backend) {
  return backend == Backend::kSqlite ? "sqlite" : "postgres";
}

absl::StatusOr<std::unique_ptr<Cluster>> Cluster::Start(Options options) {
  std::unique_ptr<Cluster> cluster(new Cluster(std::move(options)));
  RETURN_IF_ERROR(cluster->Launch());
  return cluster;
}

absl::Status Cluster::Launch() {
  SystemRandom random;
  up_.data_folder = folder_.path();
  ASSIGN_OR_RETURN(up_.port, FindBasePort(random));
  up_.matching_flags = options_.matching_flags;
  // Sponsors of tests have as many seats as they say, and may leave offers unanswered, unless the
  // test is about that.
  for (const char* flag : {"--probation", "--missed_offers_limit"}) {
    std::vector<std::string>& flags = up_.matching_flags;
    if (std::find(flags.begin(), flags.end(), flag) != flags.end()) continue;
    flags.insert(flags.end(), {flag, "0"});
  }
  up_.service_flags = options_.service_flags;
  if (options_.backend == Backend::kPostgres) {
    ASSIGN_OR_RETURN(postgres_, testing::TemporaryPostgres::Start());
    std::string url;
    for (const char* service : kServices) {
      ASSIGN_OR_RETURN(url, postgres_->CreateDatabase(service));
      up_.database_url = absl::StrReplaceAll(url, {{absl::StrCat("/", service), "/{service}"}});
    }
  }
  redis_world_ = RedisWorld::Make(options_.redis);
  if (redis_world_ != nullptr) up_.redis_url = redis_world_->url();
  std::promise<absl::Status> started;
  std::future<absl::Status> outcome = started.get_future();
  supervisor_thread_ = std::thread([this, started = std::move(started)]() mutable {
    auto supervisor = tools::Supervisor::Create(up_);
    absl::Status status = supervisor.status();
    if (status.ok()) status = (*supervisor)->Start();
    if (status.ok()) endpoints_ = (*supervisor)->endpoints();
    started.set_value(status);
    if (status.ok()) (*supervisor)->Run([this] { return stop_.stopped(); });
  });
  RETURN_IF_ERROR(outcome.get());
  ASSIGN_OR_RETURN(services_, tools::Services::Create(endpoints_));
  storage::RedisOptions redis;
  redis.url = endpoints_.redis_url;
  ASSIGN_OR_RETURN(redis_, storage::ConnectRedis(redis));
  return absl::OkStatus();
}

Cluster::~Cluster() {
  // A stopped process cannot drain.
  for (const char* name : {"profiles", "matching", "messaging", "redis"}) Signal(name, SIGCONT);
  stop_.Stop();
  if (supervisor_thread_.joinable()) supervisor_thread_.join();
}

pid_t Cluster::PidOf(const std::string& process) const {
  const auto endpoints = tools::ReadEndpoints(folder_.path());
  if (!endpoints.ok()) return -1;
  const auto pid = endpoints->pids.find(process);
  return pid == endpoints->pids.end() || pid->second <= 0 ? -1 : pid->second;
}

bool Cluster::Signal(const std::string& process, int signal) {
  const pid_t pid = PidOf(process);
  return pid > 0 && kill(pid, signal) == 0;
}

absl::Status Cluster::FlushRedis() {
  if (redis_world_ != nullptr) {
    redis_world_->FlushAll();
    return absl::OkStatus();
  }
  // It may have been killed a moment ago.
  const absl::Time give_up = clock_.Now() + absl::Seconds(20);
  StopSignal pause;
  while (true) {
    const absl::Status flushed =
        redis_->Command(clock_.Now() + absl::Seconds(2), {"FLUSHALL"}).status();
    if (flushed.ok() || clock_.Now() > give_up) return flushed;
    pause.Pause(absl::Milliseconds(50));
  }
}

absl::StatusOr<std::unique_ptr<storage::Database>> Cluster::OpenLedger(
    const std::string& service) const {
  storage::DatabaseOptions options;
  options.connections = 2;
  options.read_only = true;
  options.url = options_.backend == Backend::kSqlite
                    ? absl::StrCat("sqlite://", folder_.path(), "/db/", service, ".db")
                    : absl::StrReplaceAll(up_.database_url, {{"{service}", service}});
  return storage::OpenDatabase(options);
}

absl::Status Cluster::ChangeMatching(absl::string_view sql, const storage::Args& args) {
  constexpr absl::Duration kPatience = absl::Seconds(2);
  if (options_.backend == Backend::kSqlite) {
    if (change_sqlite_ == nullptr) {
      // The service alone may open it whole; one statement is safe beside it.
      const std::string path = absl::StrCat(folder_.path(), "/db/matching.db");
      ASSIGN_OR_RETURN(change_sqlite_,
                       storage::SqliteConnection::Open(
                           path, storage::SqliteConnection::Mode::kWriter, kPatience));
    }
    return change_sqlite_->Execute(sql, args).status();
  }
  if (change_postgres_ == nullptr) {
    storage::DatabaseOptions options;
    options.connections = 1;
    options.url = absl::StrReplaceAll(up_.database_url, {{"{service}", "matching"}});
    ASSIGN_OR_RETURN(change_postgres_, storage::OpenDatabase(options));
  }
  return change_postgres_->Write(
      clock_.Now() + kPatience,
      [&](storage::Transaction& tx) -> absl::Status { return tx.Execute(sql, args).status(); });
}

absl::StatusOr<int64_t> Cluster::CountQueued() {
  return redis_world_ != nullptr ? redis_world_->CountQueued()
                                 : CountQueuedAt(endpoints_.redis_url);
}

}  // namespace handrail::tests
