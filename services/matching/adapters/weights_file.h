#ifndef HANDRAIL_SERVICES_MATCHING_ADAPTERS_WEIGHTS_FILE_H_
#define HANDRAIL_SERVICES_MATCHING_ADAPTERS_WEIGHTS_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/matching/domain/score.h"

namespace handrail::matching {

// Reads the text form of v1::ScoreWeights. `where` names the text in errors: INVALID_ARGUMENT,
// CONFIGURATION_INVALID, with the line of a text that cannot be read, else with every field that is
// missing or out of its range.
absl::StatusOr<ScoreWeights> ParseWeights(absl::string_view text, absl::string_view where);
// The same for a file of at most 1 MiB; NOT_FOUND, CONFIGURATION_INVALID, when it cannot be read.
absl::StatusOr<ScoreWeights> LoadWeights(const std::string& path);

// services/matching/weights.textproto as it was when this program was built.
const ScoreWeights& BuiltInWeights();

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_WEIGHTS_FILE_H_
