#ifndef HANDRAIL_COMMON_RPC_SOCKET_PROBE_H_
#define HANDRAIL_COMMON_RPC_SOCKET_PROBE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace handrail::rpc {

// Whether something takes a connection at `unix:/path` or `host:port` within `timeout`.
bool CanConnect(const std::string& address, absl::Duration timeout);

// Makes way for a listener on `unix:/path`: removes the socket that a killed predecessor left.
// UNAVAILABLE / CONFIGURATION_INVALID when something answers there, or when what stands there is no
// socket. OK, and nothing done, for other addresses.
absl::Status PrepareUnixSocket(const std::string& address);

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_SOCKET_PROBE_H_
