#include "common/testing/temporary_redis_cluster.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace handrail::testing {
namespace {

constexpr int kSlots = 16384;

template <typename Condition>
void WaitFor(const char* what, const Condition& condition) {
  const auto give_up_at = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up_at) {
      std::fprintf(stderr, "TemporaryRedisCluster: %s\n", what);
      std::abort();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void MustRun(TemporaryRedis& node, const std::string& command) {
  const std::string answer = node.Run(command);
  if (answer == "+OK") return;
  std::fprintf(stderr, "TemporaryRedisCluster: %s gave %s\n", command.c_str(), answer.c_str());
  std::abort();
}

// True when a line of CLUSTER NODES names `slot` among what its node serves.
bool Serves(absl::string_view line, int slot) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
  for (size_t i = 8; i < words.size(); ++i) {
    if (absl::StartsWith(words[i], "[")) continue;  // on its way
    const std::vector<absl::string_view> ends = absl::StrSplit(words[i], '-');
    int first = 0;
    int last = 0;
    if (absl::SimpleAtoi(ends.front(), &first) && absl::SimpleAtoi(ends.back(), &last) &&
        slot >= first && slot <= last) {
      return true;
    }
  }
  return false;
}

}  // namespace

TemporaryRedisCluster::TemporaryRedisCluster(const Options& options) : options_(options) {
  const int count = options_.masters * (1 + options_.replicas);
  for (int i = 0; i < count; ++i) {
    TemporaryRedis::Options node = options_.node;
    node.tcp = true;
    bus_ports_.push_back(FreeTcpPort());
    node.configuration.push_back("cluster-enabled yes");
    node.configuration.push_back("cluster-config-file nodes.conf");
    node.configuration.push_back(absl::StrCat("cluster-port ", bus_ports_.back()));
    node.configuration.push_back(absl::StrCat("cluster-node-timeout ", options_.node_timeout_ms));
    node.configuration.push_back("repl-diskless-sync-delay 0");
    if (!node.password.empty()) node.configuration.push_back("masterauth " + node.password);
    if (node.tls != nullptr) {
      node.configuration.push_back("tls-cluster yes");
      node.configuration.push_back("tls-replication yes");
    }
    nodes_.push_back(std::make_unique<TemporaryRedis>(node));
  }
  Introduce();
  WaitUntilWell();
}

void TemporaryRedisCluster::Introduce() {
  for (int i = 0; i < options_.masters; ++i) {
    MustRun(node(i), absl::StrCat("CLUSTER ADDSLOTSRANGE ", i * kSlots / options_.masters, " ",
                                  (i + 1) * kSlots / options_.masters - 1));
  }
  for (int i = 0; i < size(); ++i) {
    MustRun(node(i), absl::StrCat("CLUSTER SET-CONFIG-EPOCH ", i + 1));
    if (i > 0) {
      MustRun(node(i), absl::StrCat("CLUSTER MEET 127.0.0.1 ", node(0).port(), " ", bus_ports_[0]));
    }
  }
  for (int i = options_.masters; i < size(); ++i) {
    const std::string replicate =
        absl::StrCat("CLUSTER REPLICATE ", IdOf((i - options_.masters) % options_.masters));
    // Refused until the two have heard of each other.
    WaitFor("a replica did not find its master", [&] { return node(i).Run(replicate) == "+OK"; });
  }
}

std::string TemporaryRedisCluster::url(absl::string_view user_info) const {
  std::vector<std::string> seeds;
  for (size_t i = 0; i < nodes_.size() && i < 2; ++i) {
    seeds.push_back(absl::StrCat("127.0.0.1:", nodes_[i]->port()));
  }
  return absl::StrCat(options_.node.tls == nullptr ? "redis-cluster://" : "rediss-cluster://",
                      user_info, user_info.empty() ? "" : "@", absl::StrJoin(seeds, ","));
}

std::string TemporaryRedisCluster::IdOf(int index) { return node(index).Ask("CLUSTER MYID"); }

int TemporaryRedisCluster::OwnerInTheEyesOf(int index, int slot) {
  const std::string text = node(index).Ask("CLUSTER NODES");
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StrContains(line, "fail") || !Serves(line, slot)) continue;
    for (int i = 0; i < size(); ++i) {
      if (absl::StrContains(line, absl::StrCat(" 127.0.0.1:", node(i).port(), "@"))) return i;
    }
  }
  return -1;
}

int TemporaryRedisCluster::OwnerOf(int slot) {
  for (int i = 0; i < size(); ++i) {
    if (node(i).pid() < 0) continue;
    if (const int owner = OwnerInTheEyesOf(i, slot); owner >= 0) return owner;
  }
  return -1;
}

void TemporaryRedisCluster::WaitUntilOwner(int slot, int index) {
  WaitFor("the nodes do not agree on who serves a slot", [&] {
    for (int i = 0; i < size(); ++i) {
      if (node(i).pid() >= 0 && OwnerInTheEyesOf(i, slot) != index) return false;
    }
    return true;
  });
}

void TemporaryRedisCluster::FlushAll() {
  for (int i = 0; i < size(); ++i) {
    if (node(i).pid() < 0) continue;
    const std::string answer = node(i).Run("FLUSHALL");
    if (answer == "+OK" || absl::StartsWith(answer, "-READONLY")) continue;
    std::fprintf(stderr, "TemporaryRedisCluster: FLUSHALL gave %s\n", answer.c_str());
    std::abort();
  }
}

void TemporaryRedisCluster::WaitUntilWell() {
  WaitFor("the cluster is not well", [this] {
    for (int i = 0; i < size(); ++i) {
      if (node(i).pid() < 0) continue;
      const std::string info = node(i).Ask("CLUSTER INFO");
      if (!absl::StrContains(info, "cluster_state:ok") ||
          !absl::StrContains(info, "cluster_slots_ok:16384") ||
          !absl::StrContains(info, absl::StrCat("cluster_known_nodes:", size()))) {
        return false;
      }
      const std::string replication = node(i).Ask("INFO replication");
      if (absl::StrContains(replication, "role:slave") &&
          !absl::StrContains(replication, "master_link_status:up")) {
        return false;
      }
    }
    return true;
  });
}

}  // namespace handrail::testing
