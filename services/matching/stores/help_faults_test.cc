#include <gtest/gtest.h>

#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/help_desk.h"
#include "services/matching/stores/help_sql.h"
#include "services/matching/stores/hooked_database_for_test.h"
#include "services/matching/stores/ledger_sql.h"
#include "services/matching/stores/ledger_test_env.h"

// A call for help over stores that are slow, or fail in its middle.
namespace handrail::matching {
namespace {

class HelpFaultsTest : public ::testing::Test {
 protected:
  HelpFaultsTest() : pairing(env.Pair(sponsor)) {
    const MemberId on_call = env.AddSponsor(1);
    EXPECT_TRUE(sound.SetOnCall(env.As(on_call), env.clock.Now(), absl::Hours(24)).ok());
  }
  Call CallOfNewcomer(absl::Duration time) {
    Call call = env.As(pairing.newcomer);
    call.deadline = env.clock.Now() + time;
    return call;
  }
  size_t AsksOfSponsor() {
    const auto asks = sound.ListAsks(env.As(sponsor), false, 50, {});
    EXPECT_TRUE(asks.ok()) << asks.status();
    return asks.ok() ? asks->items.size() : 0;
  }

  LedgerTestEnv env{storage::TestBackend::kSqliteMemory};
  const MemberId sponsor = env.AddSponsor(2);
  HookedDatabase database{*env.database, env.clock};
  SqlLedger ledger{database, env.vault, env.pools, env.random, BuiltInPrograms(), LedgerOptions()};
  SqlHelpStore sound{*env.database, env.vault,         env.pools,
                     env.random,    BuiltInPrograms(), HelpOptions()};
  SqlHelpStore store{database, env.vault, env.pools, env.random, BuiltInPrograms(), HelpOptions()};
  Effects effects;
  HelpDesk desk{store,
                ledger,
                BuiltInPrograms(),
                env.clock,
                env.random,
                HelpDesk::Options(),
                [](absl::Time, const MemberId&) { return absl::UnavailableError("down"); },
                [this](const Effects& some) { effects.Append(some); }};
  const Pairing pairing;
};

TEST_F(HelpFaultsTest, ASlowSearchForThoseOnCallLeavesTimeForTheSponsor) {
  database.before_read = [this] {
    env.clock.Advance(absl::Seconds(1));
    return absl::OkStatus();
  };
  const absl::Time began = env.clock.Now();
  const auto reached = desk.Reach(CallOfNewcomer(absl::Seconds(4.5)));
  ASSERT_TRUE(reached.ok()) << reached.status();
  EXPECT_EQ(reached->outcome, ReachOutcome::kAsking);
  ASSERT_TRUE(reached->call.has_value());
  EXPECT_EQ(reached->call->asked, 1);
  EXPECT_LE(env.clock.Now() - began, absl::Seconds(3));
  EXPECT_EQ(AsksOfSponsor(), 1u);
}

TEST_F(HelpFaultsTest, ASlowSearchDoesNotHoldUpTheSweepEither) {
  const auto reached = desk.Reach(CallOfNewcomer(absl::Seconds(30)));
  ASSERT_TRUE(reached.ok() && reached->call.has_value()) << reached.status();
  ASSERT_EQ(reached->call->stage, HelpStage::kSponsors);
  env.clock.Advance(absl::Minutes(6));
  int reads = 0;
  database.before_read = [this, &reads] {
    if (++reads > 1) env.clock.Advance(absl::Seconds(3.5));  // all but the list of what is due
    return absl::OkStatus();
  };
  desk.Sweep();
  database.before_read = [] { return absl::OkStatus(); };
  const auto call = sound.GetCall(env.As(pairing.newcomer), reached->call->id);
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_NE(call->stage, HelpStage::kSponsors) << "it went on without those on call";
}

TEST_F(HelpFaultsTest, WhoeverIsAskedIsNeverDeniedForAReadThatFailed) {
  database.before_read = [] { return UnavailableError(reason::kDatabaseUnavailable, "down"); };
  const Call call = CallOfNewcomer(absl::Seconds(30));
  const auto reached = desk.Reach(call);
  ASSERT_TRUE(reached.ok()) << reached.status();
  EXPECT_EQ(reached->outcome, ReachOutcome::kAsking);
  ASSERT_TRUE(reached->call.has_value());
  EXPECT_EQ(reached->call->asked, 1);
  EXPECT_EQ(AsksOfSponsor(), 1u);
  EXPECT_FALSE(effects.empty()) << "and the sponsor is woken";
  const auto again = desk.Reach(call);
  ASSERT_TRUE(again.ok() && again->call.has_value()) << again.status();
  EXPECT_EQ(again->call->id, reached->call->id);
  EXPECT_EQ(AsksOfSponsor(), 1u);
}

}  // namespace
}  // namespace handrail::matching
