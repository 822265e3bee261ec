// Several committers of one epoch, over two replicas of one database (C2, C3). With a seeded bug,
// the same look at what came of it finds it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/messaging/stores/group_test_util.h"
#include "services/messaging/stores/watched_database.h"

namespace handrail::messaging {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Seeded bugs: faults of construction that the checks must find. None is reachable from production
// code.
enum class Bug {
  kNone,
  kTwoCommitsAnEpoch,  // the epoch is not compared before it is set
};

std::unique_ptr<WatchedDatabase> WithBug(storage::Database& below, Bug bug) {
  if (bug == Bug::kNone) return std::make_unique<WatchedDatabase>(below);
  return std::make_unique<WatchedDatabase>(below, nullptr, [](absl::string_view sql) {
    return absl::StrReplaceAll(sql, {{"AND epoch = $2", "AND $2 >= 0"}});
  });
}

// What the racers saw.
struct History {
  Mutex mutex;
  std::map<int64_t, int> winners ABSL_GUARDED_BY(mutex);  // commits that were accepted, by epoch
  std::set<std::string> won ABSL_GUARDED_BY(mutex);       // Welcomes of accepted commits
  std::set<std::string> seen ABSL_GUARDED_BY(mutex);      // Welcomes that were delivered
  std::set<std::string> refusals ABSL_GUARDED_BY(mutex);  // reasons
  std::atomic<int64_t> sent = 0;
};

class GroupRacesTest : public GroupTest {
 protected:
  // Two replicas, each with its own connections where the backend can.
  void OpenReplicas(Bug bug) {
    for (int i = 0; i < 2; ++i) {
      if (backend_.IsPostgres()) own_.push_back(backend_.Open());
      storage::Database& below = own_.empty() ? *database_ : *own_.back();
      buggy_.push_back(WithBug(below, bug));
      replicas_.push_back(
          std::make_unique<SqlGroupStore>(*buggy_.back(), options_.limits, GroupLimits()));
    }
  }

  // Commits until the group is in `last_epoch`, each time in the epoch that it finds the group in.
  // Every commit adds the watch, or replaces it.
  void CommitUntil(GroupStore& store, const DeviceId& device, int64_t last_epoch,
                   History& history) {
    for (int attempts = 0; attempts < 2000; ++attempts) {
      const auto group = store.GetGroup(kForever, MemberOf(device), device, id_);
      ASSERT_TRUE(group.ok()) << group.status();
      if (group->epoch >= last_epoch) return;
      std::vector<DeviceId> removed;
      for (const GroupDevice& other : group->devices) {
        if (other.device == watch_ && other.state == GroupDeviceState::kInGroup) {
          removed.push_back(watch_);
        }
      }
      const CommitBundle bundle = MakeCommit(device, group->epoch, {watch_}, removed);
      const auto committed = store.Commit(kForever, clock_.Now(), bundle);
      MutexLock lock(history.mutex);
      if (committed.ok()) {
        ++history.winners[bundle.epoch];
        history.won.insert(bundle.welcomes[0].message);
      } else {
        history.refusals.insert(ReasonOf(committed.status()));
      }
    }
    ADD_FAILURE() << "the race does not end";
  }

  void Race(int64_t last_epoch, History& history) {
    std::atomic<bool> over = false;
    std::vector<std::thread> racers;
    const DeviceId devices[] = {ann_phone_, ann_tablet_, bob_phone_};
    for (int i = 0; i < 3; ++i) {
      racers.emplace_back([&, i] {
        CommitUntil(*replicas_[static_cast<size_t>(i % 2)], devices[i], last_epoch, history);
      });
    }
    std::thread sender([&] {
      while (!over) {
        const auto sent = SayIn(GroupNow().epoch, ann_phone_);
        EXPECT_TRUE(sent.ok() || HasReason(sent.status(), reason::kEpochConflict)) << sent.status();
        if (sent.ok()) ++history.sent;
      }
    });
    std::thread watcher([&] {
      while (!over) {
        for (const WelcomePtr& welcome : WelcomesOf(watch_)) {
          MutexLock lock(history.mutex);
          history.seen.insert(welcome->message);
        }
      }
    });
    for (std::thread& racer : racers) racer.join();
    over = true;
    sender.join();
    watcher.join();
  }

  // Whatever is wrong with what the racers saw and with what a reader finds, one line each.
  std::vector<std::string> Faults(History& history) {
    std::vector<std::string> faults;
    MutexLock lock(history.mutex);
    for (const auto& [epoch, winners] : history.winners) {
      if (winners != 1) faults.push_back(absl::StrCat(winners, " commits won epoch ", epoch));
    }
    for (const std::string& welcome : history.seen) {
      if (!history.won.contains(welcome)) faults.push_back("a Welcome of a loser was delivered");
    }
    int64_t sequence = 0;
    int64_t epoch = 0;
    while (true) {
      const auto page = FetchAs(ann_, ann_phone_, id_, sequence);
      if (!page.ok() || page->envelopes.empty()) break;
      for (const EnvelopePtr& envelope : page->envelopes) {
        if (envelope->sequence != ++sequence) faults.push_back("the sequence has a hole");
        if (envelope->epoch > epoch) faults.push_back("a message is ahead of its epoch");
        if (envelope->kind != EnvelopeKind::kCommit) continue;
        if (envelope->epoch != epoch) {
          faults.push_back(absl::StrCat("epoch ", envelope->epoch, " has two commits"));
        }
        epoch = envelope->epoch + 1;
      }
    }
    if (sequence != GroupNow().head_sequence) faults.push_back("messages are missing at the end");
    if (epoch != GroupNow().epoch) faults.push_back("the group is not where its commits lead");
    return faults;
  }

  void MakeGroupOfThree() {
    Apply(ann_, {ann_phone_, ann_tablet_, watch_});
    ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 0, {ann_tablet_, bob_phone_})).ok());
  }

  const DeviceId watch_ = DeviceId::Random(random_);
  std::vector<std::unique_ptr<storage::Database>> own_;
  std::vector<std::unique_ptr<WatchedDatabase>> buggy_;
  std::vector<std::unique_ptr<SqlGroupStore>> replicas_;
};

TEST_P(GroupRacesTest, AnEpochHasOneWinnerAndNothingOfALoserIsSeen) {
  constexpr int64_t kEpochs = 25;
  MakeGroupOfThree();
  OpenReplicas(Bug::kNone);
  History history;
  Race(kEpochs, history);
  EXPECT_THAT(Faults(history), IsEmpty());
  MutexLock lock(history.mutex);
  EXPECT_EQ(history.winners.size(), kEpochs - 1) << "epoch 0 was the group's making";
  EXPECT_THAT(history.refusals, ::testing::ElementsAre("EPOCH_CONFLICT")) << "nobody ever raced";
  EXPECT_FALSE(history.seen.empty());
  EXPECT_GT(history.sent, 0);
}

TEST_P(GroupRacesTest, TheSeededBugIsFound) {
  MakeGroupOfThree();
  check_invariants_ = false;
  OpenReplicas(Bug::kTwoCommitsAnEpoch);
  // The database would refuse the second commit of an epoch even so.
  Plant("DROP INDEX group_commits_once");
  // Each makes its commit before the other's is there.
  const CommitBundle one = MakeCommit(ann_phone_, 1);
  const CommitBundle other = MakeCommit(bob_phone_, 1);
  History history;
  for (size_t i = 0; i < 2; ++i) {
    const CommitBundle& bundle = i == 0 ? one : other;
    ASSERT_TRUE(replicas_[i]->Commit(kForever, clock_.Now(), bundle).ok());
    MutexLock lock(history.mutex);
    ++history.winners[bundle.epoch];
  }
  const std::vector<std::string> faults = Faults(history);
  EXPECT_THAT(faults, Contains("2 commits won epoch 1"));
  EXPECT_THAT(faults, Contains("epoch 1 has two commits"));
  EXPECT_THAT(*CheckMessages(*database_, kForever),
              Contains(HasSubstr("C3: an epoch has two commits")));
}

// Without the comparison the unique index is what is left, and it holds.
TEST_P(GroupRacesTest, TheDatabaseRefusesASecondCommitByItself) {
  MakeGroupOfThree();
  OpenReplicas(Bug::kTwoCommitsAnEpoch);
  const CommitBundle one = MakeCommit(ann_phone_, 1);
  const CommitBundle other = MakeCommit(bob_phone_, 1);
  ASSERT_TRUE(replicas_[0]->Commit(kForever, clock_.Now(), one).ok());
  EXPECT_FALSE(replicas_[1]->Commit(kForever, clock_.Now(), other).ok());
  EXPECT_EQ(GroupNow().epoch, 2);
}

TEST_P(GroupRacesTest, OneOfTwoCreatorsMakesTheGroup) {
  OpenReplicas(Bug::kNone);
  for (int round = 0; round < 10; ++round) {
    id_ = Open(PairingId::Random(random_));
    const CommitBundle bundles[] = {MakeCommit(ann_phone_, 0, {bob_phone_}, {}, "of Ann"),
                                    MakeCommit(bob_phone_, 0, {ann_phone_}, {}, "of Bob")};
    absl::Status results[2];
    std::vector<std::thread> creators;
    for (size_t i = 0; i < 2; ++i) {
      creators.emplace_back([&, i] {
        results[i] = replicas_[i]->Commit(kForever, clock_.Now(), bundles[i]).status();
      });
    }
    for (std::thread& creator : creators) creator.join();
    ASSERT_NE(results[0].ok(), results[1].ok());
    const size_t winner = results[0].ok() ? 0 : 1;
    EXPECT_EQ(ReasonOf(results[1 - winner]), "EPOCH_CONFLICT");
    EXPECT_EQ(GroupNow().group_id, bundles[winner].group_id);
    EXPECT_EQ(GroupNow().epoch, 1);
    size_t welcomes = 0;
    for (const DeviceId& device : {ann_phone_, bob_phone_}) {
      for (const WelcomePtr& welcome : WelcomesOf(device)) {
        if (welcome->conversation != id_) continue;
        ++welcomes;
        EXPECT_EQ(welcome->message, bundles[winner].welcomes[0].message);
      }
    }
    EXPECT_EQ(welcomes, 1u);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, GroupRacesTest,
                         ::testing::ValuesIn(storage::DurableTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
