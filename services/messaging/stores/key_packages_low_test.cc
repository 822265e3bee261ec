// When a stream tells that few key packages are left, as a walk sees it that publishes, claims and
// looks; and ways to get it wrong, each of which the same walk finds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/messaging/domain/stream_session.h"
#include "services/messaging/stores/sql_key_package_store.h"
#include "services/messaging/stores/store_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

enum class Bug { kNone, kTellsEachTime, kClaimsWakeNobody, kEnoughWakesNobody };

class KeyPackagesLowTest : public StoreTest {
 protected:
  static constexpr int kLowWater = 3;

  void SetUp() override {
    id_ = OpenBetweenKnown();
    KeyPackageLimits limits;
    limits.low_water = options_.key_packages.low_water = kLowWater;
    limits.claims_per_pair = limits.claims_per_member = 10'000;
    OpenStore();
    keys_ = std::make_unique<SqlKeyPackageStore>(*database_, limits);
  }

  // A stream of Bob's phone that has begun and read.
  void OpenSession() {
    session_ = std::make_unique<StreamSession>(
        bob_phone_, absl::Span<const Cursor>(), StreamSession::Options(), [] {}, [] {});
    session_->Start(*store_->StartStream(kForever, clock_.Now(), bob_, bob_phone_));
    Look();
  }
  // What a wake-up of the device does.
  void Wake() {
    session_->OnWakeUp(ConversationId());
    Look();
  }
  void Look() {
    for (auto plan = session_->NextRead(); plan.wanted; plan = session_->NextRead()) {
      session_->OnRead(plan, store_->ReadStream(kForever, clock_.Now(), bob_phone_, plan.positions,
                                                plan.everything, plan.limit));
    }
  }
  int TakeTold() {
    int told = 0;
    for (const Event& event : session_->Take(1000, 1 << 20)) {
      told += std::holds_alternative<KeyPackagesLow>(event) ? 1 : 0;
    }
    return told;
  }

  bool IsLow() { return keys_->Count(kForever, clock_.Now(), bob_, bob_phone_)->low; }

  void Publish(int count, Bug bug) {
    std::vector<NewKeyPackage> packages;
    for (int i = 0; i < count; ++i) {
      const std::string name = absl::StrCat(++made_);
      packages.push_back({absl::StrCat("message ", name), absl::StrCat("body ", name), ends_});
    }
    const auto published =
        keys_->Publish(kForever, clock_.Now(), bob_, bob_phone_, packages, nullptr);
    ASSERT_TRUE(published.ok()) << published.status();
    if (session_ != nullptr && !published->low && bug != Bug::kEnoughWakesNobody) Wake();
  }
  void Claim(Bug bug) {
    const auto claim = keys_->Claim(kForever, clock_.Now(), ann_, ann_phone_,
                                    absl::StrCat(++claims_), id_, {{bob_phone_}});
    ASSERT_TRUE(claim.ok()) << claim.status();
    if (claim->running_low.empty() || bug == Bug::kClaimsWakeNobody) return;
    if (bug == Bug::kEnoughWakesNobody && !IsLow()) return;
    Wake();
  }

  // What was wrong first; empty when nothing was. A device is told when a stream begins with few,
  // and in the very step in which they become few.
  std::string Walk(Bug bug) {
    OpenSession();
    Publish(kLowWater + 2, bug);
    bool was_low = false;
    for (int step = 0; step < 120; ++step) {
      const uint64_t what = random_.Below(20);
      const bool begins = what == 0;
      if (begins) {
        OpenSession();
      } else if (what < 5) {
        Publish(static_cast<int>(random_.Below(kLowWater + 2)) + 1, bug);
      } else if (what < 8) {
        if (bug == Bug::kTellsEachTime) OpenSession();
        if (bug != Bug::kEnoughWakesNobody) Wake();  // for any other reason
      } else {
        Claim(bug);
      }
      const bool low = IsLow();
      const int expected = low && (!was_low || begins) ? 1 : 0;
      if (const int told = TakeTold(); told != expected) {
        return absl::StrCat("step ", step, ": told ", told, " times, not ", expected);
      }
      was_low = low;
    }
    return "";
  }

  ConversationId id_;
  std::unique_ptr<SqlKeyPackageStore> keys_;
  std::unique_ptr<StreamSession> session_;
  absl::Time ends_ = absl::InfiniteFuture();  // of what is published
  int made_ = 0;
  int claims_ = 0;
};

TEST_P(KeyPackagesLowTest, AWalkIsToldEachTimeOnce) { EXPECT_EQ(Walk(Bug::kNone), ""); }

TEST_P(KeyPackagesLowTest, AStreamThatTellsForEverIsFound) {
  EXPECT_THAT(Walk(Bug::kTellsEachTime), Not(IsEmpty()));
}

TEST_P(KeyPackagesLowTest, AClaimThatWakesNobodyIsFound) {
  EXPECT_THAT(Walk(Bug::kClaimsWakeNobody), Not(IsEmpty()));
}

TEST_P(KeyPackagesLowTest, AStreamThatNeverHearsOfMoreIsFound) {
  EXPECT_THAT(Walk(Bug::kEnoughWakesNobody), Not(IsEmpty()));
}

// Nobody took the last of them, so nobody noticed that they ended.
TEST_P(KeyPackagesLowTest, AClaimThatFindsOnlyTheLastResortTells) {
  const NewKeyPackage last_resort{"message of the last resort", "body of the last resort"};
  ASSERT_TRUE(keys_->Publish(kForever, clock_.Now(), bob_, bob_phone_, {}, &last_resort).ok());
  ends_ = clock_.Now() + absl::Hours(24);
  Publish(kLowWater + 2, Bug::kNone);
  OpenSession();
  ASSERT_EQ(TakeTold(), 0);
  clock_.Advance(absl::Hours(25));
  Claim(Bug::kNone);
  EXPECT_EQ(TakeTold(), 1);
  Claim(Bug::kNone);
  EXPECT_EQ(TakeTold(), 0) << "once is enough";
}

TEST_P(KeyPackagesLowTest, AClaimThatFindsNothingTells) {
  ends_ = clock_.Now() + absl::Hours(24);
  Publish(kLowWater + 2, Bug::kNone);
  OpenSession();
  ASSERT_EQ(TakeTold(), 0);
  clock_.Advance(absl::Hours(25));
  Claim(Bug::kNone);
  EXPECT_EQ(TakeTold(), 1);
}

INSTANTIATE_TEST_SUITE_P(Backends, KeyPackagesLowTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
