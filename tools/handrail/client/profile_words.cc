#include "tools/handrail/client/profile_words.h"

#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/civil_time.h"
#include "common/base/status.h"
#include "tools/handrail/client/words.h"

namespace handrail::tools {
namespace {

using common::v1::PersonTraits;
using common::v1::WeeklyWindow;

constexpr std::array<absl::string_view, 7> kDays = {"mon", "tue", "wed", "thu",
                                                    "fri", "sat", "sun"};

// 1 for Monday; 0 when it is no day.
int IsoWeekday(absl::string_view word) {
  for (size_t i = 0; i < kDays.size(); ++i) {
    if (word == kDays[i]) return static_cast<int>(i) + 1;
  }
  return 0;
}

// Minutes after midnight of "18:30"; -1 when it is no time of day.
int MinuteOfDay(absl::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  int hour = 0;
  int minute = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &hour) ||
      !absl::SimpleAtoi(parts[1], &minute) || hour < 0 || hour > 24 || minute < 0 || minute > 59 ||
      hour * 60 + minute > 24 * 60) {
    return -1;
  }
  return hour * 60 + minute;
}

absl::Status HoursError(absl::string_view text) {
  return Error(absl::StatusCode::kInvalidArgument, reason::kFieldInvalid)
      .Message(absl::StrCat("\"", text, "\" is not like \"mon-fri 18:00-21:00\""));
}

// Sets a field of an enum from its word, when there is one.
template <typename E, typename Setter>
absl::Status SetWord(const std::string& word, Setter set) {
  if (word.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const E value, FromWord<E>(word));
  set(value);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<WeeklyWindow>> ParseHours(absl::string_view text) {
  const std::string lower = absl::AsciiStrToLower(text);
  const std::vector<std::string> halves = absl::StrSplit(lower, ' ', absl::SkipEmpty());
  if (halves.size() != 2) return HoursError(text);
  const std::vector<std::string> days = absl::StrSplit(halves[0], '-');
  const std::vector<std::string> times = absl::StrSplit(halves[1], '-');
  if (days.size() > 2 || times.size() != 2) return HoursError(text);
  const int first = IsoWeekday(days.front());
  const int last = IsoWeekday(days.back());
  const int start = MinuteOfDay(times[0]);
  const int end = MinuteOfDay(times[1]);
  if (first == 0 || last == 0 || first > last || start < 0 || start == 24 * 60 || end < 0 ||
      start == end) {
    return HoursError(text);
  }
  std::vector<WeeklyWindow> windows;
  for (int day = first; day <= last; ++day) {
    WeeklyWindow window;
    window.set_iso_weekday(day);
    window.set_start_minute(start);
    window.set_length_minutes(end > start ? end - start : end + 24 * 60 - start);
    windows.push_back(window);
  }
  return windows;
}

absl::StatusOr<google::type::Date> ParseDate(absl::string_view text) {
  absl::CivilDay day;
  if (!absl::ParseCivilTime(text, &day) || day.year() < 1 || day.year() > 9999) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kFieldInvalid)
        .Message(absl::StrCat("\"", text, "\" is not a day like 2019-04-30"));
  }
  google::type::Date date;
  date.set_year(static_cast<int>(day.year()));
  date.set_month(day.month());
  date.set_day(day.day());
  return date;
}

absl::StatusOr<PersonTraits> ToTraits(const PersonWords& words) {
  PersonTraits traits;
  traits.set_adult_attested(true);
  for (const std::string& language : words.languages) traits.add_languages(language);
  traits.set_time_zone(words.time_zone);
  for (const std::string& hours : words.hours) {
    ASSIGN_OR_RETURN(const std::vector<WeeklyWindow> windows, ParseHours(hours));
    for (const WeeklyWindow& window : windows) *traits.add_availability() = window;
  }
  for (const std::string& word : words.modalities) {
    ASSIGN_OR_RETURN(const auto modality, FromWord<common::v1::Modality>(word));
    traits.add_modalities(modality);
  }
  RETURN_IF_ERROR(SetWord<common::v1::Gender>(words.gender, [&](auto v) { traits.set_gender(v); }));
  RETURN_IF_ERROR(SetWord<common::v1::GenderRule>(
      words.gender_rule, [&](auto v) { traits.mutable_gender_preference()->set_rule(v); }));
  RETURN_IF_ERROR(
      SetWord<common::v1::AgeBand>(words.age_band, [&](auto v) { traits.set_age_band(v); }));
  RETURN_IF_ERROR(SetWord<common::v1::SpiritualStance>(
      words.spiritual_stance, [&](auto v) { traits.set_spiritual_stance(v); }));
  RETURN_IF_ERROR(
      SetWord<common::v1::Approach>(words.approach, [&](auto v) { traits.set_approach(v); }));
  RETURN_IF_ERROR(SetWord<common::v1::ContactFrequency>(
      words.frequency, [&](auto v) { traits.set_contact_frequency(v); }));
  if (!words.country.empty()) traits.mutable_place()->set_country(words.country);
  if (!words.region.empty()) traits.mutable_place()->set_region(words.region);
  return traits;
}

}  // namespace handrail::tools
