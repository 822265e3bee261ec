#ifndef HANDRAIL_SERVICES_MATCHING_ADAPTERS_ENGINE_TEST_ENV_H_
#define HANDRAIL_SERVICES_MATCHING_ADAPTERS_ENGINE_TEST_ENV_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/storage/redis.h"
#include "common/testing/temporary_redis.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/adapters/redis_queue.h"
#include "services/matching/domain/matcher.h"
#include "services/matching/domain/reconciler.h"
#include "services/matching/domain/sweeper.h"
#include "services/matching/stores/ledger_test_env.h"

namespace handrail::matching {

// The engine over a real ledger and a real Redis, moved round by round.
class EngineTestBase : public ::testing::Test {
 protected:
  // Without a URL the queues are in a server of the test's own.
  explicit EngineTestBase(storage::TestBackend backend = storage::TestBackend::kSqliteMemory,
                          const std::string& redis_url = "")
      : env_(backend) {
    storage::RedisOptions options;
    options.url = redis_url.empty() ? server_.url() : redis_url;
    options.clock = &env_.clock;
    options.owner_patience = absl::Milliseconds(250);
    redis_ = *storage::ConnectRedis(options);
    queue_ = std::make_unique<RedisQueue>(*redis_, env_.pools);
    matcher_ = NewMatcher();
    sweeper_ = std::make_unique<Sweeper>(
        *env_.ledger, *queue_, env_.clock, SweeperOptions(), [this] { return matcher_->Pools(); },
        [this](const Effects& effects) { matcher_->Notify(effects); });
    reconciler_ = NewReconciler();
    pool_.philosophy = Philosophy::kTwelveStepAa;
  }

  std::unique_ptr<Matcher> NewMatcher(MatcherOptions options = {}) {
    options.pause_without_redis = absl::Milliseconds(1);
    return std::make_unique<Matcher>(*env_.ledger, *queue_, members_, chooser_, BuiltInPrograms(),
                                     env_.clock, env_.random, options, Matcher::Sink());
  }
  // Another one is another replica, or the same one after a restart.
  std::unique_ptr<Reconciler> NewReconciler() {
    return std::make_unique<Reconciler>(*env_.ledger, *queue_, members_, env_.clock, env_.random,
                                        ReconcilerOptions(), [this] { return matcher_->Pools(); });
  }
  // A ticket whose effects the matcher hears of.
  Ticket Ask() {
    const auto ticket = env_.Open(env_.As(env_.AddNewcomer()));
    EXPECT_TRUE(ticket.ok()) << ticket.status();
    matcher_->Notify(ticket->effects);
    return ticket->value;
  }
  MemberId Offer(int capacity) {
    const MemberId sponsor = env_.AddSponsor(capacity);
    Effects effects;
    effects.sponsors = {sponsor};
    matcher_->Notify(effects);
    return sponsor;
  }
  TicketState StateOf(const Ticket& ticket) { return env_.TicketNow(ticket).state; }
  OfferId OpenOfferOf(const MemberId& sponsor) {
    const auto offers = env_.ledger->ListOffers(env_.As(sponsor), false, 10, std::nullopt);
    EXPECT_TRUE(offers.ok() && !offers->items.empty());
    return offers.ok() && !offers->items.empty() ? offers->items.front().id : OfferId();
  }
  Queue::Depth Depth() {
    const auto depth = queue_->ReadDepth(env_.clock.Now() + absl::Seconds(10), pool_);
    EXPECT_TRUE(depth.ok()) << depth.status();
    return depth.value_or(Queue::Depth());
  }
  // Redis' own time is real: waits until the link is as expected.
  void AwaitRedis(bool up) {
    const absl::Time give_up = SystemClock().Now() + absl::Seconds(10);
    while (redis_->IsConnected() != up && SystemClock().Now() < give_up) {
      redis_->Command(env_.clock.Now() + absl::Seconds(1), {"PING"}).IgnoreError();
    }
    ASSERT_EQ(redis_->IsConnected(), up);
  }

  LedgerTestEnv env_;
  testing::TemporaryRedis server_;
  std::unique_ptr<storage::Redis> redis_;
  std::unique_ptr<RedisQueue> queue_;
  MemberCache members_{1000};
  RuleSet rules_;
  Scorer scorer_;
  Chooser chooser_{rules_, scorer_};
  std::unique_ptr<Matcher> matcher_;
  std::unique_ptr<Sweeper> sweeper_;
  std::unique_ptr<Reconciler> reconciler_;
  PoolKey pool_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_ENGINE_TEST_ENV_H_
