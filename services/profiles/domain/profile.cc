#include "services/profiles/domain/profile.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "common/base/status.h"
#include "services/profiles/domain/member_guard.h"

namespace handrail::profiles {
namespace {

constexpr int kWeekMinutes = 7 * 24 * 60;
constexpr int kPseudonymCharacters = 40;

// Messaging shows no profile.
constexpr std::array<Receiver, 1> kWhoHears = {Receiver::kMatching};

// Code points of valid UTF-8: every byte that does not continue one.
int CountCharacters(absl::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

class Faults {
 public:
  void Add(absl::string_view path, absl::string_view description) {
    if (error_.has_value()) {
      error_->Field(path, description);
    } else {
      error_ = FieldError(path, description);
    }
  }
  absl::Status ToStatus() const {
    return error_.has_value() ? error_->ToStatus() : absl::OkStatus();
  }

 private:
  std::optional<Error> error_;
};

bool Overlap(const std::vector<WeeklyStretch>& stretches) {
  std::vector<std::pair<int, int>> parts;  // [begin, end) within the week
  for (const WeeklyStretch& stretch : stretches) {
    const int end = stretch.start_minute + stretch.length_minutes;
    parts.emplace_back(stretch.start_minute, std::min(end, kWeekMinutes));
    if (end > kWeekMinutes) parts.emplace_back(0, end - kWeekMinutes);
  }
  std::sort(parts.begin(), parts.end());
  for (size_t i = 1; i < parts.size(); ++i) {
    if (parts[i].first < parts[i - 1].second) return true;
  }
  return false;
}

// Today where the person lives; when that is not said, the latest today there is anywhere.
absl::CivilDay Today(const std::string& time_zone, absl::Time now) {
  absl::TimeZone zone;
  if (time_zone.empty() || !absl::LoadTimeZone(time_zone, &zone)) {
    zone = absl::FixedTimeZone(14 * 60 * 60);
  }
  return absl::ToCivilDay(now, zone);
}

void CheckSide(absl::string_view name, const Side& side, absl::Time now, Faults& faults) {
  if (Overlap(side.availability)) {
    faults.Add(absl::StrCat(name, ".person.availability"), "windows must not overlap");
  }
  const absl::CivilDay today = Today(side.time_zone, now);
  for (const auto& [path, date] : side.recovery_dates) {
    const absl::CivilDay day(date.year, date.month, date.day);
    // CivilDay normalises 31 February; a date that changed was none.
    if (date.year < 1900 || day.year() != date.year || day.month() != date.month ||
        day.day() != date.day) {
      faults.Add(path, "must be a day of the calendar, with its year");
    } else if (day > today) {
      faults.Add(path, "must not lie ahead of today");
    }
  }
  std::set<int> seen;
  for (const int program : side.programs) {
    if (!seen.insert(program).second) {
      faults.Add(absl::StrCat(name, ".programs"), "each program may be named once");
      break;
    }
  }
}

absl::Status EtagError() {
  return Error(absl::StatusCode::kAborted, reason::kEtagMismatch)
      .Message("the profile was changed since it was read; read it again");
}

bool NamesNothing(const ProfileUpdate& update) {
  return !update.pseudonym.has_value() && !update.newcomer.has_value() &&
         !update.sponsor.has_value() && !update.audiences.has_value();
}

void SetSide(const std::optional<Side>& from, std::optional<std::string>& to) {
  to.reset();
  if (from.has_value()) to = from->traits;
}

void Apply(const ProfileUpdate& update, Profile& profile) {
  if (update.pseudonym.has_value()) profile.pseudonym = *update.pseudonym;
  if (update.newcomer.has_value()) SetSide(*update.newcomer, profile.newcomer);
  if (update.sponsor.has_value()) SetSide(*update.sponsor, profile.sponsor);
  // What was confirmed was about the sponsor's side; a new one is confirmed anew.
  if (!profile.sponsor.has_value()) profile.attest_time.reset();
  if (update.audiences.has_value()) profile.audiences = *update.audiences;
}

absl::Status PutChanged(Unit& unit, Profile& profile, absl::Time now) {
  ++profile.revision;
  profile.update_time = now;
  RETURN_IF_ERROR(unit.PutProfile(profile));
  return unit.BumpVersion(profile.member, now, kWhoHears);
}

}  // namespace

std::string EtagOf(const Profile& profile) { return absl::StrCat("r", profile.revision); }

absl::Status ValidateUpdate(const ProfileUpdate& update, absl::Time now) {
  Faults faults;
  if (update.pseudonym.has_value() && CountCharacters(*update.pseudonym) > kPseudonymCharacters) {
    faults.Add("profile.pseudonym", "must have at most 40 characters");
  }
  if (update.newcomer.has_value() && update.newcomer->has_value()) {
    CheckSide("profile.newcomer", **update.newcomer, now, faults);
  }
  if (update.sponsor.has_value() && update.sponsor->has_value()) {
    CheckSide("profile.sponsor", **update.sponsor, now, faults);
  }
  return faults.ToStatus();
}

Profiles::Profiles(Store& store, const Clock& clock, std::function<void()> changed)
    : store_(store), clock_(clock), changed_(std::move(changed)) {}

absl::StatusOr<Profile> Profiles::Get(const Call& call) {
  return ReadOwn<Profile>(store_, call,
                          [&](Unit& unit) { return unit.GetProfile(call.who.member); });
}

absl::StatusOr<Profile> Profiles::Update(const Call& call, const ProfileUpdate& update) {
  const absl::Time now = clock_.Now();
  RETURN_IF_ERROR(ValidateUpdate(update, now));
  absl::StatusOr<Profile> profile =
      WriteOnce<Profile>(store_, call, now, [&](Unit& unit) -> absl::StatusOr<Profile> {
        ASSIGN_OR_RETURN(Profile current, unit.GetProfile(call.who.member));
        if (!update.etag.empty() && update.etag != EtagOf(current)) return EtagError();
        if (NamesNothing(update)) return current;
        Apply(update, current);
        RETURN_IF_ERROR(PutChanged(unit, current, now));
        return current;
      });
  if (profile.ok()) changed_();
  return profile;
}

absl::StatusOr<Profile> Profiles::AttestAvailability(const Call& call) {
  const absl::Time now = clock_.Now();
  absl::StatusOr<Profile> profile =
      WriteOnce<Profile>(store_, call, now, [&](Unit& unit) -> absl::StatusOr<Profile> {
        ASSIGN_OR_RETURN(Profile current, unit.GetProfile(call.who.member));
        if (!current.sponsor.has_value()) {
          return Error(absl::StatusCode::kFailedPrecondition, reason::kSponsorProfileRequired)
              .Message("write the sponsor's side of your profile first");
        }
        current.attest_time = now;
        RETURN_IF_ERROR(PutChanged(unit, current, now));
        return current;
      });
  if (profile.ok()) changed_();
  return profile;
}

}  // namespace handrail::profiles
