#ifndef HANDRAIL_COMMON_STORAGE_REDIS_TRANSPORT_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_TRANSPORT_H_

#include <sys/socket.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/storage/redis_endpoint.h"

namespace handrail::storage {

// A byte stream to one server that never blocks, plain or over TLS. Used by one thread.
class RedisTransport {
 public:
  enum class Outcome { kDone, kAgain, kFailed };
  struct Transfer {
    Outcome outcome = Outcome::kAgain;  // kFailed also when the peer has closed
    size_t bytes = 0;                   // with kDone, at least 1
  };
  virtual ~RedisTransport() = default;

  virtual int fd() const = 0;
  // Which poll(2) events to wait for. TLS may want to read in order to write.
  virtual short PollEvents(bool has_output) const = 0;
  // Goes on connecting; kAgain until the stream is usable.
  virtual Outcome Establish() = 0;
  virtual Transfer Read(char* out, size_t size) = 0;
  virtual Transfer Write(const char* data, size_t size) = 0;
  // True while there is input that poll(2) does not know of.
  virtual bool HasBufferedInput() const { return false; }
  // While Establish() gives kAgain: what does not come, for whoever gives up waiting.
  virtual absl::string_view Missing() const { return "no connection in time"; }
  // After kFailed: why, without data. Fit for errors.
  virtual std::string Failure() const = 0;
};

struct RedisAddress {
  sockaddr_storage storage = {};
  socklen_t length = 0;
  std::string host;  // as it was named, for the check of the certificate
  std::string text;  // RedisEndpoint::Address()
};

// All addresses of an endpoint, in the resolver's order. Blocks on DNS when the host is a name.
// Empty when the name is not known.
std::vector<RedisAddress> ResolveRedisAddresses(const RedisEndpoint& endpoint);
// True when ResolveRedisAddresses does not block: a Unix socket or a literal address.
bool IsLiteral(const RedisEndpoint& endpoint);

// A socket with its connect(2) begun, over TLS if `access` says so. UNAVAILABLE when it fails at
// once.
absl::StatusOr<std::unique_ptr<RedisTransport>> BeginRedisTransport(const RedisAddress& address,
                                                                    const RedisAccess& access);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_TRANSPORT_H_
