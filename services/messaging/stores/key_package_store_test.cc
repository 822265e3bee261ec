// Every sentence of KeyPackageStore, over every database.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/crypto/hash.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/domain/mls_framing.h"
#include "services/messaging/stores/sql_key_package_store.h"
#include "services/messaging/stores/store_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class KeyPackageStoreTest : public StoreTest {
 protected:
  void SetUp() override {
    id_ = OpenBetweenKnown();
    OpenKeys({});
  }
  void OpenKeys(const KeyPackageLimits& limits) {
    keys_ = std::make_unique<SqlKeyPackageStore>(*database_, limits);
  }

  static NewKeyPackage Package(absl::string_view text) {
    return {absl::StrCat("message of ", text), absl::StrCat("body of ", text)};
  }
  static std::vector<NewKeyPackage> Packages(absl::string_view text, int count) {
    std::vector<NewKeyPackage> packages;
    for (int i = 0; i < count; ++i) packages.push_back(Package(absl::StrCat(text, i)));
    return packages;
  }
  absl::StatusOr<KeyPackageCount> Publish(const std::vector<NewKeyPackage>& packages) {
    return keys_->Publish(kForever, clock_.Now(), bob_, bob_phone_, packages, nullptr);
  }
  absl::StatusOr<KeyPackageCount> PublishLast(absl::string_view text) {
    const NewKeyPackage last = Package(text);
    return keys_->Publish(kForever, clock_.Now(), bob_, bob_phone_, {}, &last);
  }
  absl::StatusOr<KeyPackageClaim> Claim(const std::string& claim_id,
                                        const std::vector<DeviceId>& devices = {}) {
    return keys_->Claim(kForever, clock_.Now(), ann_, ann_phone_, claim_id, id_, devices);
  }
  // The message of the only package that a claim gives; or why there is none.
  std::string ClaimOne(const std::string& claim_id) {
    const auto claim = Claim(claim_id);
    if (!claim.ok()) return ReasonOf(claim.status());
    if (claim->packages.empty()) return "nothing";
    const ClaimedKeyPackage& package = claim->packages.front();
    return absl::StrCat(package.message, package.last_resort ? ", last resort" : "");
  }
  int64_t Available() { return keys_->Count(kForever, clock_.Now(), bob_, bob_phone_)->available; }

  ConversationId id_;
  std::unique_ptr<SqlKeyPackageStore> keys_;
};

TEST_P(KeyPackageStoreTest, HandsOutEachOnceTheOldestFirst) {
  EXPECT_EQ(Publish(Packages("p", 3))->available, 3);
  EXPECT_EQ(Publish(Packages("q", 1))->available, 4);
  EXPECT_EQ(ClaimOne("1"), "message of p0");
  EXPECT_EQ(ClaimOne("2"), "message of p1");
  EXPECT_EQ(ClaimOne("3"), "message of p2");
  EXPECT_EQ(ClaimOne("4"), "message of q0");
  EXPECT_EQ(ClaimOne("5"), "nothing");
  EXPECT_EQ(Available(), 0);
}

TEST_P(KeyPackageStoreTest, TellsWhoseItIsAndItsReference) {
  ASSERT_TRUE(Publish(Packages("p", 1)).ok());
  const auto claim = Claim("1");
  ASSERT_TRUE(claim.ok()) << claim.status();
  ASSERT_THAT(claim->packages, SizeIs(1));
  EXPECT_EQ(claim->packages[0].member, bob_);
  EXPECT_EQ(claim->packages[0].device, bob_phone_);
  EXPECT_EQ(claim->packages[0].reference, crypto::Sha256(KeyPackageRefInput("body of p0")));
  EXPECT_FALSE(claim->packages[0].last_resort);
}

TEST_P(KeyPackageStoreTest, TheLastResortIsForWhenTheRestIsGoneAndStays) {
  EXPECT_TRUE(PublishLast("last")->has_last_resort);
  ASSERT_TRUE(Publish(Packages("p", 1)).ok());
  EXPECT_EQ(ClaimOne("1"), "message of p0");
  EXPECT_EQ(ClaimOne("2"), "message of last, last resort");
  EXPECT_EQ(ClaimOne("3"), "message of last, last resort");
  EXPECT_TRUE(keys_->Count(kForever, clock_.Now(), bob_, bob_phone_)->has_last_resort);
}

TEST_P(KeyPackageStoreTest, ANewLastResortReplacesTheOneBefore) {
  ASSERT_TRUE(PublishLast("first").ok());
  EXPECT_EQ(ClaimOne("1"), "message of first, last resort");
  ASSERT_TRUE(PublishLast("second").ok());
  EXPECT_EQ(ClaimOne("2"), "message of second, last resort");
  ASSERT_TRUE(PublishLast("second").ok());
  ASSERT_TRUE(PublishLast("first").ok()) << "said again late, it changes nothing";
  EXPECT_EQ(ClaimOne("3"), "message of second, last resort");
  EXPECT_EQ(ClaimOne("1"), "message of first, last resort") << "the first answer stays";
}

TEST_P(KeyPackageStoreTest, WhatWasPublishedBeforeIsNeverHandedOutAgain) {
  EXPECT_EQ(Publish(Packages("p", 2))->available, 2);
  EXPECT_EQ(Publish(Packages("p", 2))->available, 2);
  EXPECT_EQ(ClaimOne("1"), "message of p0");
  EXPECT_EQ(Publish(Packages("p", 2))->available, 1);
  clock_.Advance(absl::Hours(24 * 30));
  ASSERT_TRUE(keys_->Trim(kForever, clock_.Now()).ok());
  EXPECT_EQ(Publish(Packages("p", 2))->available, 1) << "its bytes are gone, its name is not";
  EXPECT_EQ(ClaimOne("2"), "message of p1");
}

TEST_P(KeyPackageStoreTest, OneClaimIdHasOneAnswer) {
  ASSERT_TRUE(Publish(Packages("p", 3)).ok());
  EXPECT_EQ(ClaimOne("1"), "message of p0");
  EXPECT_EQ(ClaimOne("1"), "message of p0");
  EXPECT_EQ(Available(), 2);
  EXPECT_TRUE(HasReason(Claim("1", {bob_phone_}).status(), reason::kRequestIdReused));
  CloseIt();
  EXPECT_EQ(ClaimOne("1"), "message of p0") << "even when the conversation closed since";
  EXPECT_EQ(ClaimOne("2"), "CONVERSATION_CLOSED");
}

TEST_P(KeyPackageStoreTest, AClaimCoversEveryOtherDeviceAndSaysWhoHasNone) {
  Apply(ann_, {ann_phone_, ann_tablet_});
  ASSERT_TRUE(Publish(Packages("p", 1)).ok());
  const auto claim = Claim("1");
  ASSERT_TRUE(claim.ok()) << claim.status();
  ASSERT_THAT(claim->packages, SizeIs(1));
  EXPECT_EQ(claim->packages[0].device, bob_phone_);
  EXPECT_THAT(claim->without, ElementsAre(ann_tablet_));
  const auto again = Claim("1");
  EXPECT_THAT(again->packages, SizeIs(1));
  EXPECT_THAT(again->without, ElementsAre(ann_tablet_));
}

TEST_P(KeyPackageStoreTest, ANamedDeviceMustBeInTheConversation) {
  ASSERT_TRUE(Publish(Packages("p", 1)).ok());
  const DeviceId stranger = DeviceId::Random(random_);
  std::vector<DeviceId> devices = {bob_phone_, stranger};
  std::sort(devices.begin(), devices.end());
  EXPECT_TRUE(HasReason(Claim("1", devices).status(), reason::kNotFound));
  EXPECT_EQ(Available(), 1);
  EXPECT_THAT(Claim("1", {bob_phone_})->packages, SizeIs(1));
}

TEST_P(KeyPackageStoreTest, OnlyWhoTakesPartMayClaim) {
  ASSERT_TRUE(Publish(Packages("p", 1)).ok());
  const MemberId stranger = MemberId::Random(random_);
  const DeviceId phone = DeviceId::Random(random_);
  const auto claim = [&] {
    return keys_->Claim(kForever, clock_.Now(), stranger, phone, "1", id_, {}).status();
  };
  EXPECT_TRUE(HasReason(claim(), kDeviceUnknown));
  Apply(stranger, {phone});
  EXPECT_TRUE(HasReason(claim(), reason::kNotFound));
  const auto foreign = keys_->Claim(kForever, clock_.Now(), stranger, ann_phone_, "1", id_, {});
  EXPECT_TRUE(HasReason(foreign.status(), kDeviceUnknown));
  EXPECT_EQ(Available(), 1);
}

TEST_P(KeyPackageStoreTest, ABlockSuspensionOrRemovalEndsClaims) {
  ASSERT_TRUE(Publish(Packages("p", 5)).ok());
  Apply(ann_, {ann_phone_}, Standing::kSuspended);
  EXPECT_EQ(ClaimOne("1"), "MEMBER_SUSPENDED");
  Apply(ann_, {ann_phone_});
  EXPECT_EQ(ClaimOne("1"), "message of p0");
  BlockThem();
  EXPECT_EQ(ClaimOne("2"), "CONVERSATION_CLOSED");
  Apply(ann_, {ann_tablet_});
  EXPECT_EQ(ClaimOne("3"), "DEVICE_REVOKED");
}

TEST_P(KeyPackageStoreTest, ARemovedDeviceNeitherPublishesNorIsClaimed) {
  ASSERT_TRUE(Publish(Packages("p", 2)).ok());
  Apply(bob_, {});
  EXPECT_TRUE(HasReason(Publish(Packages("q", 1)).status(), reason::kDeviceRevoked));
  EXPECT_EQ(ClaimOne("1"), "nothing");
  EXPECT_EQ(keys_->Trim(kForever, clock_.Now())->removed, 2);
}

TEST_P(KeyPackageStoreTest, AnUnknownDeviceIsSaidToBe) {
  const DeviceId phone = DeviceId::Random(random_);
  EXPECT_TRUE(HasReason(
      keys_->Publish(kForever, clock_.Now(), bob_, phone, Packages("p", 1), nullptr).status(),
      kDeviceUnknown));
  EXPECT_TRUE(
      HasReason(keys_->Count(kForever, clock_.Now(), bob_, phone).status(), kDeviceUnknown));
}

TEST_P(KeyPackageStoreTest, MoreThanIsKeptIsRefusedWhole) {
  KeyPackageLimits limits;
  limits.stored_per_device = 5;
  limits.low_water = 3;
  OpenKeys(limits);
  EXPECT_TRUE(Publish(Packages("p", 2))->low);
  EXPECT_FALSE(Publish(Packages("q", 1))->low);
  const auto refused = Publish(Packages("r", 3));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(HasReason(refused.status(), reason::kQueueFull));
  EXPECT_EQ(Available(), 3);
  EXPECT_EQ(Publish(Packages("s", 2))->available, 5);
  EXPECT_TRUE(PublishLast("last").ok()) << "which does not count";
}

TEST_P(KeyPackageStoreTest, AClaimNamesTheDevicesThatRunLow) {
  KeyPackageLimits limits;
  limits.low_water = 2;
  OpenKeys(limits);
  ASSERT_TRUE(Publish(Packages("p", 4)).ok());
  ASSERT_TRUE(PublishLast("last").ok());
  EXPECT_THAT(Claim("1")->running_low, IsEmpty());
  EXPECT_THAT(Claim("2")->running_low, ElementsAre(bob_phone_)) << "at the mark";
  EXPECT_THAT(Claim("3")->running_low, ElementsAre(bob_phone_));
  EXPECT_THAT(Claim("3")->running_low, IsEmpty()) << "given before";
  EXPECT_THAT(Claim("4")->running_low, ElementsAre(bob_phone_));
  EXPECT_THAT(Claim("5")->running_low, ElementsAre(bob_phone_)) << "time alone may end them";
}

TEST_P(KeyPackageStoreTest, AStreamIsToldHowManyAreLeftWhenItReadsEverything) {
  const auto read = [&](bool everything) {
    const StreamPosition position{id_, 0};
    auto snapshot =
        store_->ReadStream(kForever, clock_.Now(), bob_phone_, {&position, 1}, everything, 10);
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    return snapshot->key_packages;
  };
  EXPECT_EQ(read(true), std::nullopt) << "it has never published";
  ASSERT_TRUE(Publish(Packages("p", 1)).ok());
  EXPECT_EQ(read(false), std::nullopt) << "an ordinary wake-up costs no statement";
  EXPECT_EQ(read(true)->available, 1);
  EXPECT_TRUE(read(true)->low);
  EXPECT_FALSE(read(true)->has_last_resort);
  EXPECT_EQ(ClaimOne("1"), "message of p0");
  EXPECT_EQ(read(true)->available, 0) << "all are gone, and it has published";
  ASSERT_TRUE(Publish(Packages("q", 20)).ok());
  EXPECT_FALSE(read(true)->low);
}

TEST_P(KeyPackageStoreTest, AnothersPackageCannotBePublished) {
  ASSERT_TRUE(Publish(Packages("p", 1)).ok());
  const auto copied =
      keys_->Publish(kForever, clock_.Now(), ann_, ann_phone_, Packages("p", 1), nullptr);
  EXPECT_TRUE(HasReason(copied.status(), reason::kRequestIdReused));
}

TEST_P(KeyPackageStoreTest, ClaimsAreLimitedByPairAndByMember) {
  KeyPackageLimits limits;
  limits.claims_per_pair = 2;
  limits.claims_per_member = 3;
  OpenKeys(limits);
  Apply(ann_, {ann_phone_, ann_tablet_});
  ASSERT_TRUE(Publish(Packages("p", 9)).ok());
  EXPECT_TRUE(Claim("1", {bob_phone_}).ok());
  EXPECT_TRUE(Claim("2", {bob_phone_}).ok());
  const auto third = Claim("3", {bob_phone_});
  EXPECT_TRUE(HasReason(third.status(), reason::kRateLimited));
  EXPECT_TRUE(DetailsOf(third.status()).retry_after.has_value());
  EXPECT_TRUE(Claim("1", {bob_phone_}).ok()) << "what was given is given";
  EXPECT_TRUE(Claim("4", {ann_tablet_}).ok());
  EXPECT_TRUE(HasReason(Claim("5", {ann_tablet_}).status(), reason::kRateLimited));
  clock_.Advance(absl::Minutes(61));
  EXPECT_TRUE(Claim("6", {bob_phone_}).ok());
  EXPECT_EQ(Available(), 6);
}

TEST_P(KeyPackageStoreTest, ClaimsAreForgottenAfterTheirTime) {
  ASSERT_TRUE(Publish(Packages("p", 2)).ok());
  EXPECT_EQ(ClaimOne("1"), "message of p0");
  clock_.Advance(absl::Hours(24 * 7 - 1));
  ASSERT_TRUE(keys_->Trim(kForever, clock_.Now()).ok());
  EXPECT_EQ(ClaimOne("1"), "message of p0");
  clock_.Advance(absl::Hours(2));
  EXPECT_EQ(keys_->Trim(kForever, clock_.Now())->emptied, 1);
  EXPECT_EQ(ClaimOne("1"), "message of p1") << "the id means a new claim now";
  clock_.Advance(absl::Hours(24 * 180 + 1));
  const auto trim = keys_->Trim(kForever, clock_.Now());
  EXPECT_EQ(trim->removed, 2);
  EXPECT_EQ(keys_->Trim(kForever, clock_.Now())->removed, 0);
}

// Eight who claim at once over 200 packages get 200 different ones, and then the last resort.
TEST_P(KeyPackageStoreTest, WhoClaimsAtOnceGetsAnother) {
  constexpr int kClaimers = 8;
  constexpr int kEach = 25;
  KeyPackageLimits limits;
  limits.claims_per_pair = 1000;
  limits.claims_per_member = 1000;
  OpenKeys(limits);
  std::vector<DeviceId> devices;
  for (int i = 0; i < kClaimers; ++i) devices.push_back(DeviceId::Random(random_));
  Apply(ann_, devices);
  ASSERT_TRUE(Publish(Packages("p", kClaimers * kEach)).ok());
  ASSERT_TRUE(PublishLast("last").ok());
  Mutex mutex;
  std::multiset<std::string> given;
  int failed = 0;
  std::vector<std::thread> claimers;
  for (int i = 0; i < kClaimers; ++i) {
    claimers.emplace_back([&, i] {
      for (int n = 0; n < kEach; ++n) {
        const auto claim =
            keys_->Claim(kForever, clock_.Now(), ann_, devices[static_cast<size_t>(i)],
                         absl::StrCat("claim", n), id_, {{bob_phone_}});
        MutexLock lock(mutex);
        if (claim.ok() && claim->packages.size() == 1) {
          given.insert(claim->packages[0].message);
        } else {
          ++failed;
        }
      }
    });
  }
  for (std::thread& claimer : claimers) claimer.join();
  EXPECT_EQ(failed, 0);
  EXPECT_THAT(given, SizeIs(kClaimers * kEach));
  EXPECT_EQ(std::set<std::string>(given.begin(), given.end()).size(), given.size());
  EXPECT_EQ(given.count("message of last"), 0u);
  for (const DeviceId& device : devices) {
    const auto last =
        keys_->Claim(kForever, clock_.Now(), ann_, device, "empty", id_, {{bob_phone_}});
    ASSERT_TRUE(last.ok()) << last.status();
    ASSERT_THAT(last->packages, SizeIs(1));
    EXPECT_TRUE(last->packages[0].last_resort);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, KeyPackageStoreTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
