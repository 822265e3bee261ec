#ifndef HANDRAIL_TESTS_SUPPORT_REDIS_WORLD_H_
#define HANDRAIL_TESTS_SUPPORT_REDIS_WORLD_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/random.h"

namespace handrail::tests {

// How the queues' Redis of a deployment is run.
enum class RedisKind {
  kSingle,    // one server, started and looked after by the supervisor
  kSentinel,  // a primary and its replica under three sentinels
  kCluster,   // three masters with a replica each
};
absl::string_view Name(RedisKind kind);

// A Redis of several servers, whose primaries can be made to fail over. Used by one thread.
class RedisWorld {
 public:
  // Null for kSingle.
  static std::unique_ptr<RedisWorld> Make(RedisKind kind);
  virtual ~RedisWorld() = default;

  // As --redis_url takes it.
  virtual std::string url() const = 0;
  // Kills a primary, waits until another server has taken its place, and starts it again as that
  // one's replica. Says what was done. DEADLINE_EXCEEDED when nobody takes its place.
  virtual absl::StatusOr<std::string> FailOver(Random& chance) = 0;
  virtual void FlushAll() = 0;
  // How many members all queues of tickets have, over all primaries.
  virtual absl::StatusOr<int64_t> CountQueued() = 0;
};

// The same for the server at `url`; 0 for a replica.
absl::StatusOr<int64_t> CountQueuedAt(const std::string& url);

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_SUPPORT_REDIS_WORLD_H_
