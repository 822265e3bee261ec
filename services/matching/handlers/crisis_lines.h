#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_CRISIS_LINES_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_CRISIS_LINES_H_

#include <string>

#include "absl/strings/string_view.h"
#include "handrail/matching/v1/crisis.pb.h"

namespace handrail::matching {

// The country of `table` that a person means: in either case, "UK" for GB. Empty when there is no
// row for it.
std::string KnownCountry(const v1::CrisisTable& table, absl::string_view text);

// The lines of a country, emergency first, then those for everywhere, with what Handrail says to
// them in `language` (any BCP 47 tag). For a country without rows, or none, those for everywhere
// and how to find others. Reads memory only.
void FillCrisisHelp(const v1::CrisisTable& table, absl::string_view country,
                    absl::string_view language, v1::CrisisHelp* help);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_CRISIS_LINES_H_
