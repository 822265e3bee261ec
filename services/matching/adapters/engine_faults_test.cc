#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/adapters/engine_test_env.h"

// The engine beside parts that hang, come back with old data, or know more than it does.
namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Time kNever = absl::InfiniteFuture();

class EngineFaultsTest : public EngineTestBase {
 protected:
  void ReconcileSoon(Reconciler& reconciler) {
    const absl::Time give_up = SystemClock().Now() + absl::Seconds(10);
    absl::Status status;
    do {
      status = reconciler.Reconcile();
    } while (!status.ok() && SystemClock().Now() < give_up);
    EXPECT_TRUE(status.ok()) << status;
  }
  void RestartFromSnapshot() {
    server_.Kill();
    server_.Start();
    AwaitRedis(true);
  }
};

// ---- A Redis that restarts from an old copy of its data ----

TEST_F(EngineFaultsTest, ARedisThatRestartedFromAnOldSnapshotIsBuiltAgainWhoeverRanMeanwhile) {
  const Ticket cancelled = Ask();
  const Ticket paired = Ask();
  const Ticket kept = Ask();
  matcher_->RunRoundForTest();
  ASSERT_TRUE(reconciler_->Reconcile().ok());
  ASSERT_EQ(Depth().waiting, 3);
  ASSERT_EQ(server_.Run("SAVE"), "+OK");

  // What the snapshot does not know.
  const auto cancel =
      env_.ledger->CancelTicket(env_.As(cancelled.newcomer), env_.clock.Now(), cancelled.id);
  ASSERT_TRUE(cancel.ok());
  const MemberId sponsor = env_.AddSponsor(2);
  const auto offer = env_.MakeOffer(paired, sponsor);
  ASSERT_TRUE(offer.ok()) << offer.status();
  const auto later = env_.Open(env_.As(env_.AddNewcomer()));
  ASSERT_TRUE(later.ok());
  // Their hints arrive and their marks are cleared: nobody would send them once more.
  for (const Effects* effects : {&cancel->effects, &offer->effects, &later->effects}) {
    const QueueTicket entry = QueueTicketOf(effects->tickets.front());
    const absl::Time soon = env_.clock.Now() + absl::Seconds(10);
    ASSERT_TRUE(queue_->PutTickets(soon, pool_, {&entry, 1}, Announce::kNo).ok());
  }
  ASSERT_EQ(Depth().waiting, 2);
  env_.Execute("UPDATE tickets SET index_pending = 0");
  env_.Execute("UPDATE sponsors SET index_pending = 0");

  // Everybody who could remember the run of the server is gone.
  reconciler_ = nullptr;
  RestartFromSnapshot();
  ASSERT_EQ(Depth().waiting, 3) << "the snapshot was loaded, and it is old";
  reconciler_ = NewReconciler();
  ReconcileSoon(*reconciler_);
  EXPECT_EQ(reconciler_->RebuildCount(), 1);
  const auto queued = queue_->ScanTickets(env_.clock.Now() + absl::Seconds(10), pool_, "");
  ASSERT_TRUE(queued.ok()) << queued.status();
  EXPECT_EQ((std::set<TicketId>(queued->tickets.begin(), queued->tickets.end())),
            (std::set<TicketId>{kept.id, later->value.id}));
  EXPECT_EQ(Depth().available, 1) << "the sponsor's other seat";

  // It is built once, whoever looks.
  ReconcileSoon(*reconciler_);
  EXPECT_EQ(reconciler_->RebuildCount(), 1);
  const auto replica = NewReconciler();
  ReconcileSoon(*replica);
  EXPECT_EQ(replica->RebuildCount(), 0);
}

TEST_F(EngineFaultsTest, AnOldSnapshotBringsNoSponsorBackIntoAPoolThatTheyLeft) {
  const MemberId stays = Offer(1);
  const MemberId leaves = Offer(1);
  matcher_->RunRoundForTest();
  ASSERT_TRUE(reconciler_->Reconcile().ok());
  ASSERT_EQ(Depth().available, 2);
  ASSERT_EQ(server_.Run("SAVE"), "+OK");
  MemberTraits elsewhere = env_.Sponsor(leaves, 2);
  elsewhere.sponsor->programs[0].philosophy = Philosophy::kTwelveStepNa;
  ASSERT_TRUE(env_.ledger->ApplyMember(kNever, env_.clock.Now(), elsewhere).ok());
  RestartFromSnapshot();
  ASSERT_EQ(Depth().available, 2);
  reconciler_ = NewReconciler();
  ReconcileSoon(*reconciler_);
  const auto queued = queue_->ScanSponsors(env_.clock.Now() + absl::Seconds(10), pool_, "");
  ASSERT_TRUE(queued.ok()) << queued.status();
  EXPECT_EQ(queued->sponsors, std::vector<MemberId>{stays});
}

// Redis that loses its data again after `writes` chunks of a rebuild were written.
class ForgetfulQueue final : public RedisQueue {
 public:
  ForgetfulQueue(storage::Redis& redis, const PoolNames& pools, testing::TemporaryRedis& server,
                 int writes)
      : RedisQueue(redis, pools), server_(server), writes_(writes) {}

  absl::Status RebuildTickets(absl::Time deadline, const PoolKey& pool,
                              absl::Span<const QueueTicket> tickets) override {
    RETURN_IF_ERROR(RedisQueue::RebuildTickets(deadline, pool, tickets));
    if (--writes_ == 0) server_.FlushAll();
    return absl::OkStatus();
  }

 private:
  testing::TemporaryRedis& server_;
  std::atomic<int> writes_;
};

TEST_F(EngineFaultsTest, ARedisThatLosesItsDataWhileItIsBuiltIsBuiltAgain) {
  for (int i = 0; i < 50; ++i) env_.Open(env_.As(env_.AddNewcomer())).IgnoreError();
  for (int writes = 1; writes <= 5; ++writes) {
    server_.FlushAll();
    ForgetfulQueue forgetful(*redis_, env_.pools, server_, writes);
    ReconcilerOptions options;
    options.page = 10;
    Reconciler reconciler(*env_.ledger, forgetful, members_, env_.clock, env_.random, options,
                          [] { return std::vector<PoolKey>(); });
    EXPECT_FALSE(reconciler.Reconcile().ok()) << "lost after " << writes << " pages";
    EXPECT_TRUE(reconciler.Reconcile().ok());
    EXPECT_EQ(Depth().waiting, 50) << "lost after " << writes << " pages";
  }
}

TEST_F(EngineFaultsTest, EveryReplicaIsToldOnceOfWhatRedisMayHaveLost) {
  std::vector<std::vector<PoolKey>> told[2];
  std::vector<std::unique_ptr<Reconciler>> replicas;
  for (auto& heard : told) {
    replicas.push_back(std::make_unique<Reconciler>(
        *env_.ledger, *queue_, members_, env_.clock, env_.random, ReconcilerOptions(),
        [this] { return std::vector<PoolKey>{pool_}; },
        [&heard](const std::vector<PoolKey>& pools) { heard.push_back(pools); }));
  }
  Ask();
  const auto look = [&] {
    for (const auto& replica : replicas) ReconcileSoon(*replica);
  };
  const std::vector<PoolKey> all = {pool_};
  for (int i = 0; i < 3; ++i) look();
  EXPECT_THAT(told[0], ElementsAre(all));
  EXPECT_THAT(told[1], IsEmpty()) << "built before it ever looked";
  server_.FlushAll();
  for (int i = 0; i < 3; ++i) look();
  EXPECT_THAT(told[0], ElementsAre(all, all));
  // Another run of the server, whoever builds in it first.
  ASSERT_EQ(server_.Run("SAVE"), "+OK");
  RestartFromSnapshot();
  for (int i = 0; i < 3; ++i) look();
  EXPECT_THAT(told[0], ElementsAre(all, all, all));
  EXPECT_THAT(told[1], ElementsAre(all));
}

TEST_F(EngineFaultsTest, APoolIsBuiltByOneReplicaAndByTheNextWhenThatOneStops) {
  for (int i = 0; i < 3; ++i) Ask();
  const absl::Duration patience = ReconcilerOptions().Patience();
  ASSERT_TRUE(*queue_->ReplaceEpoch(env_.clock.Now() + absl::Seconds(10), pool_, "",
                                    "building:somebody:1"));
  ASSERT_TRUE(reconciler_->Reconcile().ok());
  env_.clock.Advance(patience * 0.75);
  ASSERT_TRUE(reconciler_->Reconcile().ok());
  EXPECT_EQ(reconciler_->RebuildCount(), 0) << "somebody is at it";
  ASSERT_TRUE(*queue_->ReplaceEpoch(env_.clock.Now() + absl::Seconds(10), pool_,
                                    "building:somebody:1", "building:somebody:2"));
  env_.clock.Advance(patience * 0.5);
  ASSERT_TRUE(reconciler_->Reconcile().ok());
  EXPECT_EQ(reconciler_->RebuildCount(), 0) << "they have made a step";
  env_.clock.Advance(patience);
  ASSERT_TRUE(reconciler_->Reconcile().ok());
  EXPECT_EQ(reconciler_->RebuildCount(), 1);
  EXPECT_EQ(Depth().waiting, 3);
}

TEST_F(EngineFaultsTest, AClaimInAnOldSnapshotIsSweptAndItsTicketWaitsAgain) {
  const Ticket ticket = Ask();
  matcher_->RunRoundForTest();
  const MemberId sponsor = env_.AddSponsor(1);  // of whom the matcher has not heard
  const QueueSponsor seats =
      QueueSponsorOf(env_.ledger->LoadSponsors(kNever, {&sponsor, 1})->front());
  const absl::Time soon = env_.clock.Now() + absl::Seconds(10);
  ASSERT_TRUE(queue_->PutSponsors(soon, pool_, {&seats, 1}, Announce::kNo).ok());
  const QueueTicket waiting =
      QueueTicketOf(env_.ledger->LoadTickets(kNever, {&ticket.id, 1})->front());
  ASSERT_TRUE(waiting.waiting);
  const Claim claim{ticket.id, waiting.version, sponsor, seats.version};
  ASSERT_EQ(queue_->TakeClaims(soon, pool_, env_.clock.Now(), {&claim, 1})->front(),
            ClaimResult::kClaimed);
  ASSERT_EQ(server_.Run("SAVE"), "+OK");
  RestartFromSnapshot();
  ReconcileSoon(*reconciler_);
  env_.clock.Advance(Queue::kClaimLifetime);
  sweeper_->Sweep();
  EXPECT_EQ(Depth().claimed, 0);
  EXPECT_EQ(Depth().waiting, 1);
  EXPECT_EQ(Depth().available, 1);
}

// ---- A database that hangs ----

class HangingDatabaseTest : public EngineTestBase {
 protected:
  HangingDatabaseTest() : EngineTestBase(storage::TestBackend::kPostgres) {}
};

TEST_F(HangingDatabaseTest, HoldsASweepForABoundedTimeAndItGoesOnAfterwards) {
  const MemberId sponsor = env_.AddSponsor(1);
  const auto ticket = env_.Open(env_.As(env_.AddNewcomer()));
  ASSERT_TRUE(env_.MakeOffer(ticket->value, sponsor).ok());
  env_.clock.Advance(absl::Hours(25));
  std::promise<void> locked;
  std::promise<void> release;
  std::thread holder([&] {
    const absl::Status status =
        env_.database->Write(kNever, [&](storage::Transaction& tx) -> absl::Status {
          RETURN_IF_ERROR(tx.Execute("LOCK TABLE offers, tickets, pairings, sponsors, members, "
                                     "request_log IN ACCESS EXCLUSIVE MODE",
                                     {})
                              .status());
          locked.set_value();
          release.get_future().wait();
          return absl::OkStatus();
        });
    EXPECT_TRUE(status.ok()) << status;
  });
  locked.get_future().wait();
  const absl::Time began = env_.clock.Now();
  std::atomic<bool> swept = false;
  std::thread sweep([&] {
    sweeper_->Sweep();
    swept = true;
  });
  // Simulated time passes much faster than real time; a step that had no deadline would wait on.
  const absl::Time give_up = SystemClock().Now() + absl::Seconds(60);
  while (!swept && SystemClock().Now() < give_up) env_.clock.Advance(absl::Milliseconds(1));
  EXPECT_TRUE(swept) << "the sweeper hangs with the database";
  EXPECT_GT(env_.clock.Now() - began, SweeperOptions().timeout);
  release.set_value();
  holder.join();
  sweep.join();
  EXPECT_EQ(env_.TicketNow(ticket->value).state, TicketState::kOffered);
  sweeper_->Sweep();
  EXPECT_EQ(env_.TicketNow(ticket->value).state, TicketState::kWaiting);
}

// ---- What this replica does not know ----

TEST_F(EngineFaultsTest, NoOfferIsDecidedFromTraitsThatHaveChanged) {
  const Ticket ticket = Ask();
  for (int i = 0; i < 3; ++i) matcher_->RunRoundForTest();  // leads the pool
  // They change in the ledger and in the cache; no pool of this replica has heard of it.
  MemberTraits changed = env_.Newcomer(ticket.newcomer, 2);
  changed.newcomer->person.languages = {Language::FromTag("de")};
  ASSERT_TRUE(env_.ledger->ApplyMember(kNever, env_.clock.Now(), changed).ok());
  members_.Put(changed);
  Offer(1);  // speaks English
  matcher_->RunRoundForTest();
  EXPECT_EQ(matcher_->Stats().offers, 0);
  EXPECT_EQ(matcher_->Stats().offers_refused, 1) << "judged once by the old traits, and refused";
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM offers"), 0);
  env_.clock.Advance(absl::Seconds(10));
  matcher_->RunRoundForTest();
  EXPECT_EQ(matcher_->Stats().offers_refused, 1) << "the traits were read again";
}

TEST_F(EngineFaultsTest, ASponsorWhoseTicketsWereBusyInARoundLooksOnInTheNext) {
  std::vector<Ticket> tickets;
  for (int i = 0; i < 9; ++i) tickets.push_back(Ask());
  matcher_->RunRoundForTest();  // they find nobody, and look no more
  // Two at once: the better tickets of the one are those of the other.
  const MemberId a = env_.AddSponsor(8);
  const MemberId b = env_.AddSponsor(1);
  Effects both;
  both.sponsors = {a, b};
  matcher_->Notify(both);
  matcher_->RunRoundForTest();
  EXPECT_EQ(matcher_->Stats().offers, 9);
  EXPECT_EQ(env_.SeatsOf(a).open_offer_count, 8);
  EXPECT_EQ(env_.SeatsOf(b).open_offer_count, 1);
}

TEST_F(EngineFaultsTest, ASponsorIsNotMatchedInAPoolThatAnotherReplicaLeads) {
  const Ticket ticket = Ask();
  for (int i = 0; i < 2; ++i) matcher_->RunRoundForTest();  // leads the pool
  const auto other = NewMatcher();
  for (int i = 0; i < 2; ++i) other->RunRoundForTest();  // knows it, and does not lead it
  const MemberId sponsor = env_.AddSponsor(1);
  Effects effects;
  effects.sponsors = {sponsor};
  other->Notify(effects);
  other->RunRoundForTest();
  EXPECT_EQ(other->Stats().offers + other->Stats().offers_refused, 0);
  EXPECT_EQ(StateOf(ticket), TicketState::kWaiting);
  env_.clock.Advance(absl::Seconds(1));
  matcher_->RunRoundForTest();  // hears of the seat over the stream
  EXPECT_EQ(StateOf(ticket), TicketState::kOffered);
}

TEST_F(EngineFaultsTest, TheScrubForgetsCooldownsThatHavePassed) {
  const MemberId sponsor = Offer(1);
  const Ticket ticket = Ask();
  matcher_->RunRoundForTest();
  ASSERT_EQ(env_.SeatsOf(sponsor).open_offer_count, 1);
  env_.clock.Advance(absl::Hours(25));
  sweeper_->Sweep();
  matcher_->RunRoundForTest();
  EXPECT_GT(matcher_->Stats().pairs, 0) << "the two are kept apart for a while";
  ASSERT_EQ(StateOf(ticket), TicketState::kWaiting);
  env_.clock.Advance(absl::Hours(25));
  for (int i = 0; i < 4; ++i) {
    matcher_->RunRoundForTest();
    env_.clock.Advance(absl::Seconds(6));
  }
  EXPECT_EQ(matcher_->Stats().pairs, 0);
  EXPECT_EQ(StateOf(ticket), TicketState::kOffered);
}

// ---- Old request ids ----

TEST_F(EngineFaultsTest, ASweepTrimsOldRequestsInBatchesAndBounded) {
  const auto fill = [this](int rows) {
    env_.Execute(absl::StrCat(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ", rows,
        ") INSERT INTO request_log (caller, method, request_id, request_hash, answer, created_at) "
        "SELECT x'01', '/old', 'r' || i, x'02', x'03', 1 FROM n"));
  };
  const auto left = [this] {
    return env_.Count("SELECT COUNT(*) FROM request_log WHERE method = '/old'");
  };
  env_.AddSponsor(1);
  const int64_t fresh = env_.Count("SELECT COUNT(*) FROM request_log");
  ASSERT_GT(fresh, 0);
  fill(2500);
  sweeper_->Sweep();
  EXPECT_EQ(left(), 0) << "more than one batch of 1000 in one sweep";
  fill(30'500);
  for (int i = 0; i < SweeperOptions().rare_every - 1; ++i) sweeper_->Sweep();
  EXPECT_EQ(left(), 30'500) << "it is rare";
  sweeper_->Sweep();
  EXPECT_EQ(left(), 500) << "and a sweep has an end";
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM request_log"), 500 + fresh);
}

}  // namespace
}  // namespace handrail::matching
