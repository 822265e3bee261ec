#ifndef HANDRAIL_COMMON_TESTING_TEMPORARY_REDIS_SENTINEL_H_
#define HANDRAIL_COMMON_TESTING_TEMPORARY_REDIS_SENTINEL_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/testing/temporary_redis.h"

namespace handrail::testing {

// A primary, a replica and three sentinels that watch them, all on 127.0.0.1. A failover begins
// half a second after the primary is gone. Errors end the process. Not thread-safe.
class TemporaryRedisSentinel {
 public:
  static constexpr absl::string_view kName = "queues";
  struct Options {
    TemporaryRedis::Options node;   // of the data nodes; tcp is always on
    std::string sentinel_password;  // what sentinels ask of their clients
  };
  TemporaryRedisSentinel() : TemporaryRedisSentinel(Options()) {}
  explicit TemporaryRedisSentinel(const Options& options);

  // redis+sentinel://[user_info@]host,host,host/queues, rediss+ over TLS.
  std::string url(absl::string_view user_info = "") const;
  // The primary at the beginning, and its replica.
  TemporaryRedis& node(int index) { return *nodes_[static_cast<size_t>(index)]; }
  TemporaryRedis& sentinel(int index) { return *sentinels_[static_cast<size_t>(index)]; }
  // The index of the node that calls itself a primary and runs; -1 when there is none.
  int Primary();
  // Of the primary.
  void FlushAll();
  // Until the sentinels agree on a primary and know its replica and one another.
  void WaitUntilWell();

 private:
  const Options options_;
  std::vector<std::unique_ptr<TemporaryRedis>> nodes_;
  std::vector<std::unique_ptr<TemporaryRedis>> sentinels_;
};

}  // namespace handrail::testing

#endif  // HANDRAIL_COMMON_TESTING_TEMPORARY_REDIS_SENTINEL_H_
