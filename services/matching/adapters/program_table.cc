#include "services/matching/adapters/program_table.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/adapters/programs_text.h"
#include "services/matching/adapters/text_config.h"

namespace handrail::matching {
namespace {

constexpr size_t kNameLimit = 40;

using Faults = ConfigFaults;

// A number that the vocabulary does not have becomes "not said", which the checks refuse.
template <typename E>
E Known(int value, int count) {
  return value > 0 && value < count ? static_cast<E>(value) : E::kUnspecified;
}

bool IsSponsor(RelationshipType type) {
  return type == RelationshipType::kSponsor || type == RelationshipType::kTemporarySponsor ||
         type == RelationshipType::kServiceSponsor;
}

// The word is the program's own: only a sponsor is called one, and a temporary contact never is.
void CheckName(const v1::OneToOne& entry, absl::string_view program, Faults& faults) {
  const auto type = Known<RelationshipType>(entry.relationship_type(), kRelationshipTypeCount);
  if (type == RelationshipType::kUnspecified) {
    faults.push_back(absl::StrCat(program, " names an unknown relationship"));
  }
  if (entry.name().empty() || entry.name().size() > kNameLimit) {
    faults.push_back(absl::StrCat(program, " has a name that is not 1 to ", kNameLimit, " bytes"));
  }
  if (absl::StrContains(absl::AsciiStrToLower(entry.name()), "sponsor") && !IsSponsor(type)) {
    faults.push_back(absl::StrCat(program, " calls somebody a sponsor who is none"));
  }
}

ProgramFamily FamilyOf(v1::ProgramFamily family) {
  switch (family) {
    case v1::PROGRAM_FAMILY_TWELVE_STEP: return ProgramFamily::kTwelveStep;
    case v1::PROGRAM_FAMILY_BUDDHIST: return ProgramFamily::kBuddhist;
    case v1::PROGRAM_FAMILY_CHRISTIAN: return ProgramFamily::kChristian;
    default: return ProgramFamily::kPeer;
  }
}

ProgramPolicy PolicyOf(const v1::Program& program, Faults& faults) {
  const std::string name = absl::StrCat("program ", program.philosophy());
  if (program.family() == v1::PROGRAM_FAMILY_UNSPECIFIED ||
      !v1::ProgramFamily_IsValid(program.family())) {
    faults.push_back(name + " has no known family");
  }
  if (program.basis() != v1::POLICY_BASIS_SOURCE &&
      program.basis() != v1::POLICY_BASIS_OWN_CHOICE) {
    faults.push_back(name + " does not say where it comes from");
  }
  if (program.basis() == v1::POLICY_BASIS_SOURCE && program.source().empty()) {
    faults.push_back(name + " names no source");
  }
  if (program.milestone_set() == v1::MILESTONE_SET_UNSPECIFIED ||
      !v1::MilestoneSet_IsValid(program.milestone_set())) {
    faults.push_back(name + " has no known milestone_set");
  }
  ProgramPolicy row;
  row.philosophy = Known<Philosophy>(program.philosophy(), kPhilosophyCount);
  row.family = FamilyOf(program.family());
  for (const v1::OneToOne& entry : program.one_to_one()) {
    CheckName(entry, name, faults);
    const auto type = Known<RelationshipType>(entry.relationship_type(), kRelationshipTypeCount);
    if (row.relationship_types.Contains(type)) faults.push_back(name + " has a relationship twice");
    row.relationship_types.Add(type);
  }
  row.min_recovery_days = program.min_recovery_days();
  row.more_time_days = program.more_time_days();
  row.min_steps_done = program.min_steps_done();
  row.needs_own_sponsor = program.needs_own_sponsor();
  row.needs_active_attendance = program.needs_active_attendance();
  for (const int training : program.needs_trainings()) {
    const auto known = Known<Training>(training, kTrainingCount);
    if (known == Training::kUnspecified) faults.push_back(name + " needs an unknown training");
    row.needs_trainings.Add(known);
  }
  row.gender_rule = static_cast<GenderRule>(std::clamp<int>(program.gender_rule(), 0, 255));
  row.default_gender_rule =
      static_cast<GenderRule>(std::clamp<int>(program.default_gender_rule(), 0, 255));
  row.response_deadline_hours = program.response_deadline_hours();
  row.trial_days = program.trial_days();
  return row;
}

RelationshipPolicy PolicyOf(const v1::Relationship& relationship) {
  RelationshipPolicy row;
  row.relationship_type =
      Known<RelationshipType>(relationship.relationship_type(), kRelationshipTypeCount);
  if (relationship.has_min_recovery_days()) {
    row.min_recovery_days = relationship.min_recovery_days();
  }
  row.response_deadline_hours = relationship.response_deadline_hours();
  row.trial_days = relationship.trial_days();
  row.parallel_offers = relationship.parallel_offers();
  row.target_wait_hours = relationship.target_wait_hours();
  return row;
}

void Sort(v1::ProgramTable& table) {
  std::sort(
      table.mutable_programs()->begin(), table.mutable_programs()->end(),
      [](const v1::Program& a, const v1::Program& b) { return a.philosophy() < b.philosophy(); });
  std::sort(table.mutable_relationships()->begin(), table.mutable_relationships()->end(),
            [](const v1::Relationship& a, const v1::Relationship& b) {
              return a.relationship_type() < b.relationship_type();
            });
}

}  // namespace

absl::StatusOr<ProgramTable> ParseProgramTable(absl::string_view text, absl::string_view where) {
  v1::ProgramTable rows;
  RETURN_IF_ERROR(ParseTextConfig(text, where, rows));
  Sort(rows);

  Faults faults;
  std::vector<ProgramPolicy> programs;
  for (const v1::Program& program : rows.programs()) programs.push_back(PolicyOf(program, faults));
  std::vector<RelationshipPolicy> relationships;
  for (const v1::Relationship& row : rows.relationships()) relationships.push_back(PolicyOf(row));
  auto policies = ProgramPolicies::Create(programs, relationships);
  if (!policies.ok()) faults.emplace_back(policies.status().message());
  if (!faults.empty()) return InvalidConfig(where, faults);
  return ProgramTable{*std::move(policies), std::move(rows)};
}

absl::StatusOr<ProgramTable> LoadProgramTable(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadConfigFile(path));
  return ParseProgramTable(text, path);
}

const ProgramTable& BuiltInProgramTable() {
  // Never destroyed: it may be used until the process ends. A test holds that the rows are valid.
  static const ProgramTable* const table =
      new ProgramTable(*ParseProgramTable(kProgramsText, "programs.textproto"));
  return *table;
}

}  // namespace handrail::matching
