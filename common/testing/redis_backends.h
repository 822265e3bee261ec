#ifndef HANDRAIL_COMMON_TESTING_REDIS_BACKENDS_H_
#define HANDRAIL_COMMON_TESTING_REDIS_BACKENDS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace handrail::testing {

// Every way in which an operator may run Redis. A suite that is instantiated with
// AllRedisBackends() runs on each.
enum class RedisBackendKind {
  kSingle,         // one server on a Unix socket
  kLeastAllowed,   // one server, as the user of deploy/redis/handrail.acl
  kSentinel,       // a primary and a replica under three sentinels
  kCluster,        // three masters
  kClusterSecure,  // three masters over TLS with client certificates, as the user of handrail.acl
};
std::vector<RedisBackendKind> AllRedisBackends();
std::string NameOf(RedisBackendKind kind);

// The line of deploy/redis/handrail.acl for a user with this password. Ends the process when the
// file is not there: tests run in the root of the source tree.
std::string LeastAllowedUser(const std::string& password);

// A running Redis of one kind, well when it was made. Errors end the process. Not thread-safe.
class RedisBackend {
 public:
  static std::unique_ptr<RedisBackend> Make(RedisBackendKind kind);
  virtual ~RedisBackend() = default;

  // Of the deployment, with all that is needed to log in.
  virtual std::string url() const = 0;
  virtual void FlushAll() = 0;
  // Unix URLs of the servers that hold data, with all rights; a replica is not among them.
  virtual std::vector<std::string> DataUrls() = 0;
  // Keys on all of them.
  virtual int64_t KeyCount() = 0;
};

}  // namespace handrail::testing

#endif  // HANDRAIL_COMMON_TESTING_REDIS_BACKENDS_H_
