#ifndef HANDRAIL_SERVICES_MATCHING_ADAPTERS_REPLICAS_TEST_ENV_H_
#define HANDRAIL_SERVICES_MATCHING_ADAPTERS_REPLICAS_TEST_ENV_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"
#include "common/storage/redis.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/adapters/redis_queue.h"
#include "services/matching/domain/matcher.h"
#include "services/matching/domain/reconciler.h"
#include "services/matching/domain/sweeper.h"
#include "services/matching/stores/ledger_test_env.h"

// Replicas of matching that may die at any moment, and may have a bug.
namespace handrail::matching {

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

// Seeded bugs: each is a fault of construction that the checks must find. None is reachable from
// production code.
enum class Bug {
  kNone,
  kRivalsStayOpen,  // an accepted offer does not rescind those beside it
  kKeepsSeats,      // it does, and their seats are not given back
  kAcceptsTwice,    // nor is the ticket looked at: each of them can be accepted
  kForgetsRoom,     // a ticket with offers open and room for one more is found by nobody
};

// A database as a process with such a bug uses it.
class BuggyDatabase final : public storage::Database {
 public:
  BuggyDatabase(storage::Database& below, Bug bug) : below_(below), bug_(bug) {}
  absl::string_view BackendName() const override { return below_.BackendName(); }
  storage::DatabaseStats Stats() const override { return below_.Stats(); }

 private:
  class BuggyTransaction final : public storage::Transaction {
   public:
    BuggyTransaction(storage::Transaction& below, Bug bug) : below_(below), bug_(bug) {}

   private:
    absl::StatusOr<storage::Rows> DoQuery(absl::string_view sql,
                                          const storage::Args& args) override {
      if (bug_ == Bug::kForgetsRoom && absl::StrContains(sql, "exclusive = 0 AND pool")) {
        return storage::Rows();
      }
      if (bug_ == Bug::kAcceptsTwice && absl::StrContains(sql, "UPDATE tickets SET state = 3")) {
        return below_.Query(absl::StrReplaceAll(sql, {{"AND state = 2", "AND state > 1"}}), args);
      }
      return below_.Query(sql, args);
    }
    absl::StatusOr<int64_t> DoExecute(absl::string_view sql, const storage::Args& args) override {
      if (absl::StartsWith(sql, "UPDATE offers SET state = 2")) accepts_ = true;
      const bool rescinds = accepts_ && absl::StartsWith(sql, "UPDATE offers SET state = $2");
      if (rescinds && (bug_ == Bug::kRivalsStayOpen || bug_ == Bug::kAcceptsTwice)) return 0;
      const bool frees = accepts_ && absl::StartsWith(sql, "DELETE FROM seats");
      if (frees && bug_ == Bug::kKeepsSeats) return 1;
      return below_.Execute(sql, args);
    }

    storage::Transaction& below_;
    const Bug bug_;
    bool accepts_ = false;
  };

  absl::Status DoWrite(absl::Time deadline, Work work) override {
    return below_.Write(deadline, [&](storage::Transaction& tx) {
      BuggyTransaction buggy(tx, bug_);
      return work(buggy);
    });
  }
  void DoWriteAsync(absl::Time deadline, AsyncWork work, Done done) override {
    below_.WriteAsync(
        deadline,
        [bug = bug_, work = std::move(work)](storage::Transaction& tx) {
          BuggyTransaction buggy(tx, bug);
          return work(buggy);
        },
        std::move(done));
  }
  absl::Status DoRead(absl::Time deadline, Work work) override {
    return below_.Read(deadline, [&](storage::Transaction& tx) {
      BuggyTransaction buggy(tx, bug_);
      return work(buggy);
    });
  }
  absl::Status DoMigrate(absl::Span<const storage::Migration> migrations) override {
    return below_.Migrate(migrations);
  }
  absl::StatusOr<absl::Time> DoNow(absl::Time deadline) override { return below_.Now(deadline); }

  storage::Database& below_;
  const Bug bug_;
};

// One process of matching: links of its own, and everything that it runs by itself.
class Replica {
 public:
  struct Options {
    std::string redis_url;
    absl::Duration response_deadline = absl::Seconds(20);
    Bug bug = Bug::kNone;
  };
  Replica(LedgerTestEnv& env, const Options& replica) {
    if (env.test_database.IsPostgres()) {
      storage::DatabaseOptions options = env.test_database.options;
      options.connections = 6;
      own_database_ = *storage::OpenDatabase(options);
    }
    storage::Database& shared = own_database_ != nullptr ? *own_database_ : *env.database;
    mortal_database_ = std::make_unique<MortalDatabase>(shared, alive_);
    database_ = std::make_unique<BuggyDatabase>(*mortal_database_, replica.bug);
    ledger_ = std::make_unique<SqlLedger>(*database_, env.vault, env.pools, env.random,
                                          BuiltInPrograms(), LedgerOptions());
    storage::RedisOptions redis_options;
    redis_options.url = replica.redis_url;
    redis_options.clock = &env.clock;
    link_ = *storage::ConnectRedis(redis_options);
    redis_ = std::make_unique<MortalRedis>(*link_, alive_);
    queue_ = std::make_unique<RedisQueue>(*redis_, env.pools);
    MatcherOptions matcher;
    matcher.response_deadline = replica.response_deadline;
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
  const Life alive_ = std::make_shared<std::atomic<bool>>(true);
  std::unique_ptr<storage::Database> own_database_;
  std::unique_ptr<MortalDatabase> mortal_database_;
  std::unique_ptr<BuggyDatabase> database_;
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

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_REPLICAS_TEST_ENV_H_
