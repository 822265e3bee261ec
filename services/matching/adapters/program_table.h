#ifndef HANDRAIL_SERVICES_MATCHING_ADAPTERS_PROGRAM_TABLE_H_
#define HANDRAIL_SERVICES_MATCHING_ADAPTERS_PROGRAM_TABLE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "handrail/matching/v1/programs.pb.h"
#include "services/matching/domain/program_policy.h"

namespace handrail::matching {

// The table of programs: as matching follows it, and as apps read it.
struct ProgramTable {
  ProgramPolicies policies;
  v1::ProgramTable rows;  // in the order of their numbers
};

// Reads the text form of v1::ProgramTable. `where` names the text in errors: INVALID_ARGUMENT,
// CONFIGURATION_INVALID, with the line of a text that cannot be read, else with every row that is
// missing, doubled or out of its range.
absl::StatusOr<ProgramTable> ParseProgramTable(absl::string_view text, absl::string_view where);
// The same for a file of at most 1 MiB; NOT_FOUND, CONFIGURATION_INVALID, when it cannot be read.
absl::StatusOr<ProgramTable> LoadProgramTable(const std::string& path);

// services/matching/programs.textproto as it was when this program was built.
const ProgramTable& BuiltInProgramTable();
inline const ProgramPolicies& BuiltInPrograms() { return BuiltInProgramTable().policies; }

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_PROGRAM_TABLE_H_
