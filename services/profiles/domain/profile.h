#ifndef HANDRAIL_SERVICES_PROFILES_DOMAIN_PROFILE_H_
#define HANDRAIL_SERVICES_PROFILES_DOMAIN_PROFILE_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "services/profiles/domain/store.h"

namespace handrail::profiles {

// A weekly stretch of time, in minutes after Monday 00:00 local time. It may run past the week's
// end.
struct WeeklyStretch {
  int start_minute = 0;    // 0 to 10,079
  int length_minutes = 0;  // 1 to 1,440
};

struct CivilDate {
  int year = 0;
  int month = 0;
  int day = 0;
};

// One side of a profile: serialized traits, and the few facts among them that rules look at.
struct Side {
  std::string traits;
  std::string time_zone;  // IANA; empty when not said
  std::vector<WeeklyStretch> availability;
  // By field path, such as "sponsor.programs[0].recovery_date".
  std::vector<std::pair<std::string, CivilDate>> recovery_dates;
  // Numbers of the programs a sponsor speaks of.
  std::vector<int> programs;
};

// A change of a profile. What is not set stays as it is; an empty pseudonym, an empty side and an
// empty map clear the field.
struct ProfileUpdate {
  std::string etag;  // when not empty, the profile must still have this etag
  std::optional<std::string> pseudonym;
  std::optional<std::optional<Side>> newcomer;
  std::optional<std::optional<Side>> sponsor;
  std::optional<std::map<std::string, Audience>> audiences;
};

// Changes with every write of the profile.
std::string EtagOf(const Profile& profile);

// What fields alone cannot say, all faults at once: INVALID_ARGUMENT / FIELD_INVALID for a
// pseudonym of more than 40 characters, a date that is none or lies ahead in the person's time
// zone, stretches of availability that overlap, a program named twice.
absl::Status ValidateUpdate(const ProfileUpdate& update, absl::Time now);

// The caller's own profile. Thread-safe.
class Profiles {
 public:
  // `changed` is called after a commit that other services must hear of.
  Profiles(Store& store, const Clock& clock, std::function<void()> changed);

  absl::StatusOr<Profile> Get(const Call& call);

  // Besides the codes of ValidateUpdate: ABORTED / ETAG_MISMATCH. An update that names nothing
  // returns the profile as it is.
  absl::StatusOr<Profile> Update(const Call& call, const ProfileUpdate& update);

  // The sponsor confirms that they are still in recovery and available.
  // FAILED_PRECONDITION / SPONSOR_PROFILE_REQUIRED.
  absl::StatusOr<Profile> AttestAvailability(const Call& call);

 private:
  Store& store_;
  const Clock& clock_;
  const std::function<void()> changed_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_DOMAIN_PROFILE_H_
