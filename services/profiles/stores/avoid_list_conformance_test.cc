#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/database_test_backends.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/profiles/domain/avoid_list.h"
#include "services/profiles/testing/world.h"

// The private list of people whom a member knows, over the real store on every database.
namespace handrail::profiles {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::Person;
using testing::World;

class AvoidListTest : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  absl::StatusOr<AvoidedMember> Avoid(const Person& other, Relation relation,
                                      const std::string& request_id = "",
                                      const std::string& content = "") {
    return list_.Avoid(
        world_.CallBy(person_, request_id.empty() ? NewRequest() : request_id, content),
        other.member, relation);
  }
  std::string NewRequest() { return absl::StrCat("request-", ++requests_); }
  std::vector<MemberId> Listed(const Person& person, int limit = 50) {
    std::vector<MemberId> others;
    PageRequest page{std::nullopt, limit};
    do {
      const auto list = list_.List(world_.CallBy(person), page);
      EXPECT_TRUE(list.ok()) << list.status();
      if (!list.ok()) break;
      for (const AvoidedMember& one : list->items) others.push_back(one.other);
      page.after = list->next;
    } while (page.after.has_value());
    return others;
  }
  MemberSnapshot Snapshot(const Person& person) {
    MemberSnapshot snapshot;
    EXPECT_TRUE(world_.store
                    ->Read(absl::InfiniteFuture(),
                           [&](Unit& unit) -> absl::Status {
                             ASSIGN_OR_RETURN(auto found, unit.GetSnapshot(person.member));
                             if (found.has_value()) snapshot = *std::move(found);
                             return absl::OkStatus();
                           })
                    .ok());
    return snapshot;
  }
  void Consent(const Person& person) {
    for (const ConsentPurpose purpose : {ConsentPurpose::kMatching, ConsentPurpose::kHealthData}) {
      ASSERT_TRUE(
          world_.consent->Grant(world_.CallBy(person, NewRequest()), purpose, {"1", "en"}).ok());
    }
  }

  storage::TestDatabase test_database_{GetParam()};
  World world_{[this](const Clock& clock) {
    test_database_.options.clock = &clock;
    return test_database_.Open();
  }};
  int wakes_ = 0;
  int requests_ = 0;
  AvoidList list_{*world_.store, world_.clock, [this] { ++wakes_; }};
  Person person_ = world_.Register();
  Person other_ = world_.Register();
};

INSTANTIATE_TEST_SUITE_P(Backends, AvoidListTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

TEST_P(AvoidListTest, WhoIsPutOnItIsOnItUntilTakenOff) {
  const auto avoided = Avoid(other_, Relation::kWorkplace);
  ASSERT_TRUE(avoided.ok()) << avoided.status();
  EXPECT_EQ(avoided->other, other_.member);
  EXPECT_EQ(avoided->relation, Relation::kWorkplace);
  EXPECT_EQ(avoided->create_time, world_.clock.Now());
  EXPECT_THAT(Listed(person_), ElementsAre(other_.member));
  EXPECT_THAT(Listed(other_), IsEmpty()) << "nobody else sees it";
  ASSERT_TRUE(list_.StopAvoiding(world_.CallBy(person_, NewRequest()), other_.member).ok());
  EXPECT_THAT(Listed(person_), IsEmpty());
  EXPECT_TRUE(list_.StopAvoiding(world_.CallBy(person_, NewRequest()), other_.member).ok())
      << "twice";
}

TEST_P(AvoidListTest, SaidAgainItChangesTheRelationAndKeepsTheTime) {
  const absl::Time first = world_.clock.Now();
  ASSERT_TRUE(Avoid(other_, Relation::kUnspecified).ok());
  world_.clock.Advance(absl::Hours(1));
  const auto again = Avoid(other_, Relation::kClinician);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->relation, Relation::kClinician);
  EXPECT_EQ(again->create_time, first);
  EXPECT_THAT(Listed(person_), ElementsAre(other_.member));
}

TEST_P(AvoidListTest, OneRequestIsWrittenOnce) {
  ASSERT_TRUE(Avoid(other_, Relation::kEmployer, "1").ok());
  ASSERT_TRUE(list_.StopAvoiding(world_.CallBy(person_, "2"), other_.member).ok());
  const auto repeated = Avoid(other_, Relation::kEmployer, "1");
  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_EQ(repeated->relation, Relation::kEmployer);
  EXPECT_THAT(Listed(person_), IsEmpty()) << "the repetition wrote nothing";
  EXPECT_TRUE(HasReason(Avoid(other_, Relation::kWorkplace, "1", "another").status(),
                        reason::kRequestIdReused));
}

TEST_P(AvoidListTest, OnlyOthersWhoAreHere) {
  EXPECT_TRUE(HasReason(Avoid(person_, Relation::kHousehold).status(), reason::kFieldInvalid));
  Person nobody = other_;
  nobody.member = MemberId::Random(world_.random);
  EXPECT_TRUE(absl::IsNotFound(Avoid(nobody, Relation::kHousehold).status()));
}

TEST_P(AvoidListTest, ItIsBoundedAndPaged) {
  std::vector<MemberId> expected;
  for (int i = 0; i < kAvoidedLimit; ++i) {
    const Person one = world_.Register();
    ASSERT_TRUE(Avoid(one, Relation::kUnspecified).ok());
    expected.push_back(one.member);
  }
  EXPECT_EQ(Avoid(other_, Relation::kUnspecified).status().code(),
            absl::StatusCode::kResourceExhausted);
  Person last = other_;
  last.member = expected.back();
  EXPECT_TRUE(Avoid(last, Relation::kHousehold).ok()) << "a full list can be changed";
  EXPECT_THAT(Listed(person_, 7), ::testing::UnorderedElementsAreArray(expected));
  ASSERT_TRUE(list_.StopAvoiding(world_.CallBy(person_, NewRequest()), expected.front()).ok());
  EXPECT_TRUE(Avoid(other_, Relation::kUnspecified).ok());
}

TEST_P(AvoidListTest, MatchingHearsOfItAndMessagingDoesNot) {
  Consent(person_);
  world_.Deliver();
  const int64_t before = Snapshot(person_).version;
  ASSERT_TRUE(Avoid(other_, Relation::kFacilityStaff).ok());
  EXPECT_EQ(wakes_, 1);
  EXPECT_EQ(world_.OutboxCount(Receiver::kMatching), 1);
  EXPECT_EQ(world_.OutboxCount(Receiver::kMessaging), 0);
  EXPECT_EQ(Snapshot(person_).version, before + 1);
  EXPECT_THAT(Snapshot(person_).avoided, ElementsAre(AvoidedPair{other_.member, true}));
  EXPECT_THAT(Snapshot(other_).avoided, IsEmpty());
  ASSERT_TRUE(Avoid(other_, Relation::kFacilityStaff).ok());
  EXPECT_EQ(Snapshot(person_).version, before + 1) << "nothing changed";
  ASSERT_TRUE(Avoid(other_, Relation::kSameTreatment).ok());
  EXPECT_THAT(Snapshot(person_).avoided, ElementsAre(AvoidedPair{other_.member, false}));
  ASSERT_TRUE(list_.StopAvoiding(world_.CallBy(person_, NewRequest()), other_.member).ok());
  EXPECT_EQ(Snapshot(person_).version, before + 3);
  EXPECT_THAT(Snapshot(person_).avoided, IsEmpty());
}

TEST_P(AvoidListTest, WithoutBothConsentsItStaysHere) {
  ASSERT_TRUE(Avoid(other_, Relation::kWorkplace).ok());
  EXPECT_THAT(Snapshot(person_).avoided, IsEmpty());
  Consent(person_);
  EXPECT_THAT(Snapshot(person_).avoided, ElementsAre(AvoidedPair{other_.member, false}));
  ASSERT_TRUE(
      world_.consent->Withdraw(world_.CallBy(person_, NewRequest()), ConsentPurpose::kHealthData)
          .ok());
  EXPECT_THAT(Snapshot(person_).avoided, IsEmpty());
}

TEST(RelationTest, WhoCaresForOrEmploysTheOtherIsNoPeer) {
  for (int i = 0; i <= 6; ++i) {
    EXPECT_EQ(IsDualRole(static_cast<Relation>(i)), i >= 4) << i;
  }
}

}  // namespace
}  // namespace handrail::profiles
