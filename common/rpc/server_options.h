#ifndef HANDRAIL_COMMON_RPC_SERVER_OPTIONS_H_
#define HANDRAIL_COMMON_RPC_SERVER_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/rpc/edge.h"

namespace CLI {
class App;
}  // namespace CLI

namespace handrail::rpc {

// How a process is reached. An address is `unix:/path` or `host:port`; port 0 takes a free one.
struct ServerOptions {
  std::string public_address = "127.0.0.1:0";
  std::string internal_address;               // empty: no internal listener
  std::string admin_address = "127.0.0.1:0";  // plain HTTP: /livez /readyz /metrics; empty: none

  // TLS of the public listener. Files are read again when they change.
  std::string tls_certificate_file;
  std::string tls_key_file;
  // With it, clients of the public listener must show a certificate of this authority.
  std::string tls_client_ca_file;
  // mTLS of the internal listener, needed when it is TCP beyond loopback.
  std::string internal_certificate_file;
  std::string internal_key_file;
  std::string internal_ca_file;
  std::string trust_domain = "handrail";
  std::vector<std::string> allowed_services = {"profiles", "matching", "messaging"};
  // A proxy of ours stands before the public listener: it may then be reached without TLS.
  bool behind_edge = false;

  EdgeOptions edge;
  int max_concurrent_streams = 100;  // a connection
  int max_metadata_bytes = 8 * 1024;
  bool reflection = false;  // development only: the descriptors are in the repository

  // After readiness is off, still serve so long, until nobody is sent here any more.
  absl::Duration drain_serve_on = absl::Seconds(5);
  // Then, still connected, answer what comes with UNAVAILABLE / DRAINING for so long, so that
  // clients leave by themselves: what arrives when the listeners close gets CANCELLED from libgrpc.
  absl::Duration drain_refuse = absl::Seconds(1);
  // Then calls and streams have so long to end.
  absl::Duration drain_deadline = absl::Seconds(20);

  // Every fault at once, each a sentence that names the flag; empty when there is none.
  std::vector<std::string> Validate() const;
};

// Adds the flags of ServerOptions, each also settable as HANDRAIL_<FLAG>.
void AddServerFlags(CLI::App& app, ServerOptions* options);

// Adds one flag `--name` that the environment variable HANDRAIL_<NAME> sets as well.
void AddFlag(CLI::App& app, const std::string& name, std::string* value, const std::string& help);
void AddFlag(CLI::App& app, const std::string& name, int* value, const std::string& help);
void AddFlag(CLI::App& app, const std::string& name, double* value, const std::string& help);
void AddFlag(CLI::App& app, const std::string& name, bool* value, const std::string& help);
// A duration such as "5s" or "250ms".
void AddFlag(CLI::App& app, const std::string& name, absl::Duration* value,
             const std::string& help);

// "unix:/path"
bool IsUnixAddress(absl::string_view address);
// A Unix socket, or a TCP address that only this machine reaches (127.0.0.0/8, [::1], localhost).
bool IsLocalAddress(absl::string_view address);
// Empty when it is well-formed, else what is wrong with it.
std::string AddressFault(absl::string_view address);

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_SERVER_OPTIONS_H_
