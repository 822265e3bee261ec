#include "services/matching/domain/match_record.h"

#include <algorithm>
#include <cmath>

#include "absl/time/civil_time.h"

namespace handrail::matching {
namespace {

constexpr double kEarthRadiusKm = 6371.0088;

uint64_t Mix(uint64_t value) {  // the finalizer of SplitMix64
  value ^= value >> 30;
  value *= 0xbf58476d1ce4e5b9u;
  value ^= value >> 27;
  value *= 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

// Sine and cosine of every tenth of a degree, so that a distance needs no more than products.
class DecidegreeTable {
 public:
  static constexpr int kMax = 1800;
  struct Entry {
    double sine;
    double cosine;
  };

  DecidegreeTable() {
    int angle = -kMax;
    for (Entry& entry : entries_) {
      const double radians = angle++ * M_PI / 1800;
      entry = {std::sin(radians), std::cos(radians)};
    }
  }
  const Entry& Of(int decidegrees) const {
    const int index = std::clamp(decidegrees, -kMax, kMax) + kMax;
    return entries_[static_cast<size_t>(index)];
  }

 private:
  std::array<Entry, size_t{2} * kMax + 1> entries_;
};

const DecidegreeTable& Decidegrees() {
  static const DecidegreeTable* const table = new DecidegreeTable;
  return *table;
}

constexpr uint8_t GenderBit(Gender gender) {
  return static_cast<uint8_t>(1u << static_cast<unsigned>(gender));
}

// The genders a person may be paired with: their own rule, or the program's default when they said
// nothing, and the program's rule on top. "The same" as a gender that was not said is nobody.
uint8_t AcceptedGenders(const PersonTraits& person, const ProgramPolicy& program) {
  constexpr uint8_t kEverybody = 0b11111;
  const auto same =
      static_cast<uint8_t>(person.gender == Gender::kUnspecified ? 0 : GenderBit(person.gender));
  GenderRule rule = person.gender_preference.rule;
  if (rule == GenderRule::kUnspecified) rule = program.default_gender_rule;
  uint8_t accepted = 0;
  if (rule == GenderRule::kAny) accepted = kEverybody;
  if (rule == GenderRule::kSameGender) accepted = same;
  if (rule == GenderRule::kExplicitSet) {
    accepted = static_cast<uint8_t>(person.gender_preference.genders.bits());
  }
  if (program.gender_rule == GenderRule::kSameGender) accepted &= same;
  return accepted;
}

PersonRecord MakePerson(const MemberTraits& member, const PersonTraits& person,
                        const ProgramPolicy& program) {
  PersonRecord record;
  size_t count = 0;
  for (const Language language : person.languages) {
    if (language.IsZero() || count == record.languages.size()) continue;
    record.languages[count++] = language.code();
  }
  if (person.place.cell) {
    record.cell = *person.place.cell;
    record.flags |= PersonRecord::kHasCell;
  }
  record.modalities = static_cast<uint8_t>(person.modalities.bits());
  record.gender_bit = GenderBit(person.gender);
  record.accepted_genders = AcceptedGenders(person, program);
  if (person.adult_attested) record.flags |= PersonRecord::kAdult;
  if (member.consents_to_matching && member.consents_to_health_data) {
    record.flags |= PersonRecord::kConsent;
  }
  if (member.standing == Standing::kGood) record.flags |= PersonRecord::kStanding;
  return record;
}

void SetRecoveryDate(const std::optional<absl::CivilDay>& date, PersonRecord& record) {
  if (!date) return;
  record.recovery_day = static_cast<int32_t>(*date - absl::CivilDay(1970, 1, 1));
  record.flags |= PersonRecord::kHasDate;
}

WeekHours MakeHours(const PersonTraits& person, ZoneTable& zones, PersonRecord& record) {
  const LocalHours hours = LocalHoursOf(person, zones);
  if (hours.zone == ZoneTable::kNone) return {};
  record.flags |= PersonRecord::kHasHours;
  return WeekHours(zones.Of(hours.zone).ToUtc(hours.local));
}

SoftRecord MakeSoft(const PersonTraits& person) {
  SoftRecord soft;
  if (!person.home_group.empty()) {
    soft.home_group = static_cast<uint32_t>(StableHash(person.home_group, 0) | 1);
  }
  soft.communities = static_cast<uint16_t>(person.communities.bits());
  EnumSet<Substance> substances = person.substances;
  substances.Remove(Substance::kUndisclosed);
  soft.substances = static_cast<uint16_t>(substances.bits());
  soft.life_situations = static_cast<uint8_t>(person.life_situations.bits());
  soft.spiritual_stance = person.spiritual_stance;
  soft.goal = person.goal;
  soft.medication_stance = person.medication_stance;
  soft.approach = person.approach;
  soft.step_work_style = person.step_work_style;
  soft.contact_frequency = person.contact_frequency;
  soft.age_band = person.age_band;
  return soft;
}

int32_t EligibleMinute(const std::optional<absl::CivilDay>& date, int days, absl::TimeZone zone) {
  if (days == 0) return SponsorRecord::kAlways;
  if (!date) return SponsorRecord::kNever;
  const int64_t seconds = absl::ToUnixSeconds(absl::FromCivil(*date + days, zone));
  return static_cast<int32_t>(
      std::clamp<int64_t>((seconds + 59) / 60, SponsorRecord::kAlways, SponsorRecord::kNever));
}

bool MeetsRow(const SponsorProgram& sponsor, const ProgramPolicy& row) {
  return sponsor.steps_done >= row.min_steps_done &&
         (sponsor.has_own_sponsor || !row.needs_own_sponsor) &&
         (sponsor.attends_actively || !row.needs_active_attendance) &&
         sponsor.trainings.ContainsAll(row.needs_trainings);
}

void SetProgram(const SponsorProgram& sponsor, absl::TimeZone zone, const ProgramPolicies& policies,
                SponsorRecord& record) {
  const ProgramPolicy& row = policies.Of(sponsor.philosophy);
  const RelationshipTypes types = sponsor.relationship_types & row.relationship_types;
  if (MeetsRow(sponsor, row)) record.relationship_types = static_cast<uint16_t>(types.bits());
  types.ForEach([&](RelationshipType type) {
    record.eligible_minute[static_cast<size_t>(type)] = EligibleMinute(
        sponsor.recovery_date, policies.MinRecoveryDays(sponsor.philosophy, type), zone);
  });
  SetRecoveryDate(sponsor.recovery_date, record.person);
  record.has_own_sponsor = sponsor.has_own_sponsor;
  record.attends_actively = sponsor.attends_actively;
  record.is_trained = !sponsor.trainings.empty();
  record.steps_done = static_cast<uint8_t>(std::clamp(sponsor.steps_done, 0, 255));
}

}  // namespace

ZoneTable::ZoneId ZoneTable::Find(const std::string& name) {
  if (name.empty()) return kNone;
  const auto found = ids_.find(name);
  if (found != ids_.end()) return found->second;
  absl::TimeZone zone;
  // Names are checked where people say them, so the table does not outgrow the world's zones; what
  // would not fit is as if it was not said.
  if (!absl::LoadTimeZone(name, &zone) || zones_.size() > kMaxZones) return kNone;
  const auto id = static_cast<ZoneId>(zones_.size());
  zones_.push_back(zone);
  weeks_.emplace_back(zone, week_start_);
  ids_.emplace(name, id);
  return id;
}

ZoneTable ZoneTable::InWeek(absl::Time week_start) const {
  ZoneTable table(week_start);
  table.ids_ = ids_;
  table.zones_ = zones_;
  for (size_t i = 1; i < zones_.size(); ++i) table.weeks_.emplace_back(zones_[i], week_start);
  return table;
}

LocalHours LocalHoursOf(const PersonTraits& person, ZoneTable& zones) {
  if (person.availability.empty()) return {};
  const ZoneTable::ZoneId zone = zones.Find(person.time_zone);
  if (zone == ZoneTable::kNone) return {};
  return {zone, MakeLocalWeek(person.availability)};
}

NewcomerRecord MakeNewcomerRecord(const MemberTraits& member, Philosophy philosophy,
                                  RelationshipType relationship_type,
                                  const ProgramPolicies& policies, absl::Time week_start) {
  ZoneTable zones(week_start);
  return MakeNewcomerRecord(member, philosophy, relationship_type, policies, zones);
}

SponsorRecord MakeSponsorRecord(const MemberTraits& member, Philosophy philosophy,
                                const ProgramPolicies& policies, absl::Time week_start) {
  ZoneTable zones(week_start);
  return MakeSponsorRecord(member, philosophy, policies, zones);
}

NewcomerRecord MakeNewcomerRecord(const MemberTraits& member, Philosophy philosophy,
                                  RelationshipType relationship_type,
                                  const ProgramPolicies& policies, ZoneTable& zones) {
  const NewcomerTraits& traits = *member.newcomer;
  const ProgramPolicy& program = policies.Of(philosophy);
  NewcomerRecord record;
  record.person = MakePerson(member, traits.person, program);
  record.member = member.member;
  record.philosophy = philosophy;
  record.relationship_type = relationship_type;
  record.accepts_philosophy = traits.philosophies.Contains(philosophy);
  record.requires_medication_support = traits.requires_medication_support;
  record.requires_in_person = traits.requires_in_person;
  record.access_needs = static_cast<uint16_t>(traits.access_needs.bits());
  record.important_communities = static_cast<uint16_t>(traits.important_communities.bits());
  record.more_time_days = program.more_time_days;
  record.max_distance_km = static_cast<uint16_t>(std::clamp(traits.max_distance_km, 0, 20'100));
  SetRecoveryDate(traits.recovery_date, record.person);
  record.hours = MakeHours(traits.person, zones, record.person);
  record.soft = MakeSoft(traits.person);
  return record;
}

SponsorRecord MakeSponsorRecord(const MemberTraits& member, Philosophy philosophy,
                                const ProgramPolicies& policies, ZoneTable& zones) {
  const SponsorTraits& traits = *member.sponsor;
  SponsorRecord record;
  record.person = MakePerson(member, traits.person, policies.Of(philosophy));
  record.member = member.member;
  record.access_offered = static_cast<uint16_t>(traits.access_offered.bits());
  record.supports_medication =
      traits.person.medication_stance == MedicationStance::kSupportsMedication;
  record.attested_at = std::max<int64_t>(0, absl::ToUnixSeconds(traits.attest_time));
  record.eligible_minute.fill(SponsorRecord::kNever);
  record.last_offer_micros = std::numeric_limits<int64_t>::min();
  const absl::TimeZone zone = zones.ZoneOf(zones.Find(traits.person.time_zone));
  if (const SponsorProgram* program = traits.Find(philosophy)) {
    record.philosophy = philosophy;
    SetProgram(*program, zone, policies, record);
  }
  record.hours = MakeHours(traits.person, zones, record.person);
  record.soft = MakeSoft(traits.person);
  return record;
}

void SetSeats(const Availability& availability, SponsorRecord& record) {
  record.capacity =
      static_cast<uint8_t>(std::clamp(availability.EffectiveCapacity(), 0, kMaxCapacity));
  record.taken_seats = static_cast<uint8_t>(std::clamp(availability.TakenSeats(), 0, 255));
  record.accepting = availability.accepting;
  record.last_offer_micros = absl::ToUnixMicros(availability.last_offer_time);
  record.new_to_sponsoring =
      availability.last_offer_time == absl::InfinitePast() && availability.TakenSeats() == 0;
  const double load =
      record.capacity == 0
          ? 1.0
          : std::min(1.0, static_cast<double>(record.taken_seats) / record.capacity);
  record.balance_load = std::expm1(load) / std::expm1(1.0);
  record.responsiveness = static_cast<float>(availability.responsiveness);
}

void CopySeats(const SponsorRecord& from, SponsorRecord& to) {
  to.capacity = from.capacity;
  to.taken_seats = from.taken_seats;
  to.accepting = from.accepting;
  to.last_offer_micros = from.last_offer_micros;
  to.new_to_sponsoring = from.new_to_sponsoring;
  to.balance_load = from.balance_load;
  to.responsiveness = from.responsiveness;
}

uint32_t LanguageBits(const PersonRecord& person) {
  uint32_t bits = 0;
  for (const uint16_t code : person.languages) {
    if (code == 0) break;
    bits |= 1u << (Mix(code) >> 59);
  }
  return bits;
}

bool ShareLanguage(const PersonRecord& a, const PersonRecord& b) {
  for (const uint16_t mine : a.languages) {
    if (mine == 0) break;
    for (const uint16_t theirs : b.languages) {
      if (theirs == 0) break;
      if (mine == theirs) return true;
    }
  }
  return false;
}

std::vector<Language> SharedLanguages(const PersonRecord& newcomer, const PersonRecord& sponsor) {
  std::vector<Language> shared;
  for (const uint16_t code : newcomer.languages) {
    if (code == 0) break;
    const auto& theirs = sponsor.languages;
    if (std::find(theirs.begin(), theirs.end(), code) == theirs.end()) continue;
    shared.push_back(Language::FromCode(code));
  }
  return shared;
}

// From the chord: the haversine formula without its trigonometry, exact at short distances.
double SquareChord(const PersonRecord& a, const PersonRecord& b) {
  const auto& lat_a = Decidegrees().Of(a.cell.latitude_decidegrees);
  const auto& lat_b = Decidegrees().Of(b.cell.latitude_decidegrees);
  const auto& lon_a = Decidegrees().Of(a.cell.longitude_decidegrees);
  const auto& lon_b = Decidegrees().Of(b.cell.longitude_decidegrees);
  const double x = lat_a.cosine * lon_a.cosine - lat_b.cosine * lon_b.cosine;
  const double y = lat_a.cosine * lon_a.sine - lat_b.cosine * lon_b.sine;
  const double z = lat_a.sine - lat_b.sine;
  return x * x + y * y + z * z;
}

double KmOfSquareChord(double square) {
  return 2 * kEarthRadiusKm * std::asin(std::min(1.0, std::sqrt(square) / 2));
}

double DistanceKm(const PersonRecord& a, const PersonRecord& b) {
  return KmOfSquareChord(SquareChord(a, b));
}

uint64_t StableHash(absl::string_view bytes, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325u ^ seed;  // FNV-1a
  for (const char c : bytes) {
    hash ^= static_cast<uint8_t>(c);
    hash *= 0x100000001b3u;
  }
  return Mix(hash);
}

}  // namespace handrail::matching
