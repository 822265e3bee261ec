#include "common/storage/redis_locator.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/storage/redis_query.h"
#include "common/storage/redis_slots.h"

namespace handrail::storage {
namespace {

constexpr size_t kMostLearned = 1000;

void Shuffle(std::vector<RedisEndpoint>& endpoints, Random& random) {
  for (size_t i = endpoints.size(); i > 1; --i) {
    std::swap(endpoints[i - 1], endpoints[random.Below(i)]);
  }
}

class AnyLocator final : public RedisLocator {
 public:
  AnyLocator(std::vector<RedisEndpoint> endpoints, RedisAccess access)
      : name_(endpoints.front().Address()),
        immediate_(std::all_of(endpoints.begin(), endpoints.end(), IsLiteral)),
        access_(std::move(access)),
        endpoints_(std::move(endpoints)) {}

  Found Locate() override {
    Found found;
    Shuffle(endpoints_, random_);
    for (const RedisEndpoint& endpoint : endpoints_) {
      for (RedisAddress& address : ResolveRedisAddresses(endpoint)) {
        found.addresses.push_back(std::move(address));
      }
    }
    if (found.addresses.empty()) found.why_none = "the host name is not known";
    return found;
  }
  bool IsImmediate() const override { return immediate_; }
  const RedisAccess& access() const override { return access_; }
  std::string Name() const override { return name_; }

 private:
  const std::string name_;
  const bool immediate_;
  const RedisAccess access_;
  SystemRandom random_;
  std::vector<RedisEndpoint> endpoints_;
};

// Asks one server after the other, the last that answered first, until one gives what is wanted.
class Asker {
 public:
  Asker(std::vector<RedisEndpoint> servers, RedisAccess access, absl::Duration timeout)
      : servers_(std::move(servers)), access_(std::move(access)), timeout_(timeout) {}

  struct Answer {
    RedisReply reply;
    RedisAddress from;
  };
  // UNAVAILABLE with the last failure when nobody answers.
  absl::StatusOr<Answer> Ask(absl::Span<const absl::string_view> command) {
    const auto now = std::chrono::steady_clock::now();
    // One that hangs shall not take the time of the others.
    const auto share = absl::ToChronoNanoseconds(
        timeout_ / static_cast<double>(std::min<size_t>(servers_.size(), 3)));
    const auto give_up_at = now + absl::ToChronoNanoseconds(timeout_);
    absl::Status failure =
        UnavailableError(reason::kRedisUnavailable, "the host names are not known");
    for (size_t i = 0; i < servers_.size(); ++i) {
      for (RedisAddress& address : ResolveRedisAddresses(servers_[i])) {
        const auto until = std::min(give_up_at, std::chrono::steady_clock::now() + share);
        auto reply = AskRedis(address, access_, command, until);
        if (reply.ok() && !reply->IsNil()) {
          std::rotate(servers_.begin(), servers_.begin() + static_cast<std::ptrdiff_t>(i),
                      servers_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
          return Answer{*std::move(reply), std::move(address)};
        }
        failure = reply.ok() ? UnavailableError(reason::kRedisUnavailable,
                                                absl::StrCat(address.text, " does not know it"))
                             : reply.status();
      }
    }
    return failure;
  }
  std::vector<RedisEndpoint>& servers() { return servers_; }
  const RedisAccess& access() const { return access_; }

 private:
  std::vector<RedisEndpoint> servers_;
  const RedisAccess access_;
  const absl::Duration timeout_;
};

class PrimaryLocator final : public RedisLocator {
 public:
  PrimaryLocator(RedisTarget target, absl::Duration timeout)
      : access_(std::move(target.access)),
        master_name_(std::move(target.master_name)),
        sentinels_(std::move(target.seeds), std::move(target.sentinel_access), timeout) {}

  Found Locate() override {
    const absl::string_view question[] = {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", master_name_};
    const auto answer = sentinels_.Ask(question);
    if (!answer.ok()) {
      return {{}, absl::StrCat("no sentinel names the primary: ", answer.status().message())};
    }
    const std::vector<RedisReply>& words = answer->reply.elements;
    if (words.size() != 2) return {{}, "a sentinel gave an answer that cannot be read"};
    const bool ipv6 = words[0].text.find(':') != std::string::npos;
    const auto endpoint =
        ParseRedisAddress(ipv6 ? absl::StrCat("[", words[0].text, "]:", words[1].text)
                               : absl::StrCat(words[0].text, ":", words[1].text));
    if (!endpoint.ok()) return {{}, "a sentinel gave an address that cannot be read"};
    Found found{ResolveRedisAddresses(*endpoint), ""};
    if (found.addresses.empty()) found.why_none = "the primary's host name is not known";
    return found;
  }
  const RedisAccess& access() const override { return access_; }
  bool WantsPrimary() const override { return true; }
  std::string Name() const override { return absl::StrCat("the primary ", master_name_); }

 private:
  const RedisAccess access_;
  const std::string master_name_;
  Asker sentinels_;
};

class ClusterNodeLocator final : public RedisLocator {
 public:
  ClusterNodeLocator(RedisTarget target, absl::Duration timeout)
      : name_(target.seeds.front().Address()),
        seeds_(target.seeds),
        nodes_(std::move(target.seeds), std::move(target.access), timeout) {}

  Found Locate() override {
    Shuffle(nodes_.servers(), random_);
    const absl::string_view question[] = {"CLUSTER", "SLOTS"};
    const auto answer = nodes_.Ask(question);
    if (!answer.ok()) {
      nodes_.servers() = seeds_;  // what was learned may be of yesterday
      return {{}, absl::StrCat("no node answers: ", answer.status().message())};
    }
    Found found;
    found.addresses.push_back(answer->from);
    if (const auto map = ParseClusterSlots(answer->reply, answer->from.host); map.ok()) {
      std::vector<RedisEndpoint> all = seeds_;
      for (const std::string& node : map->nodes) {
        if (const auto endpoint = ParseRedisAddress(node); endpoint.ok()) all.push_back(*endpoint);
      }
      if (all.size() <= kMostLearned) nodes_.servers() = std::move(all);
    }
    return found;
  }
  const RedisAccess& access() const override { return nodes_.access(); }
  std::string Name() const override { return name_; }

 private:
  const std::string name_;
  const std::vector<RedisEndpoint> seeds_;
  SystemRandom random_;
  Asker nodes_;
};

}  // namespace

std::unique_ptr<RedisLocator> LocateAny(std::vector<RedisEndpoint> endpoints, RedisAccess access) {
  return std::make_unique<AnyLocator>(std::move(endpoints), std::move(access));
}

std::unique_ptr<RedisLocator> LocatePrimary(RedisTarget target, absl::Duration timeout) {
  return std::make_unique<PrimaryLocator>(std::move(target), timeout);
}

std::unique_ptr<RedisLocator> LocateClusterNode(RedisTarget target, absl::Duration timeout) {
  return std::make_unique<ClusterNodeLocator>(std::move(target), timeout);
}

std::unique_ptr<RedisLocator> LocateTarget(RedisTarget target, absl::Duration timeout) {
  switch (target.topology) {
    case RedisTarget::Topology::kSentinel: return LocatePrimary(std::move(target), timeout);
    case RedisTarget::Topology::kCluster: return LocateClusterNode(std::move(target), timeout);
    case RedisTarget::Topology::kSingle: break;
  }
  return LocateAny(std::move(target.seeds), std::move(target.access));
}

}  // namespace handrail::storage
