#ifndef HANDRAIL_COMMON_TESTING_TEMPORARY_REDIS_CLUSTER_H_
#define HANDRAIL_COMMON_TESTING_TEMPORARY_REDIS_CLUSTER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/testing/temporary_redis.h"

namespace handrail::testing {

// A real Redis Cluster on 127.0.0.1, which serves all slots when the constructor returns. Failovers
// take about twice the node timeout. Errors end the process. Not thread-safe.
class TemporaryRedisCluster {
 public:
  struct Options {
    int masters = 3;
    int replicas = 0;  // of each master
    int node_timeout_ms = 1000;
    TemporaryRedis::Options node;  // tcp is always on
  };
  TemporaryRedisCluster() : TemporaryRedisCluster(Options()) {}
  explicit TemporaryRedisCluster(const Options& options);

  // redis-cluster://[user_info@]… (rediss- over TLS) with the first two nodes as seeds.
  std::string url(absl::string_view user_info = "") const;
  int size() const { return static_cast<int>(nodes_.size()); }
  // The masters first, as they were at the beginning; then their replicas in the same order.
  TemporaryRedis& node(int index) { return *nodes_[static_cast<size_t>(index)]; }
  // Of all masters. Ends the process when one does not answer.
  void FlushAll();
  std::string IdOf(int index);
  // The node that serves the slot, in the eyes of the first one that answers; -1 when nobody does.
  int OwnerOf(int slot);
  // Until every node that runs says that this one serves the slot.
  void WaitUntilOwner(int slot, int index);
  // Until every node that runs says that all slots are served, and every replica follows its
  // master.
  void WaitUntilWell();

 private:
  void Introduce();
  int OwnerInTheEyesOf(int index, int slot);

  const Options options_;
  std::vector<std::unique_ptr<TemporaryRedis>> nodes_;
  std::vector<int> bus_ports_;
};

}  // namespace handrail::testing

#endif  // HANDRAIL_COMMON_TESTING_TEMPORARY_REDIS_CLUSTER_H_
