#include "services/matching/stores/shown_codec.h"

#include <string>

#include "common/base/random.h"
#include "common/base/status.h"
#include "gtest/gtest.h"

namespace handrail::matching {
namespace {

ShownList SomeList() {
  SystemRandom random;
  ShownList list;
  list.suitable_count = 40;
  for (int i = 0; i < 5; ++i) {
    ShownPerson person;
    person.sponsor = MemberId::Random(random);
    person.view.reasons = {MatchReason::kPathway, MatchReason::kSubstance};
    person.view.languages = {Language::FromTag("en"), Language::FromTag("is")};
    person.view.modalities = {Modality::kAppText};
    person.view.age_band = AgeBand::k65Plus;
    person.view.recovery_time = RecoveryBand::kFiveYearsOrMore;
    person.view.communities = {Community::kVeteran};
    person.view.factors[2] = Explanation::Factor{11.0 / 3, 40.0 / 3};
    person.view.score = 10 * i;
    person.view.shared_by = 5;
    list.people.push_back(person);
  }
  list.people.push_back({});
  list.people.erase(list.people.begin());
  return list;
}

TEST(ShownCodecTest, AListIsReadAsItWasWritten) {
  for (const ShownList& list : {SomeList(), ShownList()}) {
    const auto read = DecodeShown(EncodeShown(list));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, list);
  }
}

TEST(ShownCodecTest, WhatIsNotOursIsRefused) {
  const std::string bytes = EncodeShown(SomeList());
  for (size_t length = 0; length < bytes.size(); ++length) {
    const auto read = DecodeShown(absl::string_view(bytes).substr(0, length));
    EXPECT_TRUE(HasReason(read.status(), reason::kDataCorrupt)) << length;
  }
  EXPECT_FALSE(DecodeShown(bytes + std::string(8, '\0')).ok());
  // Any one number replaced by a large one is refused or read as something: never more than that.
  for (size_t at = 0; at < bytes.size(); at += 8) {
    std::string damaged = bytes;
    damaged.replace(at, 8, std::string(8, '\x7f'));
    DecodeShown(damaged).status().IgnoreError();
  }
}

}  // namespace
}  // namespace handrail::matching
