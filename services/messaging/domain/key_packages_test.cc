// What the domain checks before the store is asked. The store is a mock: which calls it gets is the
// point.
#include "services/messaging/domain/key_packages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "common/base/status.h"
#include "common/testing/seeded_random.h"
#include "common/testing/simulated_clock.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/testing/mls_bytes.h"

namespace handrail::messaging {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::IsNull;
using ::testing::NotNull;
using ::testing::Return;
using ::testing::SizeIs;

class MockStore : public KeyPackageStore {
 public:
  MOCK_METHOD(absl::StatusOr<KeyPackageCount>, Publish,
              (absl::Time, absl::Time, const MemberId&, const DeviceId&,
               absl::Span<const NewKeyPackage>, const NewKeyPackage*),
              (override));
  MOCK_METHOD(absl::StatusOr<KeyPackageCount>, Count,
              (absl::Time, absl::Time, const MemberId&, const DeviceId&), (override));
  MOCK_METHOD(absl::StatusOr<KeyPackageClaim>, Claim,
              (absl::Time, absl::Time, const MemberId&, const DeviceId&, const std::string&,
               const ConversationId&, absl::Span<const DeviceId>),
              (override));
  MOCK_METHOD(absl::StatusOr<KeyPackageTrim>, Trim, (absl::Time, absl::Time), (override));
};

class KeyPackagesTest : public ::testing::Test {
 protected:
  KeyPackagesTest() {
    call_.who.kind = Principal::Kind::kMember;
    call_.who.member = MemberId::Random(random_);
    call_.who.device = DeviceId::Random(random_);
  }

  // A KeyPackage as far as it is read; `salt` makes it another one.
  std::string Package(const std::string& salt, absl::string_view identity = {}, int suite = 1,
                      size_t key_bytes = 32) {
    return MlsKeyPackageBytes(
        {std::string(identity.empty() ? absl::string_view(call_.who.device.Name()) : identity),
         Seconds(-absl::Hours(24)), Seconds(kDays90), salt, suite, key_bytes});
  }
  // One that lives between these times, as told from now.
  std::string Living(absl::Duration from, absl::Duration to) {
    return MlsKeyPackageBytes({call_.who.device.Name(), Seconds(from), Seconds(to), ""});
  }
  uint64_t Seconds(absl::Duration from_now) const {
    return static_cast<uint64_t>(absl::ToUnixSeconds(clock_.Now() + from_now));
  }
  absl::Status Publish(const std::vector<std::string>& packages, const std::string& last = "") {
    return packages_.Publish(call_, packages, last).status();
  }
  static absl::Status Unknown() {
    return Error(absl::StatusCode::kNotFound, kDeviceUnknown).Message("unknown");
  }
  static std::string FieldOf(const absl::Status& status) {
    const auto fields = DetailsOf(status).field_violations;
    return fields.empty() ? "" : fields.front().first;
  }

  static constexpr absl::Duration kDays90 = absl::Hours(24 * 90);
  testing::SeededRandom random_{7};
  testing::SimulatedClock clock_;
  ::testing::StrictMock<MockStore> store_;
  int learned_ = 0;
  absl::Status learning_ = absl::OkStatus();
  std::vector<DeviceId> woken_;
  KeyPackages packages_{store_, clock_, KeyPackageLimits(),
                        [this](const Call&) {
                          ++learned_;
                          return learning_;
                        },
                        [this](absl::Span<const WakeUp> wake_ups) {
                          for (const WakeUp& wake_up : wake_ups) {
                            EXPECT_TRUE(wake_up.conversation.IsZero());
                            woken_.push_back(wake_up.device);
                          }
                        }};
  Call call_;
};

TEST_F(KeyPackagesTest, HandsOnWhatIsTheCallers) {
  EXPECT_CALL(store_, Publish(_, _, call_.who.member, call_.who.device, SizeIs(2), IsNull()))
      .WillOnce(Return(KeyPackageCount{2, false, true}));
  const auto count = packages_.Publish(call_, {{Package("a"), Package("b")}}, "");
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(count->available, 2);
}

TEST_F(KeyPackagesTest, ALastResortAloneIsEnough) {
  EXPECT_CALL(store_, Publish(_, _, _, _, SizeIs(0), NotNull()))
      .WillOnce(Return(KeyPackageCount{0, true, true}));
  EXPECT_TRUE(Publish({}, Package("last")).ok());
}

TEST_F(KeyPackagesTest, RefusesWhatIsAnotherDevices) {
  const std::string other = DeviceId::Random(random_).Name();
  EXPECT_EQ(FieldOf(Publish({Package("a"), Package("b", other)})), "key_packages[1]");
  EXPECT_EQ(FieldOf(Publish({}, Package("a", other))), "last_resort");
  EXPECT_EQ(FieldOf(Publish({Package("a", "devices/")})), "key_packages[0]");
}

TEST_F(KeyPackagesTest, RefusesWhatIsNoneOfOurSuite) {
  EXPECT_EQ(FieldOf(Publish({Package("a", {}, 2)})), "key_packages[0]");
  EXPECT_EQ(FieldOf(Publish({Package("a", {}, 1, 31)})), "key_packages[0]");
  EXPECT_EQ(FieldOf(Publish({"not a key package"})), "key_packages[0]");
  EXPECT_EQ(FieldOf(Publish({Package(std::string(4096, 'x'))})), "key_packages[0]");
}

TEST_F(KeyPackagesTest, HandsOnWhenAPackageIsOver) {
  EXPECT_CALL(store_, Publish(_, _, _, _, _, _))
      .WillOnce([&](absl::Time, absl::Time now, const MemberId&, const DeviceId&,
                    absl::Span<const NewKeyPackage> packages, const NewKeyPackage* last) {
        EXPECT_EQ(packages[0].expires_at,
                  absl::FromUnixSeconds(absl::ToUnixSeconds(now)) + kDays90);
        EXPECT_EQ(last->expires_at, packages[0].expires_at);
        return KeyPackageCount{1, true, true};
      });
  EXPECT_TRUE(Publish({Package("a")}, Package("b")).ok());
}

TEST_F(KeyPackagesTest, RefusesALifetimeThatIsOverOrTooLongOrYetToCome) {
  const absl::Duration day = absl::Hours(24);
  const auto text = [&](absl::Duration from, absl::Duration to) {
    const auto fields = DetailsOf(Publish({Living(from, to)})).field_violations;
    return fields.empty() ? "" : fields.front().second;
  };
  EXPECT_EQ(text(-day, -day / 2), "its lifetime is over, or ends within the hour");
  EXPECT_EQ(text(-day, absl::Hours(1)), "its lifetime is over, or ends within the hour");
  EXPECT_EQ(text(-day, 92 * day), "its lifetime is longer than 92 days");
  EXPECT_EQ(text(2 * day, 9 * day), "its lifetime has not begun");
  EXPECT_EQ(text(2 * day, day), "its lifetime has not begun");
  const auto raw = [&](uint64_t from, uint64_t to) {
    return FieldOf(Publish({}, MlsKeyPackageBytes({call_.who.device.Name(), from, to, ""})));
  };
  const uint64_t most = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(raw(0, most), "last_resort");
  EXPECT_EQ(raw(most, most), "last_resort");
  EXPECT_EQ(raw(most, 0), "last_resort");
  EXPECT_EQ(raw(0, uint64_t{1} << 63), "last_resort");
  EXPECT_EQ(raw(most, Seconds(kDays90)), "last_resort");
  // What lives longest, by a clock that is ahead of ours.
  EXPECT_CALL(store_, Publish(_, _, _, _, _, _)).WillOnce(Return(KeyPackageCount{1, true, true}));
  EXPECT_TRUE(Publish({Living(absl::Minutes(59), absl::Minutes(59) + 92 * day)}).ok());
}

TEST_F(KeyPackagesTest, RefusesNoneTooManyAndOneInBothPlaces) {
  EXPECT_EQ(FieldOf(Publish({})), "key_packages");
  EXPECT_EQ(FieldOf(Publish(std::vector<std::string>(101, Package("a")))), "key_packages");
  EXPECT_EQ(FieldOf(Publish({Package("a")}, Package("a"))), "last_resort");
}

TEST_F(KeyPackagesTest, ClaimsEachDeviceOnceAndNeverItsOwn) {
  DeviceId one = DeviceId::Random(random_);
  DeviceId two = DeviceId::Random(random_);
  if (two < one) std::swap(one, two);
  const ConversationId conversation = ConversationId::Random(random_);
  EXPECT_CALL(store_, Claim(_, _, call_.who.member, call_.who.device, "claim", conversation,
                            ElementsAre(one, two)))
      .WillOnce(Return(KeyPackageClaim()));
  EXPECT_TRUE(packages_.Claim(call_, "claim", conversation, {{two, one, two}}).ok());
  const auto own = packages_.Claim(call_, "claim", conversation, {{one, call_.who.device}});
  EXPECT_EQ(FieldOf(own.status()), "devices");
}

TEST_F(KeyPackagesTest, WakesWhoseAreFewAndWhoHasEnoughAgain) {
  EXPECT_CALL(store_, Publish(_, _, _, _, _, _))
      .WillOnce(Return(KeyPackageCount{19, false, true}))
      .WillOnce(Return(KeyPackageCount{20, false, false}))
      .WillOnce(Return(Error(absl::StatusCode::kResourceExhausted, reason::kQueueFull).ToStatus()));
  EXPECT_TRUE(Publish({Package("a")}).ok());
  EXPECT_THAT(woken_, SizeIs(0)) << "it was told already";
  EXPECT_TRUE(Publish({Package("b")}).ok());
  EXPECT_THAT(woken_, ElementsAre(call_.who.device));
  EXPECT_FALSE(Publish({Package("c")}).ok());
  woken_.clear();

  const DeviceId one = DeviceId::Random(random_);
  KeyPackageClaim claim;
  claim.running_low = {one};
  EXPECT_CALL(store_, Claim(_, _, _, _, _, _, _))
      .WillOnce(Return(claim))
      .WillOnce(Return(Error(absl::StatusCode::kNotFound, reason::kNotFound).ToStatus()));
  EXPECT_TRUE(packages_.Claim(call_, "claim", ConversationId::Random(random_), {}).ok());
  EXPECT_FALSE(packages_.Claim(call_, "other", ConversationId::Random(random_), {}).ok());
  EXPECT_THAT(woken_, ElementsAre(one));
}

TEST_F(KeyPackagesTest, AsksProfilesOnceForADeviceThatNobodyToldOf) {
  EXPECT_CALL(store_, Count(_, _, _, _))
      .WillOnce(Return(Unknown()))
      .WillOnce(Return(KeyPackageCount{5, true, true}));
  EXPECT_EQ(packages_.Count(call_)->available, 5);
  EXPECT_EQ(learned_, 1);
}

TEST_F(KeyPackagesTest, ADeviceThatNobodyKnowsIsNotFound) {
  EXPECT_CALL(store_, Count(_, _, _, _)).WillRepeatedly(Return(Unknown()));
  EXPECT_TRUE(HasReason(packages_.Count(call_).status(), reason::kNotFound));
  learning_ = Error(absl::StatusCode::kNotFound, reason::kNotFound);
  EXPECT_TRUE(HasReason(packages_.Count(call_).status(), reason::kNotFound));
  learning_ = UnavailableError(reason::kPeerUnavailable, "profiles is down");
  EXPECT_TRUE(HasReason(packages_.Count(call_).status(), reason::kPeerUnavailable));
}

}  // namespace
}  // namespace handrail::messaging
