#ifndef HANDRAIL_COMMON_RPC_MAIN_SUPPORT_H_
#define HANDRAIL_COMMON_RPC_MAIN_SUPPORT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/rpc/client.h"
#include "common/rpc/edge.h"
#include "common/rpc/key_source.h"
#include "common/rpc/server.h"
#include "common/rpc/stream_writer.h"

namespace handrail::rpc {

// The flags that every service has beside its own. Target common_rpc_main.
struct CommonOptions {
  ServerOptions server;
  std::string database_url;  // --database_url, or the first line of --database_url_file
  std::string redis_url;     // --redis_url, or the first line of --redis_url_file; empty: none
  std::string data_folder;   // --data_folder: for SQLite files and keys of the embedded default
  std::string issuer = "handrail";    // --issuer of the tokens
  std::string audience = "handrail";  // --audience of the tokens
  // Where profiles publishes signing keys (public) and revocations (internal). Empty in profiles
  // itself.
  std::string profiles_address;
  std::string profiles_internal_address;
  std::string matching_internal_address;
  std::string messaging_internal_address;
  std::string log_level = "info";  // debug, info, warning, error
};

// What a service is built from. Everything outlives the service.
struct MainContext {
  const CommonOptions& options;
  Clock& clock;
  Random& random;
  Edge& edge;
  StreamEnvironment streams;
  prometheus::Registry& registry;
  // profiles puts its own keys and revocations here; in the others they are refreshed by RunMain.
  KeySource& keys;
  RevocationSet& revocations;

  // A channel to the internal listener of another service, with this service's mTLS files when the
  // address is TCP. INVALID_ARGUMENT / CONFIGURATION_INVALID for a bad address.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> InternalChannel(const std::string& address) const;
};

// A service as its main sees it: owns stores, domain, handlers and background work.
class ServiceProcess {
 public:
  virtual ~ServiceProcess() = default;
  // Handlers and readiness checks; asked once, before Start.
  virtual ServerServices Services() = 0;
  // Begins background work; the listeners are open by then.
  virtual absl::Status Start() = 0;
  // Ends background work. No call is under way any more. Then the destructor runs.
  virtual void Stop() = 0;
};

struct MainSpec {
  std::string service;      // "matching": the name in logs and to other services
  std::string description;  // for --help
  // DescriptorOf<v1::MatchingService>(), ...
  std::vector<const google::protobuf::ServiceDescriptor*> public_services;
  std::vector<const google::protobuf::ServiceDescriptor*> internal_services;
  std::function<void(CLI::App&)> add_flags;  // may be null
  // The service's own configuration faults, all at once, each naming its flag; may be null.
  std::function<std::vector<std::string>(const CommonOptions&)> validate;
  std::function<absl::StatusOr<std::unique_ptr<ServiceProcess>>(const MainContext&)> build;
};

// A whole main: flags, log, all configuration faults at once, build, listen, wait for a signal,
// drain. Prints one line of JSON on standard output once it listens:
//   {"service":"matching","public":"…","internal":"…","admin":"…"}
// Returns the exit status: 0 after a drain, 1 when it could not start or a second signal came, 2
// for configuration faults (each printed on standard error).
int RunMain(int argc, char** argv, const MainSpec& spec);

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_MAIN_SUPPORT_H_
