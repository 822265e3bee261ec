#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_PROGRAM_POLICY_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_PROGRAM_POLICY_H_

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "services/matching/domain/traits.h"

// What each program says of one-to-one relationships, and what each relationship needs, as data:
// the rows are those of services/matching/programs.textproto or of an operator's file.
namespace handrail::matching {

using RelationshipTypes = EnumSet<RelationshipType>;
using Trainings = EnumSet<Training>;

enum class ProgramFamily : uint8_t { kTwelveStep, kPeer, kBuddhist, kChristian };

struct ProgramPolicy {
  Philosophy philosophy = Philosophy::kUnspecified;
  ProgramFamily family = ProgramFamily::kPeer;
  RelationshipTypes relationship_types;  // the program has these and no others
  int min_recovery_days = 0;             // of the sponsor in this program; 0 asks for none
  int more_time_days = 0;  // how much longer than the newcomer's; 0 means that it is not compared
  int min_steps_done = 0;
  bool needs_own_sponsor = false;
  bool needs_active_attendance = false;
  Trainings needs_trainings;  // all of them
  // kSameGender binds everybody in the program; kUnspecified leaves it to the two people.
  GenderRule gender_rule = GenderRule::kUnspecified;
  // What holds for a person who said nothing: kSameGender or kAny.
  GenderRule default_gender_rule = GenderRule::kAny;
  int response_deadline_hours = 24;  // 1..168
  int trial_days = 30;               // 1..120
};

struct RelationshipPolicy {
  RelationshipType relationship_type = RelationshipType::kUnspecified;
  // Replaces the program's threshold when the program has one; -1 leaves it.
  int min_recovery_days = -1;
  int response_deadline_hours = 0;  // 0 leaves it to the program
  int trial_days = 0;               // 0 leaves it to the program
  int parallel_offers = 1;          // open at once for one ticket, 1..3 (M1)
  int target_wait_hours = 168;      // the wait at which a ticket has earned the full aging weight
};

// A whole, checked set of rows: one for every program and one for every relationship. Immutable.
class ProgramPolicies {
 public:
  // INVALID_ARGUMENT, CONFIGURATION_INVALID, naming every fault: a row is missing, doubled, or out
  // of its range.
  static absl::StatusOr<ProgramPolicies> Create(absl::Span<const ProgramPolicy> programs,
                                                absl::Span<const RelationshipPolicy> relationships);
  // For kUnspecified and unknown values: a row that allows no relationship.
  const ProgramPolicy& Of(Philosophy philosophy) const;
  const RelationshipPolicy& Of(RelationshipType relationship_type) const;

  // Whether the program has such a relationship at all.
  bool Allows(Philosophy philosophy, RelationshipType relationship_type) const;
  // How long a sponsor has to be in recovery; 0 when the program does not ask.
  int MinRecoveryDays(Philosophy philosophy, RelationshipType relationship_type) const;
  // How long an offer stays open.
  absl::Duration ResponseDeadline(Philosophy philosophy, RelationshipType relationship_type) const;
  absl::Duration TrialLength(Philosophy philosophy, RelationshipType relationship_type) const;

 private:
  ProgramPolicies() = default;

  std::array<ProgramPolicy, kPhilosophyCount> programs_{};
  std::array<RelationshipPolicy, kRelationshipTypeCount> relationships_{};
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_PROGRAM_POLICY_H_
