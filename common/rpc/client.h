#ifndef HANDRAIL_COMMON_RPC_CLIENT_H_
#define HANDRAIL_COMMON_RPC_CLIENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/random.h"

namespace handrail::rpc {

struct ClientOptions {
  // `unix:/path`, `host:port` or `dns:///host:port`; the latter spreads calls over all addresses
  // and asks the name again every few seconds.
  std::string address;
  // Empty: no TLS, which is for Unix sockets and loopback only.
  std::string ca_file;
  std::string certificate_file;  // with key_file: ours, for mTLS; both reload when they change
  std::string key_file;
  // The name to expect in the server's certificate, where it is not the host of the address.
  std::string server_name;
  int max_receive_bytes = 4 * 1024 * 1024;
};

// Connects lazily, reconnects by itself with a back-off of at most 5 s. INVALID_ARGUMENT /
// CONFIGURATION_INVALID for options that cannot work.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ClientOptions& options);

// A context for one attempt of one call. `timeout` from now.
std::unique_ptr<grpc::ClientContext> MakeContext(absl::Duration timeout);
// For calls between services: adds who we are, for peers on a Unix socket.
std::unique_ptr<grpc::ClientContext> MakeServiceContext(absl::Duration timeout,
                                                        absl::string_view service,
                                                        absl::string_view trace_id = "");
// For apps and tools: adds the member's token.
std::unique_ptr<grpc::ClientContext> MakeMemberContext(absl::Duration timeout,
                                                       absl::string_view token);

// Calls `attempt(timeout)` at most three times while it fails with UNAVAILABLE, with full jitter
// between (up to 100 ms, then 200 ms, added to what RetryInfo asks for), and never past `timeout`
// in all. Only for calls that are idempotent: reads, and writes with a request id. Blocks.
absl::Status CallWithRetry(absl::Duration timeout, Random& random,
                           const std::function<absl::Status(absl::Duration timeout)>& attempt);

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_CLIENT_H_
