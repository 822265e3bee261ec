#include "tools/handrail/demo/population.h"

#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "tools/handrail/client/endpoints.h"

namespace handrail::tools {
namespace {

using common::v1::PersonTraits;
using common::v1::Philosophy;
using common::v1::RelationshipType;
using nlohmann::json;

// Time zones of the feeds that do not say one.
struct Feed {
  absl::string_view file;
  absl::string_view time_zone;
};
constexpr Feed kMeetingGuideFeeds[] = {
    {"orange-county-2023.json", "America/Los_Angeles"},
    {"san-jose-2021.json", "America/Los_Angeles"},
    {"sf-marin-2021.json", "America/Los_Angeles"},
    {"edmonton-2024.json", "America/Edmonton"},
    {"kansas-city-2021.json", "America/Chicago"},
};

// Meeting Guide type codes of languages.
constexpr std::pair<absl::string_view, absl::string_view> kLanguageCodes[] = {
    {"S", "es"},   {"FR", "fr"},  {"PL", "pl"}, {"KOR", "ko"}, {"POR", "pt"},
    {"RUS", "ru"}, {"ITA", "it"}, {"JA", "ja"}, {"PUN", "pa"},
};

std::string TextOf(const json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Minutes after midnight of "18:30" or "18:30:00"; -1 otherwise.
int MinuteOf(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  int hour = 0;
  int minute = 0;
  if (parts.size() < 2 || !absl::SimpleAtoi(parts[0], &hour) ||
      !absl::SimpleAtoi(parts[1], &minute) || hour < 0 || hour > 23 || minute < 0 || minute > 59) {
    return -1;
  }
  return hour * 60 + minute;
}

// 0 is Sunday in Meeting Guide; numbers come as numbers and as texts.
int IsoWeekdayOf(const json& row) {
  const auto found = row.find("day");
  if (found == row.end()) return 0;
  int64_t day = -1;
  // Not as an int, which would make a day of the week of a number far from it.
  if (found->is_number_integer()) day = found->get<int64_t>();
  if (found->is_string() && !absl::SimpleAtoi(found->get<std::string>(), &day)) day = -1;
  if (day < 0 || day > 6) return 0;
  return day == 0 ? 7 : static_cast<int>(day);
}

std::string LanguageOf(const json& row) {
  const auto types = row.find("types");
  if (types == row.end() || !types->is_array()) return "en";
  for (const json& type : *types) {
    if (!type.is_string()) continue;
    for (const auto& [code, language] : kLanguageCodes) {
      if (type.get<std::string>() == code) return std::string(language);
    }
  }
  return "en";
}

void AddMeetingGuide(const json& rows, absl::string_view time_zone, Directory& directory) {
  if (!rows.is_array()) return;
  for (const json& row : rows) {
    if (!row.is_object()) continue;
    Meeting meeting;
    meeting.iso_weekday = IsoWeekdayOf(row);
    meeting.start_minute = MinuteOf(TextOf(row, "time"));
    if (meeting.iso_weekday == 0 || meeting.start_minute < 0) continue;
    meeting.place = TextOf(row, "region");
    if (meeting.place.empty()) meeting.place = TextOf(row, "city");
    const std::string zone = TextOf(row, "timezone");
    meeting.time_zone = zone.empty() ? std::string(time_zone) : zone;
    meeting.language = LanguageOf(row);
    meeting.philosophy = common::v1::PHILOSOPHY_TWELVE_STEP_AA;
    directory.meetings.push_back(std::move(meeting));
  }
}

// BMLT's semantic API: every value is a string, weekday 1 is Sunday.
void AddBmlt(const json& rows, Directory& directory) {
  if (!rows.is_array()) return;
  for (const json& row : rows) {
    if (!row.is_object()) continue;
    int weekday = 0;
    if (!absl::SimpleAtoi(TextOf(row, "weekday_tinyint"), &weekday)) continue;
    if (weekday < 1 || weekday > 7) continue;
    Meeting meeting;
    meeting.iso_weekday = weekday == 1 ? 7 : weekday - 1;
    meeting.start_minute = MinuteOf(TextOf(row, "start_time"));
    if (meeting.start_minute < 0) continue;
    meeting.place = TextOf(row, "location_municipality");
    meeting.time_zone = "America/New_York";
    meeting.language = "en";
    meeting.philosophy = common::v1::PHILOSOPHY_TWELVE_STEP_NA;
    directory.meetings.push_back(std::move(meeting));
  }
}

json ParseFeed(absl::string_view text) {
  return json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
}

// What is asked for, and how often, beside the program of the meeting that was drawn.
struct ProgramShare {
  Philosophy philosophy;
  RelationshipType relationship_type;
  int percent;
};
constexpr int kDayMinutes = 24 * 60;
constexpr int kWeekMinutes = 7 * kDayMinutes;
constexpr ProgramShare kOtherPrograms[] = {
    {common::v1::PHILOSOPHY_SMART, common::v1::RELATIONSHIP_TYPE_PEER_COMPANION, 10},
    {common::v1::PHILOSOPHY_RECOVERY_DHARMA, common::v1::RELATIONSHIP_TYPE_MENTOR, 10},
};

class Drawer {
 public:
  Drawer(const Directory& directory, Random& random, absl::CivilDay today)
      : directory_(directory), random_(random), today_(today) {}

  NewcomerPlan Newcomer(int number) {
    NewcomerPlan plan;
    const Meeting& home = AnyMeeting();
    plan.label = absl::StrCat("newcomer ", number);
    plan.place = home.place;
    std::tie(plan.philosophy, plan.relationship_type) = Program(home);
    *plan.traits.mutable_person() = Person(home, 3);
    plan.traits.add_philosophies(plan.philosophy);
    *plan.traits.mutable_recovery_date() = DaysAgo(5 + random_.Below(120));
    if (Chance(20)) {
      plan.traits.add_important_communities(common::v1::COMMUNITY_PARENT);
    }
    return plan;
  }

  SponsorPlan Sponsor(int number) {
    SponsorPlan plan;
    const Meeting& home = AnyMeeting();
    plan.label = absl::StrCat("sponsor ", number);
    plan.place = home.place;
    const auto [philosophy, relationship_type] = Program(home);
    *plan.traits.mutable_person() = Person(home, 5);
    common::v1::SponsorProgram* program = plan.traits.add_programs();
    program->set_philosophy(philosophy);
    *program->mutable_recovery_date() = DaysAgo(500 + random_.Below(5000));
    program->set_steps_done(12);
    program->set_has_own_sponsor(true);
    program->set_attends_actively(true);
    program->add_trainings(common::v1::TRAINING_BOUNDARIES);
    program->add_trainings(common::v1::TRAINING_FACILITATOR);
    program->add_relationship_types(relationship_type);
    plan.capacity = 1 + static_cast<int>(random_.Below(4));
    const uint64_t habit = random_.Below(100);
    plan.habit = habit < 76   ? SponsorPlan::Habit::kAccepts
                 : habit < 90 ? SponsorPlan::Habit::kDeclinesFirst
                              : SponsorPlan::Habit::kNeverAnswers;
    return plan;
  }

 private:
  bool Chance(uint64_t percent) { return random_.Below(100) < percent; }

  const Meeting& AnyMeeting() {
    return directory_.meetings[random_.Below(directory_.meetings.size())];
  }

  std::pair<Philosophy, RelationshipType> Program(const Meeting& home) {
    uint64_t draw = random_.Below(100);
    for (const ProgramShare& share : kOtherPrograms) {
      if (draw < static_cast<uint64_t>(share.percent)) {
        return {share.philosophy, share.relationship_type};
      }
      draw -= static_cast<uint64_t>(share.percent);
    }
    // One in five of a city's meetings stands for its NA fellowship, which has its own directories.
    const Philosophy philosophy =
        draw % 5 == 0 ? common::v1::PHILOSOPHY_TWELVE_STEP_NA : home.philosophy;
    return {philosophy, common::v1::RELATIONSHIP_TYPE_SPONSOR};
  }

  google::type::Date DaysAgo(uint64_t days) {
    const absl::CivilDay day = today_ - static_cast<int64_t>(days);
    google::type::Date date;
    date.set_year(static_cast<int>(day.year()));
    date.set_month(day.month());
    date.set_day(day.day());
    return date;
  }

  // Free around the hours of `meetings` meetings of the directory, and on two evenings.
  PersonTraits Person(const Meeting& home, int meetings) {
    PersonTraits person;
    person.set_adult_attested(true);
    person.add_languages(home.language);
    if (home.language != "en" && Chance(60)) person.add_languages("en");
    if (home.language == "en" && Chance(12)) person.add_languages("es");
    person.set_time_zone(home.time_zone);
    for (int i = 0; i < meetings; ++i) {
      const Meeting& meeting = i == 0 ? home : AnyMeeting();
      AddWindow(meeting.iso_weekday, meeting.start_minute, 120, person);
    }
    AddWindow(1 + static_cast<int>(random_.Below(5)), 18 * 60, 180, person);
    AddWindow(6 + static_cast<int>(random_.Below(2)), 10 * 60, 240, person);
    person.add_modalities(common::v1::MODALITY_APP_TEXT);
    if (Chance(70)) person.add_modalities(common::v1::MODALITY_VOICE);
    person.set_gender(Chance(48)   ? common::v1::GENDER_WOMAN
                      : Chance(95) ? common::v1::GENDER_MAN
                                   : common::v1::GENDER_NON_BINARY);
    if (person.gender() == common::v1::GENDER_NON_BINARY || Chance(15)) {
      person.mutable_gender_preference()->set_rule(common::v1::GENDER_RULE_ANY);
    }
    person.set_age_band(static_cast<common::v1::AgeBand>(1 + random_.Below(6)));
    person.set_spiritual_stance(static_cast<common::v1::SpiritualStance>(1 + random_.Below(4)));
    person.set_goal(common::v1::RECOVERY_GOAL_ABSTINENCE);
    person.set_approach(static_cast<common::v1::Approach>(1 + random_.Below(2)));
    person.set_contact_frequency(static_cast<common::v1::ContactFrequency>(1 + random_.Below(4)));
    if (Chance(35)) person.add_communities(common::v1::COMMUNITY_PARENT);
    return person;
  }

  // Left out when it would overlap a window that is there: profiles refuses that.
  void AddWindow(int iso_weekday, int start_minute, int length_minutes, PersonTraits& person) {
    const int start = (iso_weekday - 1) * kDayMinutes + start_minute;
    for (const common::v1::WeeklyWindow& other : person.availability()) {
      const int other_start = (other.iso_weekday() - 1) * kDayMinutes + other.start_minute();
      const int after = (other_start - start + kWeekMinutes) % kWeekMinutes;
      const int before = (start - other_start + kWeekMinutes) % kWeekMinutes;
      if (after < length_minutes || before < other.length_minutes()) return;
    }
    common::v1::WeeklyWindow* window = person.add_availability();
    window->set_iso_weekday(iso_weekday);
    window->set_start_minute(start_minute);
    window->set_length_minutes(length_minutes);
  }

  const Directory& directory_;
  Random& random_;
  const absl::CivilDay today_;
};

}  // namespace

void AddMeetingGuideFeed(absl::string_view text, absl::string_view time_zone,
                         Directory& directory) {
  AddMeetingGuide(ParseFeed(text), time_zone, directory);
}

void AddBmltFeed(absl::string_view text, Directory& directory) {
  AddBmlt(ParseFeed(text), directory);
}

Directory ReadRealDirectories(const std::string& data_folder) {
  Directory directory;
  for (const Feed& feed : kMeetingGuideFeeds) {
    const auto text = ReadFile(absl::StrCat(data_folder, "/meeting_guide/", feed.file));
    if (text.ok()) AddMeetingGuideFeed(*text, feed.time_zone, directory);
  }
  const auto text = ReadFile(absl::StrCat(data_folder, "/bmlt/GetSearchResults-small.json"));
  if (text.ok()) AddBmltFeed(*text, directory);
  directory.source = "the real meeting directories";
  return directory;
}

absl::StatusOr<Directory> ReadSampleDirectory(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  Directory directory;
  AddMeetingGuideFeed(text, "America/New_York", directory);
  if (directory.meetings.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("no meetings in ", path));
  }
  directory.source = "a small sample of our own";
  return directory;
}

Population DrawPopulation(const Directory& directory, Random& random, absl::CivilDay today,
                          int newcomers, int sponsors) {
  Population population;
  Drawer drawer(directory, random, today);
  std::set<int> programs;
  std::set<std::string> languages;
  std::set<std::string> zones;
  for (int i = 1; i <= newcomers; ++i) {
    population.newcomers.push_back(drawer.Newcomer(i));
    const NewcomerPlan& plan = population.newcomers.back();
    programs.insert(plan.philosophy);
    languages.insert(plan.traits.person().languages(0));
    zones.insert(plan.traits.person().time_zone());
  }
  for (int i = 1; i <= sponsors; ++i) population.sponsors.push_back(drawer.Sponsor(i));
  population.programs = programs.size();
  population.languages = languages.size();
  population.zones = zones.size();
  return population;
}

}  // namespace handrail::tools
