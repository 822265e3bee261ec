#ifndef HANDRAIL_SERVICES_MATCHING_ADAPTERS_CRISIS_TABLE_H_
#define HANDRAIL_SERVICES_MATCHING_ADAPTERS_CRISIS_TABLE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/civil_time.h"
#include "handrail/matching/v1/crisis.pb.h"

namespace handrail::matching {

// A row that was checked longer ago needs to be checked again (domain.md 4.5).
inline constexpr int kCrisisRowDays = 180;

// Reads the text form of v1::CrisisTable. `where` names the text in errors: INVALID_ARGUMENT,
// CONFIGURATION_INVALID, with the line of a text that cannot be read, else with every row that is
// doubled or has a field out of its form. A row dated after `today` is a fault.
absl::StatusOr<v1::CrisisTable> ParseCrisisTable(absl::string_view text, absl::string_view where,
                                                 absl::CivilDay today);

// `rows` over `base`: a row of the same country and name is replaced or withdrawn, others join.
// INVALID_ARGUMENT, CONFIGURATION_INVALID, when a row is withdrawn that is not there, or when
// nothing would be left for everywhere.
absl::StatusOr<v1::CrisisTable> OverrideCrisisTable(const v1::CrisisTable& base,
                                                    const v1::CrisisTable& rows,
                                                    absl::string_view where);

// The built-in table with an operator's file of at most 1 MiB over it; NOT_FOUND,
// CONFIGURATION_INVALID, when it cannot be read.
absl::StatusOr<v1::CrisisTable> LoadCrisisTable(const std::string& path, absl::CivilDay today);

// services/matching/crisis_lines.textproto as it was when this program was built. Needs no file and
// no store.
const v1::CrisisTable& BuiltInCrisisTable();

// How fresh a table is.
struct CrisisTableAge {
  int rows = 0;
  int undated = 0;      // nobody said when they were checked
  int stale = 0;        // checked more than kCrisisRowDays ago
  int oldest_days = 0;  // since the earliest check; 0 when none is dated
};
CrisisTableAge AgeOf(const v1::CrisisTable& table, absl::CivilDay today);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_CRISIS_TABLE_H_
