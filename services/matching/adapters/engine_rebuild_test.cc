#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/adapters/engine_test_env.h"
#include "services/matching/stores/hooked_database_for_test.h"
#include "services/matching/stores/ledger_sql.h"

// Who builds the queues again when the stores are slow and the pools are many.
namespace handrail::matching {
namespace {

constexpr int kPools = 24;

// Redis that takes its time over every mark, and that may be gone for this replica.
class SlowQueue final : public RedisQueue {
 public:
  SlowQueue(storage::Redis& redis, const PoolNames& pools, testing::SimulatedClock& clock)
      : RedisQueue(redis, pools), clock_(clock) {}

  absl::StatusOr<bool> ReplaceEpoch(absl::Time deadline, const PoolKey& pool,
                                    const std::string& expected, const std::string& next) override {
    if (gone) return UnavailableError(reason::kRedisUnavailable, "gone");
    clock_.Advance(pace);
    ASSIGN_OR_RETURN(const bool set, RedisQueue::ReplaceEpoch(deadline, pool, expected, next));
    if (!absl::StartsWith(expected, "building:")) ++marked;
    if (marked == kPools) meanwhile();
    return set;
  }

  absl::Duration pace = absl::Milliseconds(500);
  bool gone = false;
  int marked = 0;  // pools taken over
  std::function<void()> meanwhile = [] {};

 private:
  testing::SimulatedClock& clock_;
};

class EngineRebuildTest : public EngineTestBase {
 protected:
  EngineRebuildTest() {
    for (int i = 0; i < kPools; ++i) {
      keys_.push_back({Philosophy::kTwelveStepAa, absl::StrCat("US-", 10 + i)});
    }
  }
  std::unique_ptr<Reconciler> NewBuilder(Ledger& ledger, Queue& queue) {
    return std::make_unique<Reconciler>(ledger, queue, members_, env_.clock, env_.random, options_,
                                        [this] { return keys_; });
  }
  // How many pools somebody says to build.
  int Marked() {
    int marked = 0;
    for (const PoolKey& pool : keys_) {
      const auto epoch = queue_->ReadEpoch(env_.clock.Now() + absl::Seconds(10), pool);
      EXPECT_TRUE(epoch.ok()) << epoch.status();
      marked += epoch.ok() && absl::StartsWith(*epoch, "building:") ? 1 : 0;
    }
    return marked;
  }

  const ReconcilerOptions options_;
  std::vector<PoolKey> keys_;
  HookedDatabase database_{*env_.database, env_.clock};
  SqlLedger slow_ledger_{database_,   env_.vault,        env_.pools,
                         env_.random, BuiltInPrograms(), LedgerOptions()};
  SlowQueue slow_queue_{*redis_, env_.pools, env_.clock};
  std::unique_ptr<Reconciler> slow_ = NewBuilder(slow_ledger_, slow_queue_);
  std::unique_ptr<Reconciler> rival_ = NewBuilder(*env_.ledger, *queue_);
};

TEST_F(EngineRebuildTest, ABuilderThatIsOnlySlowKeepsItsManyPools) {
  int looks = 0;
  const auto look = [&] {
    ++looks;
    EXPECT_TRUE(rival_->Reconcile().ok());
  };
  slow_queue_.meanwhile = look;
  // Each page takes nearly all the time that it may.
  database_.before_read = [&] {
    for (int i = 0; i < 3; ++i) {
      env_.clock.Advance(options_.ledger_timeout * 0.3);
      if (slow_queue_.marked == kPools) look();
    }
    return absl::OkStatus();
  };
  const absl::Time began = env_.clock.Now();
  const absl::Status built = slow_->Reconcile();
  EXPECT_TRUE(built.ok()) << built;
  EXPECT_EQ(rival_->RebuildCount(), 0);
  EXPECT_GT(looks, 3 * kPools);
  EXPECT_GT(env_.clock.Now() - began, kPools * options_.ledger_timeout * 0.9)
      << "no mark of one pool is moved as often as Patience asks";
  EXPECT_EQ(Marked(), 0);
  ASSERT_TRUE(rival_->Reconcile().ok());
  EXPECT_EQ(rival_->RebuildCount(), 0) << "all is built";
}

TEST_F(EngineRebuildTest, ABuilderThatDiedIsReplacedWithinTheBound) {
  int reads = 0;
  database_.before_read = [&]() -> absl::Status {
    if (++reads < 8) return absl::OkStatus();
    slow_queue_.gone = true;
    return UnavailableError(reason::kDatabaseUnavailable, "gone");
  };
  EXPECT_FALSE(slow_->Reconcile().ok());
  ASSERT_EQ(Marked(), kPools) << "it died with its marks on the pools";
  ASSERT_TRUE(rival_->Reconcile().ok());
  env_.clock.Advance(options_.Patience() - absl::Milliseconds(1));
  ASSERT_TRUE(rival_->Reconcile().ok());
  EXPECT_EQ(rival_->RebuildCount(), 0);
  env_.clock.Advance(absl::Milliseconds(1));
  ASSERT_TRUE(rival_->Reconcile().ok());
  EXPECT_EQ(rival_->RebuildCount(), 1);
  EXPECT_EQ(Marked(), 0);
  EXPECT_LE(options_.Patience(), absl::Seconds(30)) << "seconds, not minutes";
}

TEST_F(EngineRebuildTest, ABuilderThatCannotGoOnGivesItsPoolsBackAtOnce) {
  slow_queue_.pace = absl::Milliseconds(5);
  int reads = 0;
  database_.before_read = [&]() -> absl::Status {
    if (++reads < 8) return absl::OkStatus();
    return UnavailableError(reason::kDatabaseUnavailable, "gone for this replica");
  };
  EXPECT_FALSE(slow_->Reconcile().ok());
  EXPECT_EQ(Marked(), 0);
  ASSERT_TRUE(rival_->Reconcile().ok());
  EXPECT_EQ(rival_->RebuildCount(), 1);
  ASSERT_TRUE(rival_->Reconcile().ok());
  EXPECT_EQ(rival_->RebuildCount(), 1);
}

}  // namespace
}  // namespace handrail::matching
