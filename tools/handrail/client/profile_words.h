#ifndef HANDRAIL_TOOLS_HANDRAIL_CLIENT_PROFILE_WORDS_H_
#define HANDRAIL_TOOLS_HANDRAIL_CLIENT_PROFILE_WORDS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "handrail/common/v1/traits.pb.h"

namespace handrail::tools {

// Reads "mon-fri 18:00-21:00" or "sat 10:00-14:00" into weekly windows. Days are mon … sun or a
// range; an end before the start runs past midnight. INVALID_ARGUMENT otherwise.
absl::StatusOr<std::vector<common::v1::WeeklyWindow>> ParseHours(absl::string_view text);

// Reads "2019-04-30". INVALID_ARGUMENT otherwise.
absl::StatusOr<google::type::Date> ParseDate(absl::string_view text);

// What a person at a terminal says of themselves, as words. Empty words are left unset.
struct PersonWords {
  std::vector<std::string> languages;
  std::string time_zone;
  std::vector<std::string> hours;
  std::vector<std::string> modalities;
  std::string gender;
  std::string gender_rule;
  std::string age_band;
  std::string spiritual_stance;
  std::string approach;
  std::string frequency;
  std::string country;
  std::string region;
};
absl::StatusOr<common::v1::PersonTraits> ToTraits(const PersonWords& words);

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_CLIENT_PROFILE_WORDS_H_
