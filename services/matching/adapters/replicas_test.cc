#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/storage/redis.h"
#include "common/testing/temporary_redis.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/adapters/redis_queue.h"
#include "services/matching/domain/matcher.h"
#include "services/matching/domain/reconciler.h"
#include "services/matching/domain/sweeper.h"
#include "services/matching/stores/invariants.h"
#include "services/matching/stores/ledger_test_env.h"

// Four replicas, each with a matcher, a sweeper, a reconciler and links of its own, over one pool
// in one database and one Redis, while people ask, answer, cancel and change their minds, replicas
// die at any moment and Redis loses its data. No invariant may ever be broken, and nothing may be
// lost.
namespace handrail::matching {
namespace {

using storage::TestBackend;

constexpr absl::Time kNever = absl::InfiniteFuture();
constexpr size_t kReplicas = 4;
constexpr int kSponsors = 40;
constexpr int kTickets = 500;
constexpr int kDeaths = 12;

// Cuts a replica off from the world at once, wherever it is. Answers may come after its end.
using Life = std::shared_ptr<std::atomic<bool>>;

// A database as a replica sees it that may die: what it had begun may still take effect, and it
// never hears of it.
class MortalDatabase final : public storage::Database {
 public:
  MortalDatabase(storage::Database& below, Life alive) : below_(below), alive_(std::move(alive)) {}
  absl::string_view BackendName() const override { return below_.BackendName(); }
  storage::DatabaseStats Stats() const override { return below_.Stats(); }

 private:
  static absl::Status Gone() { return UnavailableError(reason::kOutcomeUnknown, "the end"); }
  absl::Status Heard(absl::Status status) const { return *alive_ ? status : Gone(); }
  absl::Status DoWrite(absl::Time deadline, Work work) override {
    return *alive_ ? Heard(below_.Write(deadline, work)) : Gone();
  }
  void DoWriteAsync(absl::Time deadline, AsyncWork work, Done done) override {
    if (!*alive_) return done(Gone());
    below_.WriteAsync(deadline, std::move(work),
                      [alive = alive_, done = std::move(done)](absl::Status status) {
                        done(*alive ? std::move(status) : Gone());
                      });
  }
  absl::Status DoRead(absl::Time deadline, Work work) override {
    return *alive_ ? Heard(below_.Read(deadline, work)) : Gone();
  }
  absl::Status DoMigrate(absl::Span<const storage::Migration> migrations) override {
    return below_.Migrate(migrations);
  }
  absl::StatusOr<absl::Time> DoNow(absl::Time deadline) override { return below_.Now(deadline); }

  storage::Database& below_;
  const Life alive_;
};

class MortalRedis final : public storage::Redis {
 public:
  MortalRedis(storage::Redis& below, Life alive) : below_(below), alive_(std::move(alive)) {}
  bool IsConnected() const override { return *alive_ && below_.IsConnected(); }
  int64_t ConnectionEpoch() const override { return below_.ConnectionEpoch(); }
  std::string OwnerOf(absl::string_view key) const override { return below_.OwnerOf(key); }

 private:
  static absl::Status Gone() { return UnavailableError(reason::kRedisUnavailable, "the end"); }
  Done Heard(Done done) const {
    return [alive = alive_, done = std::move(done)](absl::StatusOr<storage::RedisReply> reply) {
      if (!*alive) return done(Gone());
      done(std::move(reply));
    };
  }
  void DoCommand(absl::Time deadline, absl::Span<const absl::string_view> args,
                 Done done) override {
    if (!*alive_) return done(Gone());
    below_.CommandAsync(deadline, args, Heard(std::move(done)));
  }
  void DoEval(absl::Time deadline, const storage::RedisScript& script,
              absl::Span<const std::string> keys, absl::Span<const std::string> args,
              Done done) override {
    if (!*alive_) return done(Gone());
    below_.EvalAsync(deadline, script, keys, args, Heard(std::move(done)));
  }

  storage::Redis& below_;
  const Life alive_;
};

class Replica {
 public:
  Replica(LedgerTestEnv& env, const std::string& redis_url) : env_(env) {
    if (env.test_database.IsPostgres()) {
      storage::DatabaseOptions options = env.test_database.options;
      options.connections = 6;
      own_database_ = *storage::OpenDatabase(options);
    }
    storage::Database& shared = own_database_ != nullptr ? *own_database_ : *env.database;
    database_ = std::make_unique<MortalDatabase>(shared, alive_);
    ledger_ = std::make_unique<SqlLedger>(*database_, env.vault, env.pools, env.random,
                                          BuiltInPrograms(), LedgerOptions());
    storage::RedisOptions redis_options;
    redis_options.url = redis_url;
    redis_options.clock = &env.clock;
    link_ = *storage::ConnectRedis(redis_options);
    redis_ = std::make_unique<MortalRedis>(*link_, alive_);
    queue_ = std::make_unique<RedisQueue>(*redis_, env.pools);
    MatcherOptions matcher;
    matcher.response_deadline = absl::Seconds(20);
    matcher.pause_without_redis = absl::Milliseconds(5);
    matcher_ = std::make_unique<Matcher>(*ledger_, *queue_, members_, chooser_, BuiltInPrograms(),
                                         env.clock, env.random, matcher, Matcher::Sink());
    const auto notify = [this](const Effects& effects) { matcher_->Notify(effects); };
    const auto pools = [this] { return matcher_->Pools(); };
    SweeperOptions sweeper;
    sweeper.interval = absl::Milliseconds(50);
    sweeper_ = std::make_unique<Sweeper>(*ledger_, *queue_, env.clock, sweeper, pools, notify);
    ReconcilerOptions reconciler;
    reconciler.interval = absl::Milliseconds(50);
    reconciler_ = std::make_unique<Reconciler>(*ledger_, *queue_, members_, env.clock, env.random,
                                               reconciler, pools);
    reconciler_->Start();
    matcher_->Start();
    sweeper_->Start();
  }
  // From here on nothing more reaches a store: no lease is given back, no claim settled.
  void Die() { *alive_ = false; }
  ~Replica() {
    Die();
    sweeper_->Stop();
    reconciler_->Stop();
    matcher_->Stop();
  }

  Ledger& ledger() { return *ledger_; }
  void Notify(const Effects& effects) { matcher_->Notify(effects); }
  MatcherStats Stats() const { return matcher_->Stats(); }

 private:
  LedgerTestEnv& env_;
  const Life alive_ = std::make_shared<std::atomic<bool>>(true);
  std::unique_ptr<storage::Database> own_database_;
  std::unique_ptr<MortalDatabase> database_;
  std::unique_ptr<SqlLedger> ledger_;
  std::unique_ptr<storage::Redis> link_;
  std::unique_ptr<MortalRedis> redis_;
  std::unique_ptr<RedisQueue> queue_;
  MemberCache members_{10'000};
  RuleSet rules_;
  Scorer scorer_;
  Chooser chooser_{rules_, scorer_};
  std::unique_ptr<Matcher> matcher_;
  std::unique_ptr<Sweeper> sweeper_;
  std::unique_ptr<Reconciler> reconciler_;
};

class ReplicasTest : public ::testing::TestWithParam<TestBackend> {
 protected:
  ReplicasTest() : env_(GetParam()) {
    pool_.philosophy = Philosophy::kTwelveStepAa;
    for (int i = 0; i < kSponsors; ++i) sponsors_.push_back(env_.AddSponsor(1 + i % 3));
    for (auto& replica : replicas_) replica = std::make_shared<Replica>(env_, server_.url());
    time_ = std::make_unique<PeriodicTask>(absl::Milliseconds(2), [this] { MoveTime(); });
  }
  ~ReplicasTest() override {
    actors_.clear();
    for (auto& replica : replicas_) replica.reset();  // while time moves: nobody waits for ever
  }
  void StartActor(absl::Duration interval, std::function<void()> step) {
    actors_.push_back(std::make_unique<PeriodicTask>(interval, std::move(step)));
  }

  // Four times as fast as real time, so that claims, leases and offers expire within the test; at
  // the end as fast, so that not too many offers time out while we look for a quiet moment.
  void MoveTime() {
    const absl::Time now = SystemClock().Now();
    env_.clock.Advance(speed_.load() * (now - real_time_));
    real_time_ = now;
  }

  // Asks one replica, and another one when that one has gone, as a client would.
  template <typename Step>
  auto Ask(const Step& step) {
    while (true) {
      const std::shared_ptr<Replica> replica = SomeReplica();
      auto result = step(replica->ledger());
      if (result.ok()) {
        if constexpr (requires { result->effects; }) replica->Notify(result->effects);
      }
      if (result.ok() || result.status().code() != absl::StatusCode::kUnavailable) return result;
    }
  }
  std::shared_ptr<Replica> SomeReplica() {
    MutexLock lock(mutex_);
    return replicas_[env_.random.Below(kReplicas)];
  }
  // One dies and is replaced; what the others and the people do goes on meanwhile.
  void Kill(size_t number) {
    auto fresh = std::make_shared<Replica>(env_, server_.url());
    {
      MutexLock lock(mutex_);
      std::swap(replicas_[number], fresh);
    }
    fresh->Die();
    const MatcherStats stats = fresh->Stats();
    offers_ += stats.offers;
    refused_ += stats.offers_refused + stats.claims_refused;
  }

  Call As(const MemberId& member) {
    Call call;
    call.who.kind = Principal::Kind::kMember;
    call.who.member = member;
    call.method = "/replicas";
    call.request_id = absl::StrCat("r", ++requests_);
    call.request_hash = "hash";
    return call;
  }
  const MemberId& SomeSponsor() { return sponsors_[env_.random.Below(sponsors_.size())]; }

  void OpenTicket() {
    if (opened_++ >= kTickets) return;
    const MemberId id = MemberId::Random(env_.random);
    EXPECT_TRUE(Ask([&](Ledger& ledger) {
                  return ledger.ApplyMember(kNever, env_.clock.Now(), env_.Newcomer(id));
                }).ok());
    const Call call = As(id);  // the same request, whoever answers
    NewTicket ticket;
    // One that has one offer at a time: then exactly those who wait are queued.
    ticket.relationship_type = RelationshipType::kSponsor;
    ticket.pool = pool_;
    ticket.member_version = 1;
    const auto answer = Ask([&](Ledger& ledger) {
      ticket.id = TicketId::Random(env_.random);
      std::promise<absl::StatusOr<Changed<Ticket>>> opened;
      ledger.OpenTicket(
          call, env_.clock.Now(), ticket,
          [&](absl::StatusOr<Changed<Ticket>> result) { opened.set_value(std::move(result)); });
      return opened.get_future().get();
    });
    ASSERT_TRUE(answer.ok()) << answer.status();
    MutexLock lock(mutex_);
    acknowledged_.push_back(answer->value);
  }
  // Takes most offers, declines some, and lets some pass.
  void AnswerOffers() {
    const MemberId sponsor = SomeSponsor();
    const auto offers = Ask(
        [&](Ledger& ledger) { return ledger.ListOffers(As(sponsor), false, 10, std::nullopt); });
    ASSERT_TRUE(offers.ok()) << offers.status();
    for (const Offer& offer : offers->items) {
      const uint64_t mood = env_.random.Below(100);
      const Call call = As(sponsor);
      if (mood < 50) {
        Expect(Ask([&](Ledger& ledger) {
                 return ledger.AcceptOffer(call, env_.clock.Now(), offer.id);
               }).status(),
               reason::kOfferNotOpen);
      } else if (mood < 60) {
        Expect(Ask([&](Ledger& ledger) {
                 return ledger.DeclineOffer(call, env_.clock.Now(), offer.id);
               }).status(),
               reason::kOfferNotOpen);
      }
    }
  }
  void EndAPairing() {
    const MemberId sponsor = SomeSponsor();
    const auto pairings =
        Ask([&](Ledger& ledger) { return ledger.ListPairings(As(sponsor), 10, std::nullopt); });
    ASSERT_TRUE(pairings.ok()) << pairings.status();
    for (const Pairing& pairing : pairings->items) {
      if (pairing.state == PairingState::kEnded || env_.random.Below(3) != 0) continue;
      const Call call = As(sponsor);
      Expect(Ask([&](Ledger& ledger) {
               return ledger.EndPairing(call, env_.clock.Now(), pairing.id,
                                        EndReason::kUnspecified);
             }).status(),
             reason::kPairingEnded);
    }
  }
  void ChangeCapacity() {
    const Call call = As(SomeSponsor());
    const int capacity = static_cast<int>(env_.random.Below(4));
    Expect(Ask([&](Ledger& ledger) {
             return ledger.SetAvailability(call, env_.clock.Now(), capacity, true);
           }).status(),
           "");
    CancelATicket();
  }
  void CancelATicket() {
    Ticket ticket;
    {
      MutexLock lock(mutex_);
      if (acknowledged_.empty() || env_.random.Below(4) != 0) return;
      ticket = acknowledged_[env_.random.Below(acknowledged_.size())];
    }
    const Call call = As(ticket.newcomer);
    Expect(Ask([&](Ledger& ledger) {
             return ledger.CancelTicket(call, env_.clock.Now(), ticket.id);
           }).status(),
           reason::kTicketNotOpen);
  }
  // It went well, or was refused for the one reason for which it may be.
  static void Expect(const absl::Status& status, absl::string_view reason) {
    EXPECT_TRUE(status.ok() || HasReason(status, reason)) << status;
  }
  void LookForViolations() {
    const auto violations = CheckLedger(*env_.database, env_.clock.Now());
    ASSERT_TRUE(violations.ok()) << violations.status();
    for (const Violation& violation : *violations) {
      ADD_FAILURE() << violation.invariant << ": " << violation.text;
    }
    ++looks_;
  }

  bool Await(const std::function<bool()>& condition) {
    const SystemClock real;
    const absl::Time give_up = real.Now() + absl::Seconds(90);
    Mutex mutex;
    CondVar never;
    MutexLock lock(mutex);
    while (!condition()) {
      if (real.Now() > give_up || HasFailure()) return false;
      never.WaitFor(mutex, absl::Milliseconds(5));
    }
    return true;
  }
  // Redis holds exactly who waits, nothing is claimed, and no seat is free beside somebody waiting.
  bool IsSettled() {
    const absl::Time soon = env_.clock.Now() + absl::Seconds(10);
    RedisQueue queue(*Link(), env_.pools);
    std::set<TicketId> queued;
    std::string cursor;
    do {
      const auto part = queue.ScanTickets(soon, pool_, cursor);
      if (!part.ok()) return false;
      queued.insert(part->tickets.begin(), part->tickets.end());
      cursor = part->cursor;
    } while (!cursor.empty());
    const auto waiting = env_.ledger->LoadWaiting(kNever, pool_, 10'000, std::nullopt);
    const auto depth = queue.ReadDepth(soon, pool_);
    if (!waiting.ok() || !depth.ok()) return false;
    std::set<TicketId> expected;
    for (const TicketChange& ticket : *waiting) expected.insert(ticket.ticket);
    const int64_t free = env_.Count(
        "SELECT COALESCE(SUM(CASE WHEN s.capacity > held THEN s.capacity - held ELSE 0 END), 0) "
        "FROM (SELECT capacity, (SELECT COUNT(*) FROM seats h WHERE h.sponsor = p.id) AS held "
        "FROM sponsors p WHERE accepting = 1) AS s");
    unsettled_ = absl::StrCat(expected.size(), " wait, ", queued.size(), " are queued, ",
                              depth->claimed, " claims, ", free, " seats are free, ",
                              depth->available, " sponsors are queued");
    return queued == expected && depth->claimed == 0 && (free == 0 || expected.empty());
  }
  storage::Redis* Link() {
    if (link_ == nullptr) {
      storage::RedisOptions options;
      options.url = server_.url();
      options.clock = &env_.clock;
      link_ = *storage::ConnectRedis(options);
    }
    return link_.get();
  }

  LedgerTestEnv env_;
  testing::TemporaryRedis server_;
  std::unique_ptr<storage::Redis> link_;
  PoolKey pool_;
  std::vector<MemberId> sponsors_;
  std::string unsettled_;
  std::atomic<int64_t> requests_ = 1'000'000;  // the environment counts from 1
  std::atomic<int> opened_ = 0;
  int64_t offers_ = 0;
  int64_t refused_ = 0;
  std::atomic<int64_t> looks_ = 0;
  Mutex mutex_;
  std::array<std::shared_ptr<Replica>, kReplicas> replicas_;
  std::vector<Ticket> acknowledged_ ABSL_GUARDED_BY(mutex_);
  std::atomic<int> speed_ = 4;
  absl::Time real_time_ = SystemClock().Now();
  std::unique_ptr<PeriodicTask> time_;
  std::vector<std::unique_ptr<PeriodicTask>> actors_;
};

TEST_P(ReplicasTest, RaceOverOnePoolAndNothingIsBrokenOrLost) {
  for (int i = 0; i < 2; ++i) StartActor(absl::Milliseconds(4), [this] { OpenTicket(); });
  for (int i = 0; i < 2; ++i) StartActor(absl::Milliseconds(2), [this] { AnswerOffers(); });
  StartActor(absl::Milliseconds(3), [this] { EndAPairing(); });
  StartActor(absl::Milliseconds(10), [this] { ChangeCapacity(); });
  StartActor(absl::Milliseconds(20), [this] { LookForViolations(); });
  const auto acknowledged = [this] {
    MutexLock lock(mutex_);
    return static_cast<int>(acknowledged_.size());
  };
  for (int death = 1; death <= kDeaths; ++death) {
    ASSERT_TRUE(Await([&] { return acknowledged() >= death * kTickets / (kDeaths + 2); }));
    Kill(static_cast<size_t>(death) % kReplicas);
    if (death % 5 == 0) server_.FlushAll();
  }
  ASSERT_TRUE(Await([&] { return acknowledged() >= kTickets; }));
  actors_.clear();
  speed_ = 1;
  EXPECT_TRUE(Await([this] { return IsSettled(); })) << unsettled_;
  LookForViolations();
  MutexLock lock(mutex_);
  for (const Ticket& ticket : acknowledged_) {
    EXPECT_EQ(env_.TicketNow(ticket).create_time, ticket.create_time) << "its age is kept";
  }
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM tickets"), kTickets);
  for (const auto& replica : replicas_) {
    offers_ += replica->Stats().offers;
    refused_ += replica->Stats().offers_refused + replica->Stats().claims_refused;
  }
  EXPECT_GT(offers_, kTickets / 4);
  EXPECT_GT(looks_, 10);
  std::printf("%d deaths, %d offers by %zu replicas, %d refused, %d pairings, %d looks\n", kDeaths,
              static_cast<int>(offers_), kReplicas, static_cast<int>(refused_),
              static_cast<int>(env_.Count("SELECT COUNT(*) FROM pairings")),
              static_cast<int>(looks_));
}

INSTANTIATE_TEST_SUITE_P(Backends, ReplicasTest,
                         ::testing::Values(TestBackend::kSqliteMemory, TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::matching
