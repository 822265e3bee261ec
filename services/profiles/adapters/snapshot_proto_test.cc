#include "services/profiles/adapters/snapshot_proto.h"

#include "common/testing/seeded_random.h"
#include "gtest/gtest.h"
#include "handrail/profiles/v1/profile.pb.h"

namespace handrail::profiles {
namespace {

MemberSnapshot Consenting() {
  ::handrail::testing::SeededRandom random(5);
  MemberSnapshot snapshot;
  snapshot.member = MemberId::Random(random);
  snapshot.version = 3;
  snapshot.consents_to_matching = true;
  snapshot.consents_to_health_data = true;
  return snapshot;
}

TEST(SnapshotProtoTest, WithoutBothConsentsASideIsThereButEmpty) {
  MemberSnapshot snapshot = Consenting();
  common::v1::NewcomerTraits traits;
  traits.mutable_person()->set_time_zone("Europe/Dublin");
  snapshot.newcomer = traits.SerializeAsString();
  for (const bool matching : {false, true}) {
    for (const bool health : {false, true}) {
      snapshot.consents_to_matching = matching;
      snapshot.consents_to_health_data = health;
      common::v1::MemberSnapshot out;
      ASSERT_TRUE(ToSnapshotForMatching(snapshot, &out).ok());
      EXPECT_TRUE(out.has_newcomer());
      EXPECT_FALSE(out.has_sponsor());
      EXPECT_EQ(out.newcomer().has_person(), matching && health);
    }
  }
}

TEST(SnapshotProtoTest, WhoIsAvoidedIsForMatchingAloneAndNeedsBothConsents) {
  MemberSnapshot snapshot = Consenting();
  ::handrail::testing::SeededRandom random(9);
  const MemberId other = MemberId::Random(random);
  snapshot.avoided = {{other, true}, {MemberId::Random(random), false}};
  common::v1::MemberSnapshot out;
  ASSERT_TRUE(ToSnapshotForMatching(snapshot, &out).ok());
  ASSERT_EQ(out.avoided_size(), 2);
  EXPECT_EQ(out.avoided(0).member(), other.Name());
  EXPECT_TRUE(out.avoided(0).dual_role());
  EXPECT_FALSE(out.avoided(1).dual_role());
  common::v1::MemberSnapshot for_messaging;
  ToSnapshotForMessaging(snapshot, &for_messaging);
  EXPECT_EQ(for_messaging.avoided_size(), 0);
  snapshot.consents_to_health_data = false;
  common::v1::MemberSnapshot without;
  ASSERT_TRUE(ToSnapshotForMatching(snapshot, &without).ok());
  EXPECT_EQ(without.avoided_size(), 0);
}

TEST(SnapshotProtoTest, FieldsForNobodyStayHere) {
  MemberSnapshot snapshot = Consenting();
  common::v1::SponsorTraits traits;
  traits.mutable_person()->set_gender(common::v1::GENDER_WOMAN);
  traits.mutable_person()->set_age_band(common::v1::AGE_BAND_25_34);
  for (int i = 0; i < 2; ++i) traits.add_programs()->set_steps_done(12);
  snapshot.sponsor = traits.SerializeAsString();
  snapshot.audiences = {{"sponsor.person.gender", Audience::kNobody},
                        {"sponsor.person.age_band", Audience::kPaired},
                        {"sponsor.programs.steps_done", Audience::kNobody},
                        {"newcomer", Audience::kNobody}};
  common::v1::MemberSnapshot out;
  ASSERT_TRUE(ToSnapshotForMatching(snapshot, &out).ok());
  EXPECT_EQ(out.sponsor().person().gender(), common::v1::GENDER_UNSPECIFIED);
  EXPECT_EQ(out.sponsor().person().age_band(), common::v1::AGE_BAND_25_34);
  ASSERT_EQ(out.sponsor().programs_size(), 2);
  EXPECT_EQ(out.sponsor().programs(1).steps_done(), 0);

  snapshot.audiences = {{"sponsor", Audience::kNobody}};
  common::v1::MemberSnapshot bare;
  ASSERT_TRUE(ToSnapshotForMatching(snapshot, &bare).ok());
  EXPECT_EQ(bare.sponsor().ByteSizeLong(), 0u);
}

TEST(SnapshotProtoTest, UnreadableTraitsAreDataLoss) {
  MemberSnapshot snapshot = Consenting();
  snapshot.newcomer = "\xff\xff\xff";
  common::v1::MemberSnapshot out;
  EXPECT_EQ(ToSnapshotForMatching(snapshot, &out).code(), absl::StatusCode::kDataLoss);
}

TEST(SnapshotProtoTest, PathsNameFields) {
  const auto& profile = *v1::Profile::descriptor();
  for (const char* path :
       {"pseudonym", "newcomer", "newcomer.person.age_band", "sponsor.programs.steps_done"}) {
    EXPECT_TRUE(IsFieldPath(profile, path)) << path;
  }
  for (const char* path : {"", ".", "newcomer.", ".newcomer", "newcomer..person", "nobody",
                           "pseudonym.length", "newcomer.person.nobody"}) {
    EXPECT_FALSE(IsFieldPath(profile, path)) << path;
  }
}

TEST(SnapshotProtoTest, TimestampsOfBothSidesOf1970) {
  EXPECT_EQ(ToTimestamp(absl::FromUnixMicros(1'500'001)).seconds(), 1);
  EXPECT_EQ(ToTimestamp(absl::FromUnixMicros(1'500'001)).nanos(), 500'001'000);
  EXPECT_EQ(ToTimestamp(absl::FromUnixMicros(-1)).seconds(), -1);
  EXPECT_EQ(ToTimestamp(absl::FromUnixMicros(-1)).nanos(), 999'999'000);
  EXPECT_EQ(ToTimestamp(absl::FromUnixMicros(-1'000'000)).nanos(), 0);
}

}  // namespace
}  // namespace handrail::profiles
