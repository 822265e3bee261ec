#include "services/matching/domain/rule_oracle.h"

#include <cmath>

#include "absl/time/civil_time.h"

namespace handrail::matching {
namespace {

using Type = RelationshipType;

// What domain.md 2.1 says of a program; where it has no row, that of AA and NA for a twelve-step
// fellowship and peer companions for the rest.
struct ProgramRow {
  std::set<Type> types;
  int recovery_days = 0;
  int more_time_days = 0;
  bool twelve_steps_done = false;
  bool own_sponsor = false;
  bool attends = false;
  bool facilitator = false;
  bool same_gender_always = false;
  bool same_gender_unless_said = false;
};

bool IsTwelveStep(Philosophy philosophy) {
  switch (philosophy) {
    case Philosophy::kTwelveStepAa:
    case Philosophy::kTwelveStepNa:
    case Philosophy::kTwelveStepCa:
    case Philosophy::kTwelveStepCma:
    case Philosophy::kTwelveStepHa:
    case Philosophy::kTwelveStepMa:
    case Philosophy::kTwelveStepOther:
    case Philosophy::kFamilyAlAnon:
    case Philosophy::kFamilyNarAnon: return true;
    default: return false;
  }
}

ProgramRow RowOf(Philosophy philosophy) {
  ProgramRow row;
  if (IsTwelveStep(philosophy)) {
    row.types = {Type::kTemporaryContact, Type::kTemporarySponsor, Type::kSponsor,
                 Type::kServiceSponsor};
    row.recovery_days = 365;
    row.more_time_days = 180;
    row.same_gender_unless_said = true;
    return row;
  }
  row.types = {Type::kPeerCompanion};
  if (philosophy == Philosophy::kSmart) row.facilitator = true;
  if (philosophy == Philosophy::kWomenForSobriety) row.same_gender_always = true;
  if (philosophy == Philosophy::kRecoveryDharma) {
    row.types = {Type::kMentor, Type::kPracticePartner};
    row.more_time_days = 1;
  }
  if (philosophy == Philosophy::kCelebrateRecovery) {
    row.types = {Type::kSponsor, Type::kAccountabilityPartner};
    row.recovery_days = 365;
    row.more_time_days = 180;
    row.twelve_steps_done = row.own_sponsor = row.attends = true;
    row.same_gender_always = true;
  }
  return row;
}

// Nothing for a zone that was not said or does not exist.
std::optional<absl::TimeZone> ZoneOf(const PersonTraits& person) {
  absl::TimeZone zone;
  if (person.time_zone.empty() || !absl::LoadTimeZone(person.time_zone, &zone)) return std::nullopt;
  return zone;
}

// H4. A temporary contact needs half a year where others need a year.
bool MeetsRow(const SponsorTraits& sponsor, const ProgramRow& row, const RuleOracle::Case& judged,
              absl::Time now) {
  const SponsorProgram* said = nullptr;
  for (const SponsorProgram& program : sponsor.programs) {
    if (program.philosophy == judged.philosophy) said = &program;
  }
  if (said == nullptr || row.types.count(judged.relationship_type) == 0) return false;
  if (!said->relationship_types.Contains(judged.relationship_type)) return false;
  if (row.twelve_steps_done && said->steps_done < 12) return false;
  if (row.own_sponsor && !said->has_own_sponsor) return false;
  if (row.attends && !said->attends_actively) return false;
  if (row.facilitator && !said->trainings.Contains(Training::kFacilitator)) return false;
  int days = row.recovery_days;
  if (days > 0 && judged.relationship_type == Type::kTemporaryContact) days = 180;
  if (days == 0) return true;
  if (!said->recovery_date) return false;
  const absl::TimeZone zone = ZoneOf(sponsor.person).value_or(absl::UTCTimeZone());
  return absl::ToCivilDay(now, zone) - *said->recovery_date >= days;
}

// H5
bool HasMoreTime(const NewcomerTraits& newcomer, const SponsorTraits& sponsor,
                 const ProgramRow& row, Philosophy philosophy) {
  if (row.more_time_days == 0) return true;
  for (const SponsorProgram& program : sponsor.programs) {
    if (program.philosophy != philosophy) continue;
    if (!program.recovery_date) return false;
    // A newcomer who gave no date is told by nothing but the threshold.
    return !newcomer.recovery_date ||
           *newcomer.recovery_date - *program.recovery_date >= row.more_time_days;
  }
  return false;
}

// H7, of one of the two.
bool Accepts(const PersonTraits& me, const PersonTraits& other, const ProgramRow& row) {
  const bool same = me.gender != Gender::kUnspecified && me.gender == other.gender;
  if (row.same_gender_always && !same) return false;
  switch (me.gender_preference.rule) {
    case GenderRule::kAny: return true;
    case GenderRule::kSameGender: return same;
    case GenderRule::kExplicitSet:
      return other.gender != Gender::kUnspecified &&
             me.gender_preference.genders.Contains(other.gender);
    case GenderRule::kUnspecified: break;
  }
  return same || !(row.same_gender_unless_said || row.same_gender_always);
}

// H8
bool ShareALanguage(const PersonTraits& a, const PersonTraits& b) {
  for (const Language mine : a.languages) {
    for (const Language theirs : b.languages) {
      if (!mine.Tag().empty() && mine.Tag() == theirs.Tag()) return true;
    }
  }
  return false;
}

double KilometresBetween(CoarseCell a, CoarseCell b) {
  constexpr double kRadians = 3.14159265358979323846 / 1800;  // of a tenth of a degree
  const double lat_a = a.latitude_decidegrees * kRadians;
  const double lat_b = b.latitude_decidegrees * kRadians;
  const double dlat = lat_b - lat_a;
  const double dlon = (b.longitude_decidegrees - a.longitude_decidegrees) * kRadians;
  const double haversine = std::pow(std::sin(dlat / 2), 2) +
                           std::cos(lat_a) * std::cos(lat_b) * std::pow(std::sin(dlon / 2), 2);
  return 2 * 6371.0088 * std::asin(std::sqrt(haversine));
}

// H15: when it has to be in person, or can be nothing else.
bool IsNear(const NewcomerTraits& newcomer, const SponsorTraits& sponsor) {
  bool in_person = newcomer.requires_in_person;
  if (!in_person) {
    bool other_way = false;
    for (int i = 1; i <= 6; ++i) {
      const auto way = static_cast<Modality>(i);
      const bool shared =
          newcomer.person.modalities.Contains(way) && sponsor.person.modalities.Contains(way);
      if (shared && way == Modality::kInPersonPublic) in_person = true;
      if (shared && way != Modality::kInPersonPublic) other_way = true;
    }
    if (other_way) in_person = false;
  }
  if (!in_person) return true;
  const auto& here = newcomer.person.place.cell;
  const auto& there = sponsor.person.place.cell;
  if (!here || !there) return false;
  const int limit = newcomer.max_distance_km > 0 ? newcomer.max_distance_km : 40;
  return KilometresBetween(*here, *there) <= limit;
}

bool ShareAWayToMeet(const NewcomerTraits& newcomer, const SponsorTraits& sponsor) {
  for (int i = 1; i <= 6; ++i) {
    const auto way = static_cast<Modality>(i);
    if (newcomer.requires_in_person && way != Modality::kInPersonPublic) continue;
    if (newcomer.person.modalities.Contains(way) && sponsor.person.modalities.Contains(way)) {
      return true;
    }
  }
  return false;
}

bool OffersAccess(const NewcomerTraits& newcomer, const SponsorTraits& sponsor) {
  for (int i = 1; i <= 8; ++i) {
    const auto need = static_cast<AccessNeed>(i);
    if (newcomer.access_needs.Contains(need) && !sponsor.access_offered.Contains(need)) {
      return false;
    }
  }
  return true;
}

}  // namespace

RuleOracle::RuleOracle(absl::Time now) : now_(now) {
  absl::CivilDay day = absl::ToCivilDay(now, absl::UTCTimeZone());
  while (absl::GetWeekday(day) != absl::Weekday::monday) --day;
  monday_ = absl::FromCivil(day, absl::UTCTimeZone());
}

RuleOracle::Person RuleOracle::Newcomer(const MemberTraits& traits) {
  return {traits, HoursOf(traits.newcomer->person)};
}

RuleOracle::Person RuleOracle::Sponsor(const MemberTraits& traits) {
  return {traits, HoursOf(traits.sponsor->person)};
}

// Minute by minute: what the clock on their wall shows then, and whether they are free at that.
std::optional<RuleOracle::Hours> RuleOracle::HoursOf(const PersonTraits& person) {
  const std::optional<absl::TimeZone> zone = ZoneOf(person);
  if (!zone || person.availability.empty()) return std::nullopt;
  std::vector<int>& local = local_minutes_[person.time_zone];
  if (local.empty()) {
    for (int minute = 0; minute < kWeekMinutes; ++minute) {
      const absl::CivilSecond shown = zone->At(monday_ + absl::Minutes(minute)).cs;
      const int day = static_cast<int>(absl::GetWeekday(shown));  // Monday is 0
      local.push_back(day * 1440 + shown.hour() * 60 + shown.minute());
    }
  }
  Hours by_the_wall;
  for (const WeeklyWindow& window : person.availability) {
    const int start = (window.iso_weekday - 1) * 1440 + window.start_minute;
    for (int minute = start; minute < start + window.length_minutes; ++minute) {
      by_the_wall.set(static_cast<size_t>(minute % kWeekMinutes));
    }
  }
  Hours hours;
  for (size_t minute = 0; minute < kWeekMinutes; ++minute) {
    hours[minute] = by_the_wall[static_cast<size_t>(local[minute])];
  }
  return hours;
}

std::set<Rule> RuleOracle::Broken(const Person& newcomer_person, const Person& sponsor_person,
                                  const Case& judged) const {
  const MemberTraits& newcomer_member = newcomer_person.traits;
  const MemberTraits& sponsor_member = sponsor_person.traits;
  const NewcomerTraits& newcomer = *newcomer_member.newcomer;
  const SponsorTraits& sponsor = *sponsor_member.sponsor;
  const PersonTraits& a = newcomer.person;
  const PersonTraits& b = sponsor.person;
  const ProgramRow row = RowOf(judged.philosophy);
  std::set<Rule> broken;
  const auto must = [&broken](Rule rule, bool holds) {
    if (!holds) broken.insert(rule);
  };
  must(Rule::kAdult, a.adult_attested && b.adult_attested);
  for (const MemberTraits* member : {&newcomer_member, &sponsor_member}) {
    must(Rule::kConsent, member->consents_to_matching && member->consents_to_health_data);
    must(Rule::kStanding, member->standing == Standing::kGood);
  }
  must(Rule::kNotBlocked, !judged.facts.blocked && !judged.facts.avoided);
  must(Rule::kProgramPolicy, MeetsRow(sponsor, row, judged, now_));
  must(Rule::kMoreTime, HasMoreTime(newcomer, sponsor, row, judged.philosophy));
  bool both_in_program = false;
  for (const SponsorProgram& program : sponsor.programs) {
    if (program.philosophy == judged.philosophy) both_in_program = true;
  }
  must(Rule::kPhilosophy, both_in_program && newcomer.philosophies.Contains(judged.philosophy));
  must(Rule::kGenderPolicy, Accepts(a, b, row) && Accepts(b, a, row));
  must(Rule::kLanguage, ShareALanguage(a, b));
  must(Rule::kModality, ShareAWayToMeet(newcomer, sponsor));
  must(Rule::kCapacity,
       judged.seats.accepting &&
           judged.seats.pairing_count + judged.seats.open_offer_count < judged.seats.capacity);
  must(Rule::kAvailability, !newcomer_person.hours || !sponsor_person.hours ||
                                (*newcomer_person.hours & *sponsor_person.hours).count() >= 60);
  must(Rule::kFresh, now_ - sponsor.attest_time < absl::Hours(30 * 24));
  must(Rule::kAccess, OffersAccess(newcomer, sponsor));
  must(Rule::kCooldown, !judged.facts.ended_for_safety && judged.facts.cooldown_until <= now_);
  must(Rule::kDistance, IsNear(newcomer, sponsor));
  must(Rule::kDualRole, !judged.facts.dual_role && newcomer_member.member != sponsor_member.member);
  must(Rule::kMedicationSupport, !newcomer.requires_medication_support ||
                                     b.medication_stance == MedicationStance::kSupportsMedication);
  return broken;
}

}  // namespace handrail::matching
