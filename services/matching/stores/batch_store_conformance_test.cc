// Each sentence of domain/batch_store.h, on every database.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/stores/batch_store_sql.h"
#include "services/matching/stores/ledger_test_env.h"
#include "services/matching/stores/operator_ledger_sql.h"

namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Time kNever = absl::InfiniteFuture();
constexpr char kPoolName[] = "pools/00000000000000000000000000000001";

class BatchStoreTest : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  static OperatorRecord Record() {
    return OperatorRecord([](absl::string_view bytes) { return crypto::HmacSha256("key", bytes); });
  }
  Call Operator(const std::string& request_id) {
    Call call = env.As(who, request_id);
    call.who.kind = Principal::Kind::kOperator;
    call.method = "/x/RunBatch";
    return call;
  }
  BatchOffer APair(const Ticket& ticket, const MemberId& sponsor) {
    return {ticket.id, sponsor, OfferId::Random(env.random)};
  }
  Ticket Ask() { return env.Open(env.As(env.AddNewcomer()))->value; }
  BatchRun Begin(const Call& call, const std::vector<BatchOffer>& pairs) {
    const auto run = runs.BeginRun(call, env.clock.Now(), kPoolName, pairs);
    EXPECT_TRUE(run.ok()) << run.status();
    return run.value_or(BatchRun());
  }
  absl::StatusOr<Changed<Offer>> MakeOffer(const Ticket& ticket, const MemberId& sponsor,
                                           const OfferId& id) {
    Proposal proposal = env.Propose(ticket, sponsor);
    proposal.offer = id;
    return env.ledger->MakeOffer(kNever, env.clock.Now(), proposal);
  }
  std::vector<std::string> Details() {
    std::vector<std::string> details;
    const auto actions = operators.ListActions(kNever, std::nullopt, 100, INT64_MAX);
    EXPECT_TRUE(actions.ok());
    for (const OperatorAction& action : actions->items) {
      EXPECT_EQ(action.method, "RunBatch");
      EXPECT_EQ(action.subject, kPoolName);
      details.push_back(action.detail);
    }
    return details;
  }

  LedgerTestEnv env{GetParam()};
  const MemberId who = MemberId::Random(env.random);
  SqlBatchStore runs{*env.database, env.random, Record()};
  SqlOperatorLedger operators{*env.database,     env.vault,       env.pools, env.random,
                              BuiltInPrograms(), LedgerOptions(), Record()};
};

TEST_P(BatchStoreTest, ARunIsWrittenDownOnceForARequestAndKeepsItsOrder) {
  const Call call = Operator("one");
  EXPECT_FALSE(runs.FindRun(call)->has_value());
  const MemberId sponsor = env.AddSponsor(3);
  std::vector<BatchOffer> pairs;
  for (int i = 0; i < 5; ++i) pairs.push_back(APair(Ask(), sponsor));
  const BatchRun run = Begin(call, pairs);
  EXPECT_EQ(run.pair_count, 5);
  EXPECT_EQ(run.create_time, env.clock.Now());
  EXPECT_FALSE(run.done);
  const BatchRun again = Begin(call, {APair(Ask(), sponsor)});
  EXPECT_EQ(again.id, run.id);
  EXPECT_EQ(again.pair_count, 5);
  const auto found = runs.FindRun(call);
  ASSERT_TRUE(found.ok() && found->has_value());
  ASSERT_THAT((*found)->pairs, SizeIs(5));
  for (size_t i = 0; i < pairs.size(); ++i) {
    EXPECT_EQ((*found)->pairs[i].offer, pairs[i].offer);
    EXPECT_EQ((*found)->pairs[i].ticket, pairs[i].ticket);
    EXPECT_EQ((*found)->pairs[i].sponsor, pairs[i].sponsor);
  }
  EXPECT_THAT(Details(), ElementsAre("repeated", "5 pairs, begun"));
  Call other = Operator("one");
  other.request_hash = "another";
  EXPECT_TRUE(HasReason(runs.FindRun(other).status(), reason::kRequestIdReused));
  EXPECT_NE(Begin(Operator("two"), {APair(Ask(), sponsor)}).id, run.id) << "of another request";
}

TEST_P(BatchStoreTest, TheFirstToFinishIsRightAndThePairsAreForgotten) {
  const Call call = Operator("one");
  const MemberId sponsor = env.AddSponsor(3);
  const BatchRun run = Begin(call, {APair(Ask(), sponsor), APair(Ask(), sponsor)});
  const auto done = runs.FinishRun(call, env.clock.Now(), kPoolName, run.id, 2);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_TRUE(done->done);
  EXPECT_EQ(done->offer_count, 2);
  EXPECT_EQ(done->pair_count, 2);
  EXPECT_THAT(done->pairs, IsEmpty());
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM batch_pairs"), 0);
  EXPECT_EQ(runs.FinishRun(call, env.clock.Now(), kPoolName, run.id, 1)->offer_count, 2);
  EXPECT_EQ((*runs.FindRun(call))->offer_count, 2);
  EXPECT_THAT(Details(), ElementsAre("2 offers of 2 pairs, repeated", "2 offers of 2 pairs",
                                     "2 pairs, begun"));
  const auto none =
      runs.FinishRun(call, env.clock.Now(), kPoolName, BatchRunId::Random(env.random), 1);
  EXPECT_TRUE(HasReason(none.status(), reason::kNotFound)) << none.status();
}

TEST_P(BatchStoreTest, InADrainedPoolOnlyWhatARunWroteDownIsOffered) {
  const MemberId sponsor = env.AddSponsor(3);
  const Ticket planned = Ask();
  const Ticket other = Ask();
  const PoolKey pool = planned.pool;
  ASSERT_TRUE(
      operators.DrainPool(Operator("drain"), env.clock.Now(), pool, absl::Minutes(30)).ok());
  const BatchOffer pair = APair(planned, sponsor);
  EXPECT_TRUE(HasReason(MakeOffer(planned, sponsor, pair.offer).status(), reason::kPoolDrained));
  const Call call = Operator("one");
  const BatchRun run = Begin(call, {pair});
  EXPECT_TRUE(HasReason(env.MakeOffer(other, sponsor).status(), reason::kPoolDrained));
  EXPECT_TRUE(HasReason(env.MakeOffer(planned, sponsor).status(), reason::kPoolDrained))
      << "the same pair, but an offer of somebody else's";
  const auto made = MakeOffer(planned, sponsor, pair.offer);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_THAT(*runs.FindMade(kNever, {pair.offer, OfferId::Random(env.random)}),
              ElementsAre(pair.offer));
  ASSERT_TRUE(env.ledger->DeclineOffer(env.As(sponsor), env.clock.Now(), pair.offer).ok());
  EXPECT_THAT(*runs.FindMade(kNever, {pair.offer}), ElementsAre(pair.offer)) << "it was made";
  ASSERT_TRUE(runs.FinishRun(call, env.clock.Now(), kPoolName, run.id, 1).ok());
  EXPECT_TRUE(HasReason(env.MakeOffer(other, sponsor).status(), reason::kPoolDrained));
  // What a run wrote down an hour ago belongs to another drain.
  const BatchOffer late = APair(other, sponsor);
  Begin(Operator("two"), {late});
  env.clock.Advance(absl::Minutes(61));
  ASSERT_TRUE(
      operators.DrainPool(Operator("again"), env.clock.Now(), pool, absl::Minutes(30)).ok());
  EXPECT_TRUE(HasReason(MakeOffer(other, sponsor, late.offer).status(), reason::kPoolDrained));
  env.ExpectWhole();
}

TEST_P(BatchStoreTest, RunsAreForgottenAfterTheirRequestIds) {
  const MemberId sponsor = env.AddSponsor(1);
  Begin(Operator("one"), {APair(Ask(), sponsor)});
  env.clock.Advance(absl::Hours(24 * 7));
  EXPECT_EQ(*runs.TrimRuns(kNever, env.clock.Now(), 10), 0);
  env.clock.Advance(absl::Hours(24));
  Begin(Operator("two"), {});
  env.clock.Advance(absl::Seconds(1));
  EXPECT_EQ(*runs.TrimRuns(kNever, env.clock.Now(), 10), 1);
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM batch_pairs"), 0);
  EXPECT_TRUE(runs.FindRun(Operator("two"))->has_value());
}

INSTANTIATE_TEST_SUITE_P(Backends, BatchStoreTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory,
                                           storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::matching
