#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_MATCH_RECORD_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_MATCH_RECORD_H_

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "services/matching/domain/program_policy.h"
#include "services/matching/domain/traits.h"
#include "services/matching/domain/types.h"
#include "services/matching/domain/utc_week.h"

// Two people boiled down to what rules and score compare: masks, numbers and the hours of one week.
// A record is flat and has no pointers, so that a scan over ten thousand is a walk through memory.
// It holds for the week, the program and (newcomer) the relationship it was made for.
namespace handrail::matching {

struct PersonRecord {
  enum Flag : uint8_t {
    kAdult = 1,
    kConsent = 2,
    kStanding = 4,
    kHasHours = 8,  // windows and a known time zone were given
    kHasCell = 16,
    kHasDate = 32,
  };

  std::array<uint16_t, kMaxLanguages> languages{};  // Language codes, then zeros
  CoarseCell cell;                                  // when kHasCell
  int32_t recovery_day = 0;                         // days since 1970-01-01, when kHasDate
  uint8_t modalities = 0;                           // EnumSet<Modality> bits
  uint8_t gender_bit = 1;                           // 1 << Gender; bit 0 is "not said"
  uint8_t accepted_genders = 0;                     // of those bits, after the program's policy
  uint8_t flags = 0;

  bool Has(Flag flag) const { return (flags & flag) != 0; }
  bool HasAll(int mask) const { return (flags & mask) == mask; }
};

// What only the score looks at.
struct SoftRecord {
  uint32_t home_group = 0;  // stable hash, 0 when not said
  uint16_t communities = 0;
  uint16_t substances = 0;  // without "not said"
  uint8_t life_situations = 0;
  SpiritualStance spiritual_stance = SpiritualStance::kUnspecified;
  RecoveryGoal goal = RecoveryGoal::kUnspecified;
  MedicationStance medication_stance = MedicationStance::kUnspecified;
  Approach approach = Approach::kUnspecified;
  StepWorkStyle step_work_style = StepWorkStyle::kUnspecified;
  ContactFrequency contact_frequency = ContactFrequency::kUnspecified;
  AgeBand age_band = AgeBand::kUnspecified;
};

struct NewcomerRecord {
  PersonRecord person;
  SoftRecord soft;
  Philosophy philosophy = Philosophy::kUnspecified;
  RelationshipType relationship_type = RelationshipType::kUnspecified;
  bool accepts_philosophy = false;  // it is among those the newcomer is willing to work in
  bool requires_medication_support = false;
  bool requires_in_person = false;
  uint16_t important_communities = 0;
  int32_t more_time_days = 0;  // of the program; 0 means not compared
  Importance importance;       // of the ticket; set beside the traits
  MemberId member;
  WeekHours hours;
  uint16_t access_needs = 0;
  uint16_t max_distance_km = 0;  // 0 means the default
};

struct SponsorRecord {
  static constexpr int32_t kAlways = std::numeric_limits<int32_t>::min();
  static constexpr int32_t kNever = std::numeric_limits<int32_t>::max();

  PersonRecord person;
  MemberId member;
  SoftRecord soft;
  // The relationships that the program has, the sponsor is willing to enter, and for which
  // everything but the days of recovery is met.
  uint16_t relationship_types = 0;
  uint16_t access_offered = 0;
  float responsiveness = -1;  // 0..1, smoothed; negative when not known
  Philosophy philosophy = Philosophy::kUnspecified;
  bool supports_medication = false;
  bool accepting = false;
  uint8_t capacity = 0;
  uint8_t taken_seats = 0;
  bool new_to_sponsoring = false;
  // For the engagement factor.
  bool has_own_sponsor = false;
  bool attends_actively = false;
  bool is_trained = false;
  uint8_t steps_done = 0;
  WeekHours hours;
  // By RelationshipType: from which minute since 1970 the days of recovery are enough, by local
  // midnight. kAlways when none are asked for, kNever when they are and no date is known.
  std::array<int32_t, kRelationshipTypeCount> eligible_minute{};
  int64_t attested_at = 0;        // Unix seconds, rounded down; 0 when never
  int64_t last_offer_micros = 0;  // Unix microseconds; the smallest value when there was none
  double balance_load = 0;        // (e^load − 1)/(e − 1), 0..1

  // False for an empty place in an index.
  bool IsLive() const { return philosophy != Philosophy::kUnspecified; }
  bool HasFreeSeat() const { return accepting && taken_seats < capacity; }
};

// What one waiting ticket and one sponsor cost in each pool, beside the index's maps.
static_assert(sizeof(NewcomerRecord) <= 128);
static_assert(sizeof(SponsorRecord) <= 200);

// The zones of the people of an index, and what each one's clock does in one week: a handful, asked
// for again and again. Not thread-safe.
class ZoneTable {
 public:
  using ZoneId = uint16_t;
  static constexpr ZoneId kNone = 0;  // not said, or not known to this machine

  explicit ZoneTable(absl::Time week_start) : week_start_(week_start) { weeks_.resize(1); }

  ZoneId Find(const std::string& name);
  const ZoneWeek& Of(ZoneId zone) const { return weeks_[zone]; }
  // UTC for kNone.
  absl::TimeZone ZoneOf(ZoneId zone) const { return zones_[zone]; }
  absl::Time week_start() const { return week_start_; }
  // The same zones, by the same numbers, in another week.
  ZoneTable InWeek(absl::Time week_start) const;

 private:
  static constexpr size_t kMaxZones = 10'000;

  absl::Time week_start_;
  absl::flat_hash_map<std::string, ZoneId> ids_;
  std::vector<absl::TimeZone> zones_ = {absl::UTCTimeZone()};
  std::vector<ZoneWeek> weeks_;
};

// `newcomer.newcomer` must be set. `week_start` is UtcWeekStart(now).
NewcomerRecord MakeNewcomerRecord(const MemberTraits& newcomer, Philosophy philosophy,
                                  RelationshipType relationship_type,
                                  const ProgramPolicies& policies, absl::Time week_start);
// In the week of `zones`.
NewcomerRecord MakeNewcomerRecord(const MemberTraits& newcomer, Philosophy philosophy,
                                  RelationshipType relationship_type,
                                  const ProgramPolicies& policies, ZoneTable& zones);
// `sponsor.sponsor` must be set. Seats are added with SetSeats.
SponsorRecord MakeSponsorRecord(const MemberTraits& sponsor, Philosophy philosophy,
                                const ProgramPolicies& policies, absl::Time week_start);
SponsorRecord MakeSponsorRecord(const MemberTraits& sponsor, Philosophy philosophy,
                                const ProgramPolicies& policies, ZoneTable& zones);
// The hours of a person on the local clock, and the zone they hold in; kNone when either is not
// known.
struct LocalHours {
  ZoneTable::ZoneId zone = ZoneTable::kNone;
  UtcWeek local;
};
LocalHours LocalHoursOf(const PersonTraits& person, ZoneTable& zones);
void SetSeats(const Availability& availability, SponsorRecord& record);
// What does not come from traits: seats and responsiveness.
void CopySeats(const SponsorRecord& from, SponsorRecord& to);

// Bits of a set that may be told apart quickly: one of 32 for each language, so that two people
// whose bits do not meet share none.
uint32_t LanguageBits(const PersonRecord& person);
// The languages both talk in, in the newcomer's order.
std::vector<Language> SharedLanguages(const PersonRecord& newcomer, const PersonRecord& sponsor);
bool ShareLanguage(const PersonRecord& a, const PersonRecord& b);
// Between the centres of two cells; both must have one.
double DistanceKm(const PersonRecord& a, const PersonRecord& b);
// The square of the chord between the two, in earth radii: a quick measure that rises with
// distance.
double SquareChord(const PersonRecord& a, const PersonRecord& b);
double KmOfSquareChord(double square);

// The same on every machine and in every process, unlike absl::Hash.
uint64_t StableHash(absl::string_view bytes, uint64_t seed);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_MATCH_RECORD_H_
