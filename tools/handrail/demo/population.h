#ifndef HANDRAIL_TOOLS_HANDRAIL_DEMO_POPULATION_H_
#define HANDRAIL_TOOLS_HANDRAIL_DEMO_POPULATION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/civil_time.h"
#include "common/base/random.h"
#include "handrail/common/v1/traits.pb.h"

namespace handrail::tools {

// What a meeting directory says of where and when people meet: the material for a population.
struct Meeting {
  std::string place;      // a region or city, for the eye only
  std::string time_zone;  // IANA
  std::string language;   // BCP 47
  common::v1::Philosophy philosophy;
  int iso_weekday;   // 1 is Monday
  int start_minute;  // after local midnight
};

struct Directory {
  std::vector<Meeting> meetings;
  std::string source;  // for the eye: where they come from
};

// Reads the Meeting Guide and BMLT files below `data_folder`: those of five regions whose time zone
// we know in meeting_guide/, and bmlt/. Rows without a day or a time, and rows that are no objects,
// are left out. An empty directory when there are none.
Directory ReadRealDirectories(const std::string& data_folder);
// Add what the text of one feed says. Anyone's text: what is no feed, and rows as above, are left
// out. `time_zone` is that of rows which do not say one.
void AddMeetingGuideFeed(absl::string_view text, absl::string_view time_zone, Directory& directory);
void AddBmltFeed(absl::string_view text, Directory& directory);
// Reads a small Meeting Guide file of our own.
absl::StatusOr<Directory> ReadSampleDirectory(const std::string& path);

struct NewcomerPlan {
  std::string label;  // "newcomer 17"
  common::v1::NewcomerTraits traits;
  common::v1::Philosophy philosophy;
  common::v1::RelationshipType relationship_type;
  std::string place;
};

struct SponsorPlan {
  std::string label;
  common::v1::SponsorTraits traits;
  int capacity;
  // How the sponsor answers offers.
  enum class Habit { kAccepts, kDeclinesFirst, kNeverAnswers } habit;
  std::string place;
};

struct Population {
  std::vector<NewcomerPlan> newcomers;
  std::vector<SponsorPlan> sponsors;
  // What was drawn, for the eye: distinct programs, languages and zones.
  size_t programs = 0;
  size_t languages = 0;
  size_t zones = 0;
};

// Draws people whose places, languages, zones and hours come from the directory. The same random
// source gives the same people. `today` is what recovery dates are counted back from.
Population DrawPopulation(const Directory& directory, Random& random, absl::CivilDay today,
                          int newcomers, int sponsors);

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_DEMO_POPULATION_H_
