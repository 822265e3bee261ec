#include "services/matching/adapters/weights_file.h"

#include <fstream>

#include "absl/strings/str_replace.h"
#include "common/base/status.h"
#include "common/testing/temporary_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/matching/adapters/weights_text.h"

namespace handrail::matching {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

absl::Status Changed(absl::string_view from, absl::string_view to) {
  const std::string text = absl::StrReplaceAll(kWeightsText, {{from, to}});
  EXPECT_NE(text, kWeightsText) << from;
  return ParseWeights(text, "ours").status();
}

TEST(WeightsFileTest, TheBuiltInFileIsTheDefaultOfTheCode) {
  const ScoreWeights expected;
  EXPECT_EQ(BuiltInWeights().points, expected.points);
  EXPECT_EQ(BuiltInWeights().overlap_share, expected.overlap_share);
  EXPECT_EQ(BuiltInWeights().full_overlap_minutes, expected.full_overlap_minutes);
  EXPECT_EQ(BuiltInWeights().full_experience_days, expected.full_experience_days);
  EXPECT_EQ(BuiltInWeights().life_stage_halves_days, expected.life_stage_halves_days);
}

TEST(WeightsFileTest, EveryFaultIsNamedAtOnce) {
  EXPECT_THAT(ParseWeights("pathway_fit: 100", "ours").status().message(),
              AllOf(HasSubstr("ours: "), HasSubstr("availability is missing"),
                    HasSubstr("life_stage_halves_days is missing")));
  EXPECT_THAT(ParseWeights("pathway: 1", "ours").status().message(),
              AllOf(HasSubstr("ours: line 1"), HasSubstr("pathway")));
  EXPECT_THAT(Changed("locality: 5", "locality: -5").message(),
              AllOf(HasSubstr("LOCALITY is not 0..100"), HasSubstr("the sum is 90")));
  EXPECT_THAT(Changed("locality: 5", "locality: nan").message(), HasSubstr("LOCALITY"));
  EXPECT_THAT(Changed("overlap_share: 0.6", "overlap_share: 2").message(),
              HasSubstr("overlap_share"));
  EXPECT_TRUE(HasReason(Changed("locality: 5", "locality: 6"), reason::kConfigurationInvalid));
}

TEST(WeightsFileTest, AFileIsReadAndOneThatIsNotThereIsSaidSo) {
  testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/weights.textproto";
  std::ofstream(path) << absl::StrReplaceAll(
      kWeightsText, {{"locality: 5", "locality: 1"}, {"load_balance: 3", "load_balance: 7"}});
  const auto weights = LoadWeights(path);
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ(weights->points[static_cast<size_t>(FactorCode::kLocality)], 1);
  EXPECT_EQ(weights->points[static_cast<size_t>(FactorCode::kLoadBalance)], 7);
  EXPECT_EQ(LoadWeights(path + "x").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace handrail::matching
