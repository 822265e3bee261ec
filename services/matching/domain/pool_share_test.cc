#include "services/matching/domain/pool_share.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace handrail::matching {
namespace {

std::vector<PoolKey> ManyPools() {
  std::vector<PoolKey> pools;
  for (int program = 1; program < kPhilosophyCount; ++program) {
    for (int region = 0; region < 50; ++region) {
      pools.push_back({static_cast<Philosophy>(program), absl::StrCat("US-", region)});
    }
  }
  return pools;
}

TEST(PoolShareTest, EveryPoolHasOneLeaderWhateverTheOrderOfTheList) {
  std::vector<std::string> replicas = {"a", "b", "c", "d"};
  std::map<std::string, int> led;
  for (const PoolKey& pool : ManyPools()) {
    const std::string leader = LeaderOf(pool, replicas);
    ++led[leader];
    std::reverse(replicas.begin(), replicas.end());
    EXPECT_EQ(LeaderOf(pool, replicas), leader);
  }
  // A quarter of 1,000 each, give or take a few standard deviations.
  ASSERT_EQ(led.size(), 4u);
  for (const auto& [replica, count] : led) EXPECT_NEAR(count, 250, 60) << replica;
}

TEST(PoolShareTest, WhenOneGoesOnlyItsPoolsMove) {
  const std::vector<std::string> four = {"a", "b", "c", "d"};
  const std::vector<std::string> three = {"a", "b", "d"};
  for (const PoolKey& pool : ManyPools()) {
    const std::string before = LeaderOf(pool, four);
    if (before == "c") continue;
    EXPECT_EQ(LeaderOf(pool, three), before);
  }
}

TEST(PoolShareTest, NobodyLeadsWhereNobodyIs) { EXPECT_EQ(LeaderOf(PoolKey(), {}), ""); }

}  // namespace
}  // namespace handrail::matching
