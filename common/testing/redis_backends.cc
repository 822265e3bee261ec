#include "common/testing/redis_backends.h"

#include <openssl/sha.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/testing/temporary_certificates.h"
#include "common/testing/temporary_redis.h"
#include "common/testing/temporary_redis_cluster.h"
#include "common/testing/temporary_redis_sentinel.h"

namespace handrail::testing {
namespace {

constexpr char kPassword[] = "correct-horse";
constexpr char kLogin[] = "handrail:correct-horse";

int64_t CountKeys(TemporaryRedis& server) {
  const std::string answer = server.Run("DBSIZE");  // ":4"
  return answer.empty() ? -1 : std::atoll(answer.c_str() + 1);
}

class SingleBackend final : public RedisBackend {
 public:
  SingleBackend() = default;
  explicit SingleBackend(const TemporaryRedis::Options& options)
      : server_(options), url_(server_.tcp_url(kLogin)) {}

  std::string url() const override { return url_.empty() ? server_.url() : url_; }
  void FlushAll() override { server_.FlushAll(); }
  std::vector<std::string> DataUrls() override { return {server_.url()}; }
  int64_t KeyCount() override { return CountKeys(server_); }

 private:
  TemporaryRedis server_;
  const std::string url_;
};

class SentinelBackend final : public RedisBackend {
 public:
  std::string url() const override { return servers_.url(); }
  void FlushAll() override { servers_.FlushAll(); }
  std::vector<std::string> DataUrls() override { return {servers_.node(servers_.Primary()).url()}; }
  int64_t KeyCount() override { return CountKeys(servers_.node(servers_.Primary())); }

 private:
  TemporaryRedisSentinel servers_;
};

class ClusterBackend final : public RedisBackend {
 public:
  explicit ClusterBackend(std::unique_ptr<TemporaryCertificates> certificates = nullptr)
      : certificates_(std::move(certificates)), cluster_(OptionsWith(certificates_.get())) {}

  std::string url() const override {
    if (certificates_ == nullptr) return cluster_.url();
    return absl::StrCat(cluster_.url(kLogin), "?ca_file=", certificates_->authority(),
                        "&certificate_file=", certificates_->client_certificate(),
                        "&key_file=", certificates_->client_key());
  }
  void FlushAll() override { cluster_.FlushAll(); }
  std::vector<std::string> DataUrls() override {
    std::vector<std::string> urls;
    for (int i = 0; i < cluster_.size(); ++i) urls.push_back(cluster_.node(i).url());
    return urls;
  }
  int64_t KeyCount() override {
    int64_t count = 0;
    for (int i = 0; i < cluster_.size(); ++i) count += CountKeys(cluster_.node(i));
    return count;
  }

 private:
  static TemporaryRedisCluster::Options OptionsWith(const TemporaryCertificates* certificates) {
    TemporaryRedisCluster::Options options;
    if (certificates == nullptr) return options;
    options.node.tls = certificates;
    options.node.tls_asks_clients = true;
    options.node.configuration = {LeastAllowedUser(kPassword)};
    return options;
  }

  const std::unique_ptr<TemporaryCertificates> certificates_;
  TemporaryRedisCluster cluster_;
};

}  // namespace

std::vector<RedisBackendKind> AllRedisBackends() {
  return {RedisBackendKind::kSingle, RedisBackendKind::kLeastAllowed, RedisBackendKind::kSentinel,
          RedisBackendKind::kCluster, RedisBackendKind::kClusterSecure};
}

std::string NameOf(RedisBackendKind kind) {
  switch (kind) {
    case RedisBackendKind::kSingle: return "Single";
    case RedisBackendKind::kLeastAllowed: return "LeastAllowed";
    case RedisBackendKind::kSentinel: return "Sentinel";
    case RedisBackendKind::kCluster: return "Cluster";
    case RedisBackendKind::kClusterSecure: return "ClusterSecure";
  }
  return "";
}

std::string LeastAllowedUser(const std::string& password) {
  std::ifstream file("deploy/redis/handrail.acl");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("user ", 0) == 0) break;
  }
  if (line.empty()) {
    std::fprintf(stderr, "RedisBackend: deploy/redis/handrail.acl cannot be read from here\n");
    std::abort();
  }
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(password.data()), password.size(), digest);
  const std::string hex = absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), sizeof(digest)));
  return absl::StrReplaceAll(line, {{"PASSWORD_SHA256", hex}});
}

std::unique_ptr<RedisBackend> RedisBackend::Make(RedisBackendKind kind) {
  switch (kind) {
    case RedisBackendKind::kSingle: return std::make_unique<SingleBackend>();
    case RedisBackendKind::kLeastAllowed: {
      TemporaryRedis::Options options;
      options.tcp = true;
      options.configuration = {LeastAllowedUser(kPassword)};
      return std::make_unique<SingleBackend>(options);
    }
    case RedisBackendKind::kSentinel: return std::make_unique<SentinelBackend>();
    case RedisBackendKind::kCluster: return std::make_unique<ClusterBackend>();
    case RedisBackendKind::kClusterSecure:
      return std::make_unique<ClusterBackend>(std::make_unique<TemporaryCertificates>());
  }
  return nullptr;
}

}  // namespace handrail::testing
