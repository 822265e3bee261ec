// Two claims that both find nothing but the last-resort package, at the same time (C4). SQLite
// writes one after the other, so only PostgreSQL can get it wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "services/messaging/stores/sql_key_package_store.h"
#include "services/messaging/stores/store_test_util.h"
#include "services/messaging/stores/watched_database.h"

namespace handrail::messaging {
namespace {

constexpr absl::string_view kReadsLastResort = "AND state = 3";

class LastResortRaceTest : public StoreTest {
 protected:
  void SetUp() override {
    Apply(carol_, {carol_phone_});
    with_ann_ = OpenBetweenKnown();
    const auto opened = store_->OpenConversation(kForever, clock_.Now(), PairingId::Random(random_),
                                                 {{carol_, bob_}});
    ASSERT_TRUE(opened.ok()) << opened.status();
    with_carol_ = opened->id;
    const NewKeyPackage last{"message", "body"};
    SqlKeyPackageStore keys(*database_, KeyPackageLimits());
    ASSERT_TRUE(keys.Publish(kForever, clock_.Now(), bob_, bob_phone_, {}, &last).ok());
  }

  // What Carol's claim gives while Ann's has read the package and is not committed.
  KeyPackageClaim ClaimBesideAnother(const WatchedDatabase::Rewrite& rewrite) {
    Mutex mutex;
    CondVar changed;
    bool has_read = false;
    bool may_go_on = false;
    WatchedDatabase pausing(
        *database_,
        [&](absl::string_view sql, storage::Rows&) {
          if (!absl::StrContains(sql, kReadsLastResort)) return;
          MutexLock lock(mutex);
          has_read = true;
          changed.SignalAll();
          while (!may_go_on && changed.WaitFor(mutex, absl::Seconds(20))) {
          }
        },
        rewrite);
    absl::StatusOr<KeyPackageClaim> of_ann = KeyPackageClaim();
    std::thread ann([&] {
      SqlKeyPackageStore keys(pausing, KeyPackageLimits());
      of_ann = keys.Claim(kForever, clock_.Now(), ann_, ann_phone_, "claim", with_ann_, {});
    });
    {
      MutexLock lock(mutex);
      while (!has_read) changed.Wait(mutex);
    }
    WatchedDatabase beside(*database_, nullptr, rewrite);
    SqlKeyPackageStore keys(beside, KeyPackageLimits());
    const auto of_carol = keys.Claim(SystemClock().Now() + absl::Seconds(10), clock_.Now(), carol_,
                                     carol_phone_, "claim", with_carol_, {});
    {
      MutexLock lock(mutex);
      may_go_on = true;
      changed.SignalAll();
    }
    ann.join();
    EXPECT_TRUE(of_ann.ok()) << of_ann.status();
    EXPECT_TRUE(of_carol.ok()) << of_carol.status();
    return of_carol.ok() ? *of_carol : KeyPackageClaim();
  }

  const MemberId carol_ = MemberId::Random(random_);
  const DeviceId carol_phone_ = DeviceId::Random(random_);
  ConversationId with_ann_;
  ConversationId with_carol_;
};

TEST_P(LastResortRaceTest, BothGetIt) {
  const KeyPackageClaim claim = ClaimBesideAnother(nullptr);
  ASSERT_EQ(claim.packages.size(), 1u);
  EXPECT_TRUE(claim.packages.front().last_resort);
}

TEST_P(LastResortRaceTest, LockedTheSecondWouldGetNothing) {
  const KeyPackageClaim claim = ClaimBesideAnother([](absl::string_view sql) {
    return absl::StrReplaceAll(sql, {{kReadsLastResort, "AND state = 3 FOR UPDATE SKIP LOCKED"}});
  });
  EXPECT_TRUE(claim.packages.empty());
  EXPECT_EQ(claim.without, std::vector<DeviceId>{bob_phone_});
}

INSTANTIATE_TEST_SUITE_P(Backends, LastResortRaceTest,
                         ::testing::Values(storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
