#include "tools/handrail/demo/population.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/macros.h"
#include "common/testing/seeded_random.h"
#include "tools/handrail/client/endpoints.h"
#include "tools/simulator/draws.h"
#include "tools/simulator/world.h"

// Who takes part. The tables here are those of docs/simulation.md.
namespace handrail::simulator {
namespace {

using namespace matching;  // NOLINT: the words of the domain, on every line

constexpr absl::CivilDay kFirstDay(2026, 1, 5);  // a Monday

template <typename T>
struct Share {
  T value;
  int weight;
};

template <typename T, size_t kSize>
T Pick(Random& random, const Share<T> (&shares)[kSize]) {
  int sum = 0;
  for (const Share<T>& share : shares) sum += share.weight;
  auto draw = static_cast<int>(random.Below(static_cast<uint64_t>(sum)));
  for (const Share<T>& share : shares) {
    if (draw < share.weight) return share.value;
    draw -= share.weight;
  }
  return shares[0].value;
}

bool Chance(Random& random, uint64_t percent) { return random.Below(100) < percent; }

double Exponential(Random& random, double mean) { return -mean * std::log(1 - random.Unit()); }

constexpr Share<Philosophy> kPrograms[] = {
    {Philosophy::kTwelveStepAa, 58},
    {Philosophy::kTwelveStepNa, 22},
    {Philosophy::kSmart, 8},
    {Philosophy::kRecoveryDharma, 4},
    {Philosophy::kCelebrateRecovery, 4},
    {Philosophy::kTwelveStepCa, 2},
    {Philosophy::kTwelveStepCma, 2},
};
constexpr Share<const char*> kZones[] = {{"America/New_York", 45},
                                         {"America/Chicago", 28},
                                         {"America/Denver", 8},
                                         {"America/Los_Angeles", 19}};
constexpr Share<const char*> kLanguages[] = {{"en", 86}, {"es", 12}, {"fr", 2}};
constexpr Share<AgeBand> kNewcomerAges[] = {{AgeBand::k18To24, 12}, {AgeBand::k25To34, 28},
                                            {AgeBand::k35To44, 25}, {AgeBand::k45To54, 17},
                                            {AgeBand::k55To64, 12}, {AgeBand::k65Plus, 6}};
constexpr Share<AgeBand> kSponsorAges[] = {{AgeBand::k18To24, 1},  {AgeBand::k25To34, 10},
                                           {AgeBand::k35To44, 22}, {AgeBand::k45To54, 26},
                                           {AgeBand::k55To64, 24}, {AgeBand::k65Plus, 17}};
constexpr Share<Gender> kGenders[] = {
    {Gender::kMan, 58}, {Gender::kWoman, 40}, {Gender::kNonBinary, 2}};
constexpr Share<SpiritualStance> kStances[] = {{SpiritualStance::kSecular, 22},
                                               {SpiritualStance::kSpiritualOpen, 36},
                                               {SpiritualStance::kFaith, 22},
                                               {SpiritualStance::kNoPreference, 12},
                                               {SpiritualStance::kUnspecified, 8}};
constexpr Share<RecoveryGoal> kGoals[] = {{RecoveryGoal::kAbstinence, 80},
                                          {RecoveryGoal::kModeration, 4},
                                          {RecoveryGoal::kHarmReduction, 6},
                                          {RecoveryGoal::kUnsure, 10}};
constexpr Share<MedicationStance> kMedication[] = {
    {MedicationStance::kUnspecified, 30},
    {MedicationStance::kNoOpinion, 35},
    {MedicationStance::kSupportsMedication, 25},
    {MedicationStance::kAbstinenceIncludingMedication, 10}};
constexpr Share<Approach> kApproaches[] = {
    {Approach::kStructured, 45}, {Approach::kFlexible, 40}, {Approach::kUnspecified, 15}};
constexpr Share<StepWorkStyle> kStepWork[] = {{StepWorkStyle::kBookStudy, 35},
                                              {StepWorkStyle::kWritten, 20},
                                              {StepWorkStyle::kConversation, 30},
                                              {StepWorkStyle::kUnspecified, 15}};
constexpr Share<ContactFrequency> kFrequencies[] = {{ContactFrequency::kDaily, 25},
                                                    {ContactFrequency::kSeveralWeekly, 35},
                                                    {ContactFrequency::kWeekly, 25},
                                                    {ContactFrequency::kAsNeeded, 15}};
// Whelan 2009: median 1, quartiles wide, up to 17; cut at the limit of 10, with our default of 3.
constexpr Share<int> kCapacities[] = {{1, 25}, {2, 20}, {3, 30}, {4, 10}, {5, 7},
                                      {6, 3},  {7, 2},  {8, 1},  {10, 2}};

// What most people of a program ask for.
RelationshipType AskedIn(Philosophy philosophy) {
  switch (philosophy) {
    case Philosophy::kSmart: return RelationshipType::kPeerCompanion;
    case Philosophy::kRecoveryDharma: return RelationshipType::kMentor;
    default: return RelationshipType::kSponsor;
  }
}

template <typename AnId>
AnId DrawId(Random& random) {
  return AnId::Random(random);
}

class Drawer {
 public:
  Drawer(const std::vector<Surroundings>& surroundings, uint64_t seed)
      : surroundings_(surroundings), random_(seed) {}

  Random& random() { return random_; }

  const Surroundings& Anywhere() { return surroundings_[random_.Below(surroundings_.size())]; }

  // Meeting directories are those of twelve-step fellowships; the share of the others is drawn.
  Philosophy Program(const Surroundings& home) {
    const Philosophy drawn = Pick(random_, kPrograms);
    const bool twelve_step =
        drawn == Philosophy::kTwelveStepAa || drawn == Philosophy::kTwelveStepNa;
    return twelve_step && home.philosophy != Philosophy::kUnspecified ? home.philosophy : drawn;
  }

  PersonTraits Person(const Surroundings& home, int meetings) {
    PersonTraits person;
    person.languages.push_back(Language::FromTag(home.language));
    if (home.language != "en" && Chance(random_, 60)) {
      person.languages.push_back(Language::FromTag("en"));
    }
    if (home.language == "en" && Chance(random_, 10)) {
      person.languages.push_back(Language::FromTag("es"));
    }
    person.time_zone = home.time_zone;
    for (int i = 0; i < meetings; ++i) {
      const Surroundings& meeting = i == 0 ? home : Anywhere();
      AddWindow(meeting.iso_weekday, meeting.start_minute, 120, person);
    }
    AddWindow(1 + static_cast<int>(random_.Below(5)), 18 * 60, 180, person);
    AddWindow(1 + static_cast<int>(random_.Below(5)), 19 * 60, 120, person);
    AddWindow(6 + static_cast<int>(random_.Below(2)), 10 * 60, 240, person);
    person.modalities.Add(Modality::kAppText);
    if (Chance(random_, 70)) person.modalities.Add(Modality::kVoice);
    if (Chance(random_, 30)) person.modalities.Add(Modality::kVideo);
    person.gender = Pick(random_, kGenders);
    if (person.gender == Gender::kNonBinary || Chance(random_, 15)) {
      person.gender_preference.rule = GenderRule::kAny;
    }
    DrawOutlook(person);
    if (Chance(random_, 50)) person.home_group = home.place;
    person.adult_attested = true;
    return person;
  }

 private:
  void DrawOutlook(PersonTraits& person) {
    person.spiritual_stance = Pick(random_, kStances);
    person.goal = Pick(random_, kGoals);
    person.medication_stance = Pick(random_, kMedication);
    person.approach = Pick(random_, kApproaches);
    person.step_work_style = Pick(random_, kStepWork);
    person.contact_frequency = Pick(random_, kFrequencies);
    if (Chance(random_, 35)) person.communities.Add(Community::kParent);
    if (Chance(random_, 9)) person.communities.Add(Community::kVeteran);
    if (Chance(random_, 10)) person.communities.Add(Community::kLgbtq);
    if (Chance(random_, 30)) person.communities.Add(Community::kDualDiagnosis);
    if (Chance(random_, 20)) person.communities.Add(Community::kJusticeInvolved);
    if (Chance(random_, 60)) person.life_situations.Add(LifeSituation::kWorking);
    if (Chance(random_, 35)) person.life_situations.Add(LifeSituation::kHasChildren);
    if (Chance(random_, 10)) person.life_situations.Add(LifeSituation::kStudying);
    if (Chance(random_, 12)) person.life_situations.Add(LifeSituation::kRetired);
    if (Chance(random_, 70)) person.substances.Add(Substance::kAlcohol);
    if (Chance(random_, 30)) person.substances.Add(Substance::kOpioids);
    if (Chance(random_, 25)) person.substances.Add(Substance::kStimulants);
  }

  static void AddWindow(int iso_weekday, int start_minute, int length, PersonTraits& person) {
    person.availability.push_back({static_cast<uint8_t>(iso_weekday),
                                   static_cast<int16_t>(start_minute),
                                   static_cast<int16_t>(length)});
  }

  const std::vector<Surroundings>& surroundings_;
  handrail::testing::SeededRandom random_;
};

MemberTraits Member(Random& random) {
  MemberTraits member;
  member.member = DrawId<MemberId>(random);
  member.version = 1;
  member.standing = Standing::kGood;
  member.consents_to_matching = true;
  member.consents_to_health_data = true;
  return member;
}

Newcomer DrawNewcomer(Drawer& drawer, const WorldOptions& options, absl::Time start) {
  Random& random = drawer.random();
  const Surroundings& home = drawer.Anywhere();
  const Philosophy philosophy = drawer.Program(home);
  MemberTraits member = Member(random);
  NewcomerTraits traits;
  traits.person = drawer.Person(home, 3);
  traits.person.age_band = Pick(random, kNewcomerAges);
  traits.philosophies.Add(philosophy);
  traits.recovery_date = kFirstDay - static_cast<int64_t>(random.Below(120));
  if (Chance(random, 20)) traits.important_communities.Add(Community::kParent);
  if (Chance(random, 10)) traits.important_communities.Add(Community::kLgbtq);
  if (Chance(random, 10)) traits.important_communities.Add(Community::kDualDiagnosis);
  Newcomer newcomer;
  newcomer.ticket.id = DrawId<TicketId>(random);
  newcomer.ticket.newcomer = member.member;
  newcomer.ticket.relationship_type = AskedIn(philosophy);
  newcomer.ticket.philosophy = philosophy;
  newcomer.ticket.pool = PoolForTicket(traits, philosophy);
  newcomer.ticket.create_time = start + random.Unit() * absl::Hours(24 * options.days);
  newcomer.ticket.expire_time = newcomer.ticket.create_time + kTicketLifetime;
  newcomer.give_up = newcomer.ticket.create_time +
                     absl::Hours(24 * Exponential(random, options.patience_mean_days));
  member.newcomer = std::move(traits);
  newcomer.traits = std::make_shared<const MemberTraits>(std::move(member));
  return newcomer;
}

std::vector<Sponsor::Away> DrawAway(Random& random, const WorldOptions& options, absl::Time from,
                                    absl::Time end) {
  std::vector<Sponsor::Away> away;
  const double share =
      options.away_mean_days / (options.away_mean_days + options.present_mean_days);
  bool is_away = random.Unit() < share;
  for (absl::Time at = from; at < end; is_away = !is_away) {
    const double mean = is_away ? options.away_mean_days : options.present_mean_days;
    const absl::Time next = at + absl::Hours(24 * Exponential(random, mean));
    if (is_away) away.push_back({at, next});
    at = next;
  }
  return away;
}

// Time in recovery: log-normal about Whelan's median of 11 years (quartiles 4.5 and 28).
int64_t RecoveryDays(Random& random) {
  const double normal = NormalOf(1 - random.Unit(), random.Unit());
  const double years = 11 * std::exp(1.35 * normal);
  return static_cast<int64_t>(365.25 * std::clamp(years, 1.6, 45.0));
}

// What is left of a pairing that is met at some moment: long ones are met more often.
absl::Duration Residual(Random& random, const WorldOptions& options) {
  const double most = 6 * options.hold_mean_days;
  while (true) {
    const double days = random.Unit() < options.trial_end_share
                            ? 3 + 27 * random.Unit()
                            : Exponential(random, options.hold_mean_days);
    if (random.Unit() * most < days) return absl::Hours(24 * days * random.Unit());
  }
}

Sponsor DrawSponsor(Drawer& drawer, const WorldOptions& options, absl::Time start) {
  Random& random = drawer.random();
  const Surroundings& home = drawer.Anywhere();
  const Philosophy philosophy = drawer.Program(home);
  MemberTraits member = Member(random);
  SponsorTraits traits;
  traits.person = drawer.Person(home, 4);
  traits.person.age_band = Pick(random, kSponsorAges);
  SponsorProgram program;
  program.philosophy = philosophy;
  program.recovery_date = kFirstDay - RecoveryDays(random);
  program.steps_done = philosophy == Philosophy::kCelebrateRecovery || Chance(random, 80) ? 12 : 6;
  program.has_own_sponsor = philosophy == Philosophy::kCelebrateRecovery || Chance(random, 82);
  program.attends_actively = true;
  if (Chance(random, 40)) program.trainings.Add(Training::kBoundaries);
  if (philosophy == Philosophy::kSmart) program.trainings.Add(Training::kFacilitator);
  program.relationship_types.Add(AskedIn(philosophy));
  traits.programs.push_back(program);
  traits.attest_time = start - absl::Hours(1);
  member.sponsor = std::move(traits);
  Sponsor sponsor;
  sponsor.traits = std::make_shared<const MemberTraits>(std::move(member));
  sponsor.capacity = Pick(random, kCapacities);
  sponsor.answer_median_hours = random.Unit() < options.prompt_share ? options.prompt_median_hours
                                                                     : options.late_median_hours;
  sponsor.away =
      DrawAway(random, options, start, start + absl::Hours(24 * options.days) + kTicketLifetime);
  return sponsor;
}

// Pairings that each seat has from before, so that the log begins as it goes on: where supply is
// ample a part of the seats, else all of them.
void DrawHeld(const WorldOptions& options, absl::Time start, Sponsor& sponsor, Random& random) {
  const double held_share = std::min(1.0, 1 / options.supply);
  for (int seat = 0; seat < sponsor.capacity; ++seat) {
    const double draw = random.Unit();
    const absl::Duration left = Residual(random, options);
    if (draw < held_share) sponsor.first_ends.push_back(start + left);
  }
}

// A Meeting Guide or a BMLT feed; which of them is told by what can be read. The zone is of Meeting
// Guide feeds that name none.
absl::Status AddFeed(const std::string& path, tools::Directory& directory) {
  ASSIGN_OR_RETURN(const std::string text, tools::ReadFile(path));
  const size_t before = directory.meetings.size();
  tools::AddMeetingGuideFeed(text, "America/New_York", directory);
  if (directory.meetings.size() == before) tools::AddBmltFeed(text, directory);
  return absl::OkStatus();
}

// The feeds that lie in a folder, in the order of their names.
absl::Status AddFolder(const std::string& path, tools::Directory& directory) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.is_regular_file() && entry.path().extension() == ".json") {
      files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) RETURN_IF_ERROR(AddFeed(file, directory));
  return absl::OkStatus();
}

}  // namespace

std::vector<Surroundings> DocumentedSurroundings(uint64_t seed) {
  handrail::testing::SeededRandom random(seed ^ 0x5eed);
  std::vector<Surroundings> all;
  for (int i = 0; i < 1000; ++i) {
    Surroundings home;
    home.place = absl::StrCat("group ", i);
    home.time_zone = Pick(random, kZones);
    home.language = Pick(random, kLanguages);
    home.philosophy = Philosophy::kUnspecified;
    home.iso_weekday = 1 + static_cast<int>(random.Below(7));
    static constexpr Share<int> kHours[] = {{7, 15},  {12, 20}, {17, 15},
                                            {18, 15}, {19, 25}, {20, 10}};
    home.start_minute = 60 * Pick(random, kHours);
    all.push_back(std::move(home));
  }
  return all;
}

absl::StatusOr<std::vector<Surroundings>> SurroundingsFromMeetings(const std::string& path) {
  tools::Directory directory;
  if (std::filesystem::is_directory(path)) {
    directory = tools::ReadRealDirectories(path);
    if (directory.meetings.empty()) RETURN_IF_ERROR(AddFolder(path, directory));
  } else {
    RETURN_IF_ERROR(AddFeed(path, directory));
  }
  if (directory.meetings.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("no meetings could be read from ", path));
  }
  std::vector<Surroundings> all;
  for (const tools::Meeting& meeting : directory.meetings) {
    all.push_back({meeting.place, meeting.time_zone, meeting.language,
                   static_cast<Philosophy>(meeting.philosophy), meeting.iso_weekday,
                   meeting.start_minute});
  }
  return all;
}

World World::Draw(const WorldOptions& options, const std::vector<Surroundings>& surroundings) {
  const absl::Time start = absl::FromCivil(kFirstDay, absl::UTCTimeZone());
  Drawer newcomer_drawer(surroundings, options.seed * 2 + 1);
  std::vector<Newcomer> newcomers;
  for (int i = 0; i < options.newcomers; ++i) {
    newcomers.push_back(DrawNewcomer(newcomer_drawer, options, start));
  }
  std::sort(newcomers.begin(), newcomers.end(), [](const Newcomer& a, const Newcomer& b) {
    return a.ticket.create_time < b.ticket.create_time;
  });
  const double a_day = static_cast<double>(options.newcomers) / options.days;
  const double wanted = options.supply * a_day * options.MeanHoldDays();
  Drawer sponsor_drawer(surroundings, options.seed * 2 + 2);
  handrail::testing::SeededRandom held_random(options.seed ^ 0x4e1d);
  std::vector<Sponsor> sponsors;
  for (double seats = 0; seats < wanted; seats += sponsors.back().capacity) {
    sponsors.push_back(DrawSponsor(sponsor_drawer, options, start));
    DrawHeld(options, start, sponsors.back(), held_random);
  }
  return World(options, start, std::move(newcomers), std::move(sponsors));
}

}  // namespace handrail::simulator
