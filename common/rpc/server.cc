#include "common/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/impl/server_builder_plugin.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/admin_server.h"
#include "common/rpc/bad_request_interceptor.h"
#include "common/rpc/socket_probe.h"

namespace handrail::rpc {
namespace {

constexpr unsigned kFileRefreshSeconds = 2;
constexpr absl::Duration kDialTimeout = absl::Seconds(1);
constexpr absl::Duration kHealthInterval = absl::Seconds(1);
// libgrpc refuses what is beyond its limit without our reason: up to so many times of what a
// request may have, it is the edge that refuses. The edge keeps nothing of it, so memory stays
// bounded by what libgrpc reads of the calls of a connection.
constexpr int kReceiveHeadroom = 4;

struct TlsFiles {
  std::string certificate;
  std::string key;
  std::string client_ca;
};

std::shared_ptr<grpc::ServerCredentials> CredentialsOf(const TlsFiles& files) {
  if (files.certificate.empty()) return grpc::InsecureServerCredentials();
  namespace experimental = grpc::experimental;
  experimental::TlsServerCredentialsOptions tls(
      std::make_shared<experimental::FileWatcherCertificateProvider>(
          files.key, files.certificate, files.client_ca, kFileRefreshSeconds));
  tls.watch_identity_key_cert_pairs();
  if (!files.client_ca.empty()) {
    tls.watch_root_certs();
    tls.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return experimental::TlsServerCredentials(tls);
}

TlsFiles FilesOf(const ServerOptions& options, Listener listener) {
  if (listener == Listener::kPublic) {
    return {options.tls_certificate_file, options.tls_key_file, options.tls_client_ca_file};
  }
  return {options.internal_certificate_file, options.internal_key_file, options.internal_ca_file};
}

// Security §1 gives the numbers and what each is against.
void Configure(const ServerOptions& options, Listener listener, grpc::ServerBuilder* builder) {
  const bool is_public = listener == Listener::kPublic;
  builder->SetMaxReceiveMessageSize(
      kReceiveHeadroom *
      (is_public ? options.edge.max_request_bytes : options.edge.internal_max_request_bytes));
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder->AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, options.max_metadata_bytes);
  // Each service keeps a few connections open and multiplexes many calls over them.
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                              is_public ? options.max_concurrent_streams : 10'000);
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 5'000);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 5 * 60'000);
  // Streams end themselves at 30 minutes ± 20 %: apps' connections outlive them.
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, is_public ? 35 * 60'000 : 30'000);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, 10 * 60'000);
  // A connection that went silent is given up before the third ping of its streams (every 20 s) is
  // due. Idle ones are not asked: nothing is held for them.
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2);
  builder->AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
}

// The library of reflection puts itself into every server that is built, because it is linked.
class NoReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments* /*arguments*/) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins,
                  [](const auto& plugin) { return plugin->name() == "proto_server_reflection"; });
  }
};

gpr_timespec DeadlineIn(absl::Duration duration) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_micros(absl::ToInt64Microseconds(duration), GPR_TIMESPAN));
}

absl::Status CheckListeners(const PolicyTable& policy, const ServerServices& services) {
  std::vector<std::string> faults;
  const auto check = [&](const RegisteredService& registered, Listener listener) {
    if (registered.service == nullptr || registered.descriptor == nullptr) {
      faults.push_back("a service without handler or descriptor");
      return;
    }
    for (int i = 0; i < registered.descriptor->method_count(); ++i) {
      const auto* method = registered.descriptor->method(i);
      const MethodRow* row = policy.Find(method->input_type());
      if (row == nullptr || row->descriptor != method || row->listener != listener) {
        faults.push_back(absl::StrCat(method->full_name(), " has no row for this listener"));
      }
    }
  };
  for (const auto& registered : services.public_services) check(registered, Listener::kPublic);
  for (const auto& registered : services.internal_services) check(registered, Listener::kInternal);
  if (faults.empty()) return absl::OkStatus();
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message(absl::StrJoin(faults, "; "));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerHost>> ServerHost::Start(const ServerOptions& options,
                                                              const PolicyTable& policy,
                                                              ServerServices services,
                                                              DrainNotifier& drain,
                                                              prometheus::Registry& registry) {
  if (const auto faults = options.Validate(); !faults.empty()) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
        .Message(absl::StrJoin(faults, "; "));
  }
  RETURN_IF_ERROR(CheckListeners(policy, services));
  SilenceLibraries();
  grpc::EnableDefaultHealthCheckService(true);
  // Before any builder is made: it takes the plugins that are known then.
  if (options.reflection) grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  std::unique_ptr<ServerHost> host(new ServerHost(options, std::move(services), drain));
  RETURN_IF_ERROR(host->Listen(Listener::kPublic));
  if (!options.internal_address.empty()) RETURN_IF_ERROR(host->Listen(Listener::kInternal));
  if (!options.admin_address.empty()) RETURN_IF_ERROR(host->StartAdmin(registry));
  host->health_ = std::make_unique<PeriodicTask>(kHealthInterval,
                                                 [host = host.get()] { host->ReportHealth(); });
  host->health_->Wake();
  return host;
}

ServerHost::ServerHost(const ServerOptions& options, ServerServices services, DrainNotifier& drain)
    : options_(options), services_(std::move(services)), drain_(drain) {}

ServerHost::~ServerHost() { Stop(); }

absl::Status ServerHost::Listen(Listener listener) {
  const bool is_public = listener == Listener::kPublic;
  const std::string& wanted = is_public ? options_.public_address : options_.internal_address;
  RETURN_IF_ERROR(PrepareUnixSocket(wanted));
  grpc::ServerBuilder builder;
  Configure(options_, listener, &builder);
  if (!options_.reflection) builder.SetOption(std::make_unique<NoReflection>());
  int port = 0;
  builder.AddListeningPort(wanted, CredentialsOf(FilesOf(options_, listener)), &port);
  for (const auto& registered :
       is_public ? services_.public_services : services_.internal_services) {
    builder.RegisterService(registered.service);
  }
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(MakeBadRequestInterceptorFactory());
  interceptors.push_back(HealthWatches::MakeFactory(health_watches_));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return Error(absl::StatusCode::kUnavailable, reason::kConfigurationInvalid)
        .Message(absl::StrCat("cannot listen on ", wanted,
                              ": it is in use, not ours, or the files ",
                              "of its TLS cannot be used"));
  }
  const std::string address =
      IsUnixAddress(wanted) ? wanted : absl::StrCat(wanted.substr(0, wanted.rfind(':')), ":", port);
  if (auto* health = server->GetHealthCheckService(); health != nullptr) {
    health->SetServingStatus(false);  // until the first ReportHealth
    for (const auto& registered :
         is_public ? services_.public_services : services_.internal_services) {
      health->SetServingStatus(registered.descriptor->full_name(), false);
    }
  }
  Log(Severity::kInfo, is_public ? "listening_public" : "listening_internal",
      {{LogField::kAddress, address}});
  (is_public ? public_address_ : internal_address_) = address;
  (is_public ? public_server_ : internal_server_) = std::move(server);
  return absl::OkStatus();
}

absl::Status ServerHost::StartAdmin(prometheus::Registry& registry) {
  AdminServer::Probes probes;
  probes.live = [this] { return CanConnect(public_address_, kDialTimeout); };
  probes.failing_checks = [this] { return FailingChecks(); };
  probes.refresh_metrics = [this] {
    for (const auto& refresh : services_.refresh_metrics) refresh();
  };
  ASSIGN_OR_RETURN(admin_, AdminServer::Start(options_.admin_address, std::move(probes), registry));
  admin_address_ = admin_->address();
  Log(Severity::kInfo, "listening_admin", {{LogField::kAddress, admin_address_}});
  return absl::OkStatus();
}

std::vector<std::string> ServerHost::FailingChecks() const {
  std::vector<std::string> failing;
  if (!ready_) failing.push_back("draining");
  for (const ReadinessCheck& check : services_.readiness) {
    if (!check.check().ok()) failing.push_back(check.name);
  }
  return failing;
}

void ServerHost::ReportHealth() {
  const bool passes = ready_ && FailingChecks().empty();  // a drain waits for no check
  MutexLock lock(health_mutex_);
  const bool serving = passes && ready_;  // a drain may have begun meanwhile
  if (serving == serving_) return;        // watchers are told of each call, changed or not
  serving_ = serving;
  for (grpc::Server* server : {public_server_.get(), internal_server_.get()}) {
    if (server != nullptr && server->GetHealthCheckService() != nullptr) {
      server->GetHealthCheckService()->SetServingStatus(serving);  // of every name
    }
  }
}

void ServerHost::WaitWhileDraining(absl::Duration duration) {
  MutexLock lock(mutex_);
  const auto end = std::chrono::steady_clock::now() + absl::ToChronoMicroseconds(duration);
  while (!stopped_) {
    const absl::Duration left = absl::FromChrono(end - std::chrono::steady_clock::now());
    if (left <= absl::ZeroDuration()) break;
    hurry_.WaitFor(mutex_, left);
  }
}

void ServerHost::Drain() {
  {
    MutexLock lock(mutex_);
    if (draining_ || stopped_) return;
    draining_ = true;
    ready_ = false;
  }
  Log(Severity::kInfo, "draining");
  ReportHealth();
  WaitWhileDraining(options_.drain_serve_on);  // load balancers notice
  drain_.Notify();
  WaitWhileDraining(options_.drain_refuse);  // clients notice
  Shutdown(options_.drain_deadline);
  Log(Severity::kInfo, "drained");
}

void ServerHost::Stop() {
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
    ready_ = false;
    hurry_.SignalAll();
  }
  drain_.Notify();
  if (health_ != nullptr) health_->Stop();
  Shutdown(absl::ZeroDuration());
  admin_.reset();
}

void ServerHost::Shutdown(absl::Duration deadline) {
  health_watches_.End();
  const gpr_timespec end = DeadlineIn(deadline);
  // Both at once: each cancels what is left only when its own time is up.
  std::thread internal([this, end] {
    if (internal_server_ != nullptr) internal_server_->Shutdown(end);
  });
  if (public_server_ != nullptr) public_server_->Shutdown(end);
  internal.join();
}

}  // namespace handrail::rpc
