#include "common/testing/temporary_redis_sentinel.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace handrail::testing {
namespace {

[[noreturn]] void Die(absl::string_view what) {
  std::fprintf(stderr, "TemporaryRedisSentinel: %s\n", std::string(what).c_str());
  std::abort();
}

}  // namespace

TemporaryRedisSentinel::TemporaryRedisSentinel(const Options& options) : options_(options) {
  TemporaryRedis::Options node = options_.node;
  node.tcp = true;
  node.configuration.push_back("repl-diskless-sync-delay 0");
  if (node.tls != nullptr) node.configuration.push_back("tls-replication yes");
  if (!node.password.empty()) node.configuration.push_back("masterauth " + node.password);
  nodes_.push_back(std::make_unique<TemporaryRedis>(node));
  node.configuration.push_back(absl::StrCat("replicaof 127.0.0.1 ", nodes_[0]->port()));
  nodes_.push_back(std::make_unique<TemporaryRedis>(node));
  const auto about = [](absl::string_view option, auto value) {
    return absl::StrCat("sentinel ", option, " ", TemporaryRedisSentinel::kName, " ", value);
  };
  for (int i = 0; i < 3; ++i) {
    TemporaryRedis::Options sentinel;
    sentinel.tcp = true;
    sentinel.sentinel = true;
    sentinel.tls = options_.node.tls;
    sentinel.password = options_.sentinel_password;
    sentinel.configuration = {
        about("monitor", absl::StrCat("127.0.0.1 ", nodes_[0]->port(), " 2")),
        about("down-after-milliseconds", 500),
        about("failover-timeout", 3000),
    };
    if (sentinel.tls != nullptr) sentinel.configuration.push_back("tls-replication yes");
    if (!options_.node.password.empty()) {
      sentinel.configuration.push_back(about("auth-pass", options_.node.password));
    }
    if (!options_.sentinel_password.empty()) {
      sentinel.configuration.push_back("sentinel sentinel-pass " + options_.sentinel_password);
    }
    sentinels_.push_back(std::make_unique<TemporaryRedis>(sentinel));
  }
  WaitUntilWell();
}

std::string TemporaryRedisSentinel::url(absl::string_view user_info) const {
  std::vector<std::string> hosts;
  for (const auto& sentinel : sentinels_) {
    hosts.push_back(absl::StrCat("127.0.0.1:", sentinel->port()));
  }
  return absl::StrCat(options_.node.tls == nullptr ? "redis+sentinel://" : "rediss+sentinel://",
                      user_info, user_info.empty() ? "" : "@", absl::StrJoin(hosts, ","), "/",
                      kName);
}

int TemporaryRedisSentinel::Primary() {
  for (int i = 0; i < 2; ++i) {
    if (node(i).pid() > 0 && absl::StrContains(node(i).Ask("INFO replication"), "role:master")) {
      return i;
    }
  }
  return -1;
}

void TemporaryRedisSentinel::FlushAll() {
  const int primary = Primary();
  if (primary < 0 || node(primary).Run("FLUSHALL") != "+OK") Die("there is no primary to flush");
}

void TemporaryRedisSentinel::WaitUntilWell() {
  const std::string expected = absl::StrCat("name=", kName, ",status=ok,address=127.0.0.1:");
  const auto give_up_at = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (true) {
    int well = 0;
    for (const auto& sentinel : sentinels_) {
      if (sentinel->pid() < 0) continue;
      const std::string info = sentinel->Ask("INFO sentinel");
      if (absl::StrContains(info, expected) && absl::StrContains(info, "slaves=1,sentinels=3")) {
        ++well;
      }
    }
    const int primary = Primary();
    const bool followed =
        primary >= 0 &&
        (node(1 - primary).pid() < 0 ||
         absl::StrContains(node(1 - primary).Ask("INFO replication"), "master_link_status:up"));
    if (well == 3 && followed) return;
    if (std::chrono::steady_clock::now() > give_up_at) Die("the sentinels are not well");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace handrail::testing
