#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "absl/strings/match.h"
#include "common/base/status.h"
#include "common/testing/temporary_redis_cluster.h"
#include "common/testing/temporary_redis_sentinel.h"
#include "services/matching/adapters/engine_test_env.h"

// The engine goes on pairing while the server of its queues dies and another takes its place.
namespace handrail::matching {
namespace {

class FailoverTestBase : public EngineTestBase {
 protected:
  explicit FailoverTestBase(const std::string& redis_url)
      : EngineTestBase(storage::TestBackend::kSqliteMemory, redis_url) {}

  // One sponsor and one newcomer come; then whatever a replica does within a second. True when they
  // are paired.
  bool PairTwo() {
    const MemberId sponsor = Offer(1);
    const Ticket ticket = Ask();
    matcher_->RunRoundForTest();
    sweeper_->Sweep();
    reconciler_->Reconcile().IgnoreError();
    env_.clock.Advance(absl::Seconds(1));
    matcher_->RunRoundForTest();
    if (StateOf(ticket) != TicketState::kOffered) return false;
    const auto accepted =
        env_.ledger->AcceptOffer(env_.As(sponsor), env_.clock.Now(), OpenOfferOf(sponsor));
    EXPECT_TRUE(accepted.ok()) << accepted.status();
    if (!accepted.ok()) return false;
    matcher_->Notify(accepted->effects);
    return StateOf(ticket) == TicketState::kPaired;
  }

  // `run` names the server that holds the pool.
  std::string RunOfPool() {
    const auto runs = queue_->ServerRuns(env_.clock.Now() + absl::Seconds(10), {&pool_, 1});
    return runs.ok() ? runs->at(pool_) : std::string();
  }
  void ReconcileSoon() {
    const absl::Time give_up = SystemClock().Now() + absl::Seconds(20);
    absl::Status status;
    do {
      status = reconciler_->Reconcile();
    } while (!status.ok() && SystemClock().Now() < give_up);
    EXPECT_TRUE(status.ok()) << status;
  }

  // Pairs through the death that `kill` brings and the failover after it, and looks at all of it.
  void PairThrough(const std::function<void(const std::string& run)>& kill) {
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(PairTwo());
    const Ticket waiting = Ask();  // nobody is free: it waits through the failover
    matcher_->RunRoundForTest();
    ReconcileSoon();
    ASSERT_EQ(Depth().waiting, 1);
    const std::string before = RunOfPool();
    ASSERT_FALSE(before.empty());
    kill(before);
    int paired = 0;
    const absl::Time give_up = SystemClock().Now() + absl::Seconds(40);
    std::string after;
    int rounds = 0;
    while ((after.empty() || after == before) && SystemClock().Now() < give_up) {
      ++rounds;
      paired += PairTwo() ? 1 : 0;
      after = RunOfPool();
    }
    ASSERT_NE(after, "");
    ASSERT_NE(after, before);
    EXPECT_GE(paired, rounds / 2) << "without its server the matcher goes on from SQL";
    ReconcileSoon();
    EXPECT_EQ(*queue_->ReadEpoch(env_.clock.Now() + absl::Seconds(10), pool_), after);
    EXPECT_GE(reconciler_->RebuildCount(), 2);
    for (int i = 0; i < 3; ++i) paired += PairTwo() ? 1 : 0;
    EXPECT_GE(paired, 3);
    // The queue holds what the ledger says, no more and no less.
    ReconcileSoon();
    EXPECT_EQ(Depth().waiting, env_.Count("SELECT COUNT(*) FROM tickets WHERE state = 1"));
    EXPECT_EQ(Depth().claimed, 0);
    EXPECT_NE(StateOf(waiting), TicketState::kCancelled);
    env_.ExpectWhole();
  }
};

struct ClusterHolder {
  ClusterHolder() : cluster(Options()) {}
  static testing::TemporaryRedisCluster::Options Options() {
    testing::TemporaryRedisCluster::Options options;
    options.replicas = 1;
    return options;
  }
  testing::TemporaryRedisCluster cluster;
};

class EngineClusterTest : private ClusterHolder, public FailoverTestBase {
 protected:
  EngineClusterTest() : FailoverTestBase(cluster.url()) {}
  using ClusterHolder::cluster;
};

TEST_F(EngineClusterTest, PairsThroughTheDeathOfAMaster) {
  PairThrough([this](const std::string& run) {
    for (int i = 0; i < cluster.size(); ++i) {
      const std::string info = cluster.node(i).Ask("INFO server");
      if (absl::StrContains(info, run.substr(0, run.find(';')))) cluster.node(i).Kill();
    }
  });
}

struct SentinelHolder {
  testing::TemporaryRedisSentinel servers;
};

class EngineSentinelTest : private SentinelHolder, public FailoverTestBase {
 protected:
  EngineSentinelTest() : FailoverTestBase(servers.url()) {}
  using SentinelHolder::servers;
};

TEST_F(EngineSentinelTest, PairsThroughTheDeathOfAPrimary) {
  PairThrough([this](const std::string&) { servers.node(servers.Primary()).Kill(); });
}

}  // namespace
}  // namespace handrail::matching
