#include <array>

#include "services/matching/domain/score.h"

// The names of factors and reasons, and what people read.
namespace handrail::matching {
namespace {

struct ReasonText {
  MatchReason reason;
  absl::string_view code;
  absl::string_view text;
};

constexpr std::array<ReasonText, kMatchReasonCount> kReasons = {{
    {MatchReason::kNone, "", ""},
    {MatchReason::kPathway, "PATHWAY", "You see recovery in much the same way."},
    {MatchReason::kAvailability, "AVAILABILITY", "You are often free at the same times."},
    {MatchReason::kResponsive, "RESPONSIVE", "An answer can be expected soon."},
    {MatchReason::kSharedExperience, "SHARED_EXPERIENCE",
     "You share an experience that matters here."},
    {MatchReason::kLifeStage, "LIFE_STAGE", "You are at a similar stage of life."},
    {MatchReason::kEngagement, "ENGAGEMENT",
     "There is experience and a firm place in the program."},
    {MatchReason::kContact, "CONTACT", "You like to be in touch in the same ways."},
    {MatchReason::kLocality, "LOCALITY", "You live in the same area."},
    {MatchReason::kHasTime, "HAS_TIME", "There is room for one more person."},
    {MatchReason::kSubstance, "SUBSTANCE", "You are recovering from something similar."},
}};

constexpr bool ReasonsAreInOrder() {
  for (size_t i = 0; i < kReasons.size(); ++i) {
    if (static_cast<size_t>(kReasons[i].reason) != i) return false;
    if (i > 0 && (kReasons[i].code.empty() || kReasons[i].text.empty())) return false;
  }
  return true;
}
static_assert(ReasonsAreInOrder());

}  // namespace

absl::string_view CodeOf(FactorCode factor) {
  static constexpr std::array<absl::string_view, kFactorCount> kCodes = {
      "PATHWAY_FIT", "AVAILABILITY", "SHARED_EXPERIENCE", "LIFE_STAGE",      "ENGAGEMENT",
      "CONTACT_FIT", "LOCALITY",     "LOAD_BALANCE",      "SHARED_SUBSTANCE"};
  const auto index = static_cast<size_t>(factor);
  return index < kCodes.size() ? kCodes[index] : absl::string_view();
}

absl::string_view CodeOf(MatchReason reason) {
  const auto index = static_cast<size_t>(reason);
  return index < kReasons.size() ? kReasons[index].code : absl::string_view();
}

MatchReason MatchReasonFromCode(absl::string_view code) {
  for (const ReasonText& row : kReasons) {
    if (row.code == code) return row.reason;
  }
  return MatchReason::kNone;
}

absl::string_view TextOf(MatchReason reason) {
  const auto index = static_cast<size_t>(reason);
  return index < kReasons.size() ? kReasons[index].text : absl::string_view();
}

}  // namespace handrail::matching
