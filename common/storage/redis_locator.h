#ifndef HANDRAIL_COMMON_STORAGE_REDIS_LOCATOR_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_LOCATOR_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/storage/redis_endpoint.h"
#include "common/storage/redis_transport.h"

namespace handrail::storage {

// Finds out, before each attempt to connect, where to connect to. Used by one thread at a time.
class RedisLocator {
 public:
  struct Found {
    std::vector<RedisAddress> addresses;  // the best first; tried in this order
    std::string why_none;                 // when there is none
  };
  virtual ~RedisLocator() = default;

  // May block on DNS and on other servers unless IsImmediate(), for about the connect timeout.
  virtual Found Locate() = 0;
  virtual bool IsImmediate() const { return false; }
  // How to log in to what was found.
  virtual const RedisAccess& access() const = 0;
  // True when a server that is found must say of itself that it is a primary.
  virtual bool WantsPrimary() const { return false; }
  // For logs before anything was found.
  virtual std::string Name() const = 0;
};

// One server, or any of several, in another order each time.
std::unique_ptr<RedisLocator> LocateAny(std::vector<RedisEndpoint> endpoints, RedisAccess access);
// The primary that the sentinels name.
std::unique_ptr<RedisLocator> LocatePrimary(RedisTarget target, absl::Duration timeout);
// Any node of a cluster: also those that are not among the seeds, once a seed has named them.
std::unique_ptr<RedisLocator> LocateClusterNode(RedisTarget target, absl::Duration timeout);
// What fits the target.
std::unique_ptr<RedisLocator> LocateTarget(RedisTarget target, absl::Duration timeout);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_LOCATOR_H_
