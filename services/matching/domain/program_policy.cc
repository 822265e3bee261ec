#include "services/matching/domain/program_policy.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

using R = RelationshipType;

using Faults = std::vector<std::string>;

void CheckRange(absl::string_view what, int value, int min, int max, Faults& faults) {
  if (value < min || value > max) {
    faults.push_back(absl::StrCat(what, " is ", value, ", not ", min, "..", max));
  }
}

void CheckProgram(const ProgramPolicy& row, Faults& faults) {
  const std::string name = absl::StrCat("program ", static_cast<int>(row.philosophy));
  CheckRange(name + " min_recovery_days", row.min_recovery_days, 0, 36500, faults);
  CheckRange(name + " more_time_days", row.more_time_days, 0, 36500, faults);
  CheckRange(name + " min_steps_done", row.min_steps_done, 0, 16, faults);
  CheckRange(name + " response_deadline_hours", row.response_deadline_hours, 1, 168, faults);
  CheckRange(name + " trial_days", row.trial_days, 1, 120, faults);
  if (row.relationship_types.empty()) faults.push_back(name + " has no relationship");
  const RelationshipTypes sponsors = {R::kSponsor, R::kTemporarySponsor, R::kServiceSponsor};
  if (row.family == ProgramFamily::kPeer && row.relationship_types.Intersects(sponsors)) {
    faults.push_back(name + " is of peers, who are not sponsors");
  }
  if (row.gender_rule != GenderRule::kUnspecified && row.gender_rule != GenderRule::kSameGender) {
    faults.push_back(name + " gender_rule is neither SAME_GENDER nor left out");
  }
  if (row.default_gender_rule != GenderRule::kAny &&
      row.default_gender_rule != GenderRule::kSameGender) {
    faults.push_back(name + " default_gender_rule is neither SAME_GENDER nor ANY");
  }
}

void CheckRelationship(const RelationshipPolicy& row, Faults& faults) {
  const std::string name = absl::StrCat("relationship ", static_cast<int>(row.relationship_type));
  CheckRange(name + " min_recovery_days", row.min_recovery_days, -1, 36500, faults);
  CheckRange(name + " response_deadline_hours", row.response_deadline_hours, 0, 168, faults);
  CheckRange(name + " trial_days", row.trial_days, 0, 120, faults);
  CheckRange(name + " parallel_offers", row.parallel_offers, 1, 3, faults);
  CheckRange(name + " target_wait_hours", row.target_wait_hours, 1, 24 * 365, faults);
}

}  // namespace

absl::StatusOr<ProgramPolicies> ProgramPolicies::Create(
    absl::Span<const ProgramPolicy> programs, absl::Span<const RelationshipPolicy> relationships) {
  ProgramPolicies policies;
  Faults faults;
  EnumSet<Philosophy> seen_programs;
  for (const ProgramPolicy& row : programs) {
    const auto number = static_cast<size_t>(row.philosophy);
    if (number == 0 || number >= kPhilosophyCount || seen_programs.Contains(row.philosophy)) {
      faults.push_back(absl::StrCat("program ", number, " is unknown or stands twice"));
      continue;
    }
    seen_programs.Add(row.philosophy);
    CheckProgram(row, faults);
    policies.programs_[number] = row;
  }
  RelationshipTypes seen_relationships;
  for (const RelationshipPolicy& row : relationships) {
    const auto number = static_cast<size_t>(row.relationship_type);
    if (number == 0 || number >= kRelationshipTypeCount ||
        seen_relationships.Contains(row.relationship_type)) {
      faults.push_back(absl::StrCat("relationship ", number, " is unknown or stands twice"));
      continue;
    }
    seen_relationships.Add(row.relationship_type);
    CheckRelationship(row, faults);
    policies.relationships_[number] = row;
  }
  if (seen_programs.size() != kPhilosophyCount - 1) faults.push_back("a program has no row");
  if (seen_relationships.size() != kRelationshipTypeCount - 1) {
    faults.push_back("a relationship has no row");
  }
  if (!faults.empty()) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
        .Message(absl::StrCat("program policies: ", absl::StrJoin(faults, "; ")));
  }
  return policies;
}

const ProgramPolicy& ProgramPolicies::Of(Philosophy philosophy) const {
  const auto number = static_cast<size_t>(philosophy);
  return programs_[number < programs_.size() ? number : 0];
}

const RelationshipPolicy& ProgramPolicies::Of(RelationshipType relationship_type) const {
  const auto number = static_cast<size_t>(relationship_type);
  return relationships_[number < relationships_.size() ? number : 0];
}

bool ProgramPolicies::Allows(Philosophy philosophy, RelationshipType relationship_type) const {
  return static_cast<size_t>(relationship_type) < kRelationshipTypeCount &&
         Of(philosophy).relationship_types.Contains(relationship_type);
}

int ProgramPolicies::MinRecoveryDays(Philosophy philosophy,
                                     RelationshipType relationship_type) const {
  const int program = Of(philosophy).min_recovery_days;
  const int relationship = Of(relationship_type).min_recovery_days;
  return program == 0 || relationship < 0 ? program : relationship;
}

absl::Duration ProgramPolicies::ResponseDeadline(Philosophy philosophy,
                                                 RelationshipType relationship_type) const {
  const int hours = Of(relationship_type).response_deadline_hours;
  return absl::Hours(hours > 0 ? hours : Of(philosophy).response_deadline_hours);
}

absl::Duration ProgramPolicies::TrialLength(Philosophy philosophy,
                                            RelationshipType relationship_type) const {
  const int days = Of(relationship_type).trial_days;
  return absl::Hours(24 * (days > 0 ? days : Of(philosophy).trial_days));
}

}  // namespace handrail::matching
