#include "tools/benchmark/core_people.h"

#include <array>
#include <cstring>
#include <string>
#include <utility>

namespace handrail::benchmark {
namespace {

using matching::AccessNeed;
using matching::AgeBand;
using matching::Approach;
using matching::CoarseCell;
using matching::Community;
using matching::ContactFrequency;
using matching::EnumSet;
using matching::Gender;
using matching::GenderRule;
using matching::Language;
using matching::LifeSituation;
using matching::MedicationStance;
using matching::MemberTraits;
using matching::Modality;
using matching::NewcomerTraits;
using matching::PersonTraits;
using matching::Philosophy;
using matching::RecoveryGoal;
using matching::RelationshipType;
using matching::SpiritualStance;
using matching::SponsorProgram;
using matching::SponsorTraits;
using matching::Standing;
using matching::StepWorkStyle;
using matching::Substance;
using matching::Training;

// One of the values, by its share of a hundred; the last takes the rest.
template <typename T, size_t kSize>
const T& ByShare(Random& random, const std::array<std::pair<T, uint64_t>, kSize>& shares) {
  uint64_t left = random.Below(100);
  for (const auto& [value, share] : shares) {
    if (left < share) return value;
    left -= share;
  }
  return shares.back().first;
}

template <typename E>
E Answer(Random& random, uint64_t count, uint64_t silent_percent) {
  if (random.Below(100) < silent_percent) return static_cast<E>(0);
  return static_cast<E>(1 + random.Below(count));
}

template <typename E>
EnumSet<E> Each(Random& random, int count, uint64_t percent) {
  EnumSet<E> set;
  for (int value = 1; value <= count; ++value) {
    if (random.Below(100) < percent) set.Add(static_cast<E>(value));
  }
  return set;
}

constexpr std::array<std::pair<const char*, uint64_t>, 6> kLanguages = {
    {{"en", 78}, {"es", 14}, {"fr", 4}, {"de", 2}, {"pt", 1}, {"pl", 1}}};
constexpr std::array<std::pair<const char*, uint64_t>, 9> kZones = {{{"America/New_York", 30},
                                                                     {"America/Chicago", 20},
                                                                     {"America/Denver", 7},
                                                                     {"America/Los_Angeles", 13},
                                                                     {"Europe/London", 13},
                                                                     {"Europe/Dublin", 3},
                                                                     {"Europe/Madrid", 4},
                                                                     {"Australia/Sydney", 6},
                                                                     {"Asia/Kolkata", 4}}};
constexpr std::array<std::pair<Gender, uint64_t>, 3> kGenders = {
    {{Gender::kMan, 58}, {Gender::kWoman, 38}, {Gender::kNonBinary, 4}}};
constexpr std::array<std::pair<GenderRule, uint64_t>, 3> kGenderRules = {
    {{GenderRule::kUnspecified, 85}, {GenderRule::kAny, 10}, {GenderRule::kExplicitSet, 5}}};

// The number in four of the 16 bytes, so that whoever meets the id finds the person in an array.
template <typename AnId>
AnId IdOf(Random& random, uint32_t number) {
  std::string bytes(AnId::Random(random).Bytes());
  std::memcpy(bytes.data() + 12, &number, sizeof(number));
  return *AnId::FromBytes(bytes);
}

}  // namespace

uint32_t NumberOf(const RawId& id) {
  uint32_t number = 0;
  std::memcpy(&number, id.Bytes().data() + 12, sizeof(number));
  return number;
}

TicketId CorePeople::TicketIdOf(uint32_t number) { return IdOf<TicketId>(random_, number); }

void CorePeople::AddHours(PersonTraits& person) {
  if (Chance(10)) return;
  const auto add = [&](int day, uint64_t from, uint64_t hours, uint64_t shortest, uint64_t spread) {
    person.availability.push_back({static_cast<uint8_t>(day),
                                   static_cast<int16_t>(60 * from + 30 * random_.Below(2 * hours)),
                                   static_cast<int16_t>(shortest + 30 * random_.Below(spread))});
  };
  for (int day = 1; day <= 5; ++day) {
    if (Chance(55)) add(day, 17, 3, 60, 5);
  }
  for (int day = 6; day <= 7; ++day) {
    if (Chance(60)) add(day, 9, 5, 120, 7);
  }
}

PersonTraits CorePeople::Person() {
  PersonTraits person;
  person.languages.push_back(Language::FromTag(ByShare(random_, kLanguages)));
  if (Chance(15)) {
    const Language second = Language::FromTag(ByShare(random_, kLanguages));
    if (second != person.languages.front()) person.languages.push_back(second);
  }
  person.time_zone = ByShare(random_, kZones);
  AddHours(person);
  const std::array<std::pair<Modality, uint64_t>, 5> ways = {{{Modality::kAppText, 90},
                                                              {Modality::kVoice, 70},
                                                              {Modality::kVideo, 50},
                                                              {Modality::kSmsRelay, 30},
                                                              {Modality::kEmailRelay, 20}}};
  for (const auto& [way, percent] : ways) {
    if (Chance(percent)) person.modalities.Add(way);
  }
  person.gender = ByShare(random_, kGenders);
  person.gender_preference.rule = ByShare(random_, kGenderRules);
  person.gender_preference.genders = {person.gender, Gender::kNonBinary, Gender::kAnother};
  person.age_band = Answer<AgeBand>(random_, 6, 15);
  person.life_situations = Each<LifeSituation>(random_, 5, 30);
  person.substances = Each<Substance>(random_, 7, 25);
  person.spiritual_stance = Answer<SpiritualStance>(random_, 4, 15);
  person.goal = Answer<RecoveryGoal>(random_, 4, 20);
  person.approach = Answer<Approach>(random_, 2, 25);
  person.step_work_style = Answer<StepWorkStyle>(random_, 4, 25);
  person.contact_frequency = Answer<ContactFrequency>(random_, 4, 25);
  if (Chance(70)) {
    person.place.cell =
        CoarseCell{static_cast<int16_t>(300 + random_.Below(180)),
                   static_cast<int16_t>(-1200 + static_cast<int>(random_.Below(480)))};
  }
  if (Chance(20)) person.home_group = std::to_string(random_.Below(5000));
  person.adult_attested = true;
  return person;
}

MemberTraits CorePeople::Member(uint32_t number) {
  MemberTraits member;
  member.member = IdOf<MemberId>(random_, number);
  member.version = 1;
  member.standing = Standing::kGood;
  member.consents_to_matching = true;
  member.consents_to_health_data = true;
  return member;
}

MemberTraits CorePeople::Newcomer(uint32_t number) {
  MemberTraits member = Member(number);
  NewcomerTraits traits;
  traits.person = Person();
  traits.person.medication_stance = Answer<MedicationStance>(random_, 3, 40);
  traits.philosophies = {Philosophy::kTwelveStepAa};
  const absl::CivilDay today = absl::ToCivilDay(now_, absl::UTCTimeZone());
  if (Chance(90)) traits.recovery_date = today - static_cast<int>(random_.Below(120));
  if (Chance(4)) traits.access_needs.Add(static_cast<AccessNeed>(1 + random_.Below(8)));
  if (Chance(35)) {
    for (uint64_t i = 0; i <= random_.Below(2); ++i) {
      traits.important_communities.Add(static_cast<Community>(1 + random_.Below(13)));
    }
  }
  traits.requires_medication_support = Chance(10);
  member.newcomer = std::move(traits);
  return member;
}

MemberTraits CorePeople::Sponsor(uint32_t number) {
  MemberTraits member = Member(number);
  SponsorTraits traits;
  traits.person = Person();
  traits.person.communities = Each<Community>(random_, 13, 12);
  traits.person.medication_stance =
      Chance(45) ? MedicationStance::kSupportsMedication : Answer<MedicationStance>(random_, 3, 40);
  SponsorProgram program;
  program.philosophy = Philosophy::kTwelveStepAa;
  const absl::CivilDay today = absl::ToCivilDay(now_, absl::UTCTimeZone());
  program.recovery_date = today - 200 - static_cast<int>(random_.Below(25 * 365));
  program.steps_done = static_cast<int>(6 + random_.Below(7));
  program.has_own_sponsor = Chance(80);
  program.attends_actively = Chance(85);
  program.trainings = Each<Training>(random_, 4, 15);
  program.relationship_types = {RelationshipType::kSponsor, RelationshipType::kTemporaryContact};
  traits.programs = {program};
  traits.access_offered = Each<AccessNeed>(random_, 8, 60);
  traits.attest_time = absl::InfiniteFuture();
  member.sponsor = std::move(traits);
  return member;
}

}  // namespace handrail::benchmark
