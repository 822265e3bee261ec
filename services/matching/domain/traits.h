#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_TRAITS_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_TRAITS_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "services/matching/domain/enum_set.h"

// What matching knows of a person: plain mirrors of proto/handrail/common/v1/traits.proto with the
// same numbers, so that a conversion is a cast and a stored value means the same everywhere. Zero
// is "not said" throughout.
namespace handrail::matching {

enum class Philosophy : uint8_t {
  kUnspecified = 0,
  kTwelveStepAa = 1,
  kTwelveStepNa = 2,
  kTwelveStepCa = 3,
  kTwelveStepCma = 4,
  kTwelveStepHa = 5,
  kTwelveStepMa = 6,
  kTwelveStepOther = 7,
  kSmart = 8,
  kLifeRing = 9,
  kRecoveryDharma = 10,
  kRefugeRecovery = 11,
  kCelebrateRecovery = 12,
  kWomenForSobriety = 13,
  kSos = 14,
  kWellbriety = 15,
  kAllRecovery = 16,
  kFaithBasedOther = 17,
  kSecularOther = 18,
  kFamilyAlAnon = 19,
  kFamilyNarAnon = 20,
};
inline constexpr int kPhilosophyCount = 21;  // with kUnspecified

enum class RelationshipType : uint8_t {
  kUnspecified = 0,
  kTemporaryContact = 1,
  kTemporarySponsor = 2,
  kSponsor = 3,
  kServiceSponsor = 4,
  kMentor = 5,
  kAccountabilityPartner = 6,
  kPracticePartner = 7,
  kPeerCompanion = 8,
};
inline constexpr int kRelationshipTypeCount = 9;  // with kUnspecified

enum class SpiritualStance : uint8_t {
  kUnspecified = 0,
  kSecular = 1,
  kSpiritualOpen = 2,
  kFaith = 3,
  kNoPreference = 4,
};

enum class RecoveryGoal : uint8_t {
  kUnspecified = 0,
  kAbstinence = 1,
  kModeration = 2,
  kHarmReduction = 3,
  kUnsure = 4,
};

enum class MedicationStance : uint8_t {
  kUnspecified = 0,
  kSupportsMedication = 1,
  kNoOpinion = 2,
  kAbstinenceIncludingMedication = 3,
};

enum class Approach : uint8_t { kUnspecified = 0, kStructured = 1, kFlexible = 2 };

enum class StepWorkStyle : uint8_t {
  kUnspecified = 0,
  kBookStudy = 1,
  kWritten = 2,
  kConversation = 3,
  kNone = 4,
};

enum class Modality : uint8_t {
  kUnspecified = 0,
  kAppText = 1,
  kSmsRelay = 2,
  kVoice = 3,
  kVideo = 4,
  kEmailRelay = 5,
  kInPersonPublic = 6,
};

enum class ContactFrequency : uint8_t {
  kUnspecified = 0,
  kDaily = 1,
  kSeveralWeekly = 2,
  kWeekly = 3,
  kAsNeeded = 4,
};

enum class AccessNeed : uint8_t {
  kUnspecified = 0,
  kWheelchair = 1,
  kAsl = 2,
  kCaptions = 3,
  kTextOnly = 4,
  kPlainLanguage = 5,
  kChildcare = 6,
  kFragranceFree = 7,
  kLowVision = 8,
};

enum class Substance : uint8_t {
  kUnspecified = 0,
  kAlcohol = 1,
  kOpioids = 2,
  kStimulants = 3,
  kCannabis = 4,
  kSedatives = 5,
  kNicotine = 6,
  kGambling = 7,
  kFood = 8,
  kSexLove = 9,
  kOther = 10,
  kUndisclosed = 11,
};

enum class AgeBand : uint8_t {
  kUnspecified = 0,
  k18To24 = 1,
  k25To34 = 2,
  k35To44 = 3,
  k45To54 = 4,
  k55To64 = 5,
  k65Plus = 6,
};

enum class Gender : uint8_t {
  kUnspecified = 0,
  kWoman = 1,
  kMan = 2,
  kNonBinary = 3,
  kAnother = 4,
};

enum class GenderRule : uint8_t {
  kUnspecified = 0,
  kSameGender = 1,
  kExplicitSet = 2,
  kAny = 3,
};

enum class Community : uint8_t {
  kUnspecified = 0,
  kVeteran = 1,
  kLgbtq = 2,
  kIndigenous = 3,
  kPeopleOfColor = 4,
  kParent = 5,
  kFaith = 6,
  kDisability = 7,
  kJusticeInvolved = 8,
  kChronicPain = 9,
  kDualDiagnosis = 10,
  kProfessional = 11,
  kDeafHardOfHearing = 12,
  kBlindLowVision = 13,
};

enum class LifeSituation : uint8_t {
  kUnspecified = 0,
  kWorking = 1,
  kStudying = 2,
  kCaring = 3,
  kHasChildren = 4,
  kRetired = 5,
};

enum class Training : uint8_t {
  kUnspecified = 0,
  kBoundaries = 1,
  kFacilitator = 2,
  kStepStudy = 3,
  kPeerSupportCertified = 4,
};
inline constexpr int kTrainingCount = 5;  // with kUnspecified

// What a sponsor may let newcomers see who choose for themselves.
enum class CandidateField : uint8_t {
  kUnspecified = 0,
  kAgeBand = 1,
  kRecoveryTime = 2,
  kLanguages = 3,
  kModalities = 4,
  kCommunities = 5,
  kSubstances = 6,
};

// Unspecified is treated as suspended.
enum class Standing : uint8_t { kUnspecified = 0, kGood = 1, kSuspended = 2, kErased = 3 };

// A primary language in 16 bits. Two people share a language when the primary subtags of their
// BCP 47 tags are equal: "en-US" and "en-GB" talk with each other. Codes of two and three letters
// are told apart exactly; longer primary subtags are not in use and give the zero code.
class Language {
 public:
  constexpr Language() = default;
  // From a BCP 47 tag in any case; zero when the primary subtag is not two or three letters.
  static Language FromTag(absl::string_view tag);
  static constexpr Language FromCode(uint16_t code) {
    Language language;
    language.code_ = code;
    return language;
  }

  constexpr uint16_t code() const { return code_; }
  constexpr bool IsZero() const { return code_ == 0; }
  std::string Tag() const;  // the primary subtag in lower case, "" for zero

  friend constexpr bool operator==(Language, Language) = default;

 private:
  uint16_t code_ = 0;  // base 27, a letter is 1..26
};

inline constexpr int kMaxLanguages = 8;

// A weekly stretch of local time; it follows the zone's daylight saving.
struct WeeklyWindow {
  uint8_t iso_weekday = 1;      // 1 Monday .. 7 Sunday
  int16_t start_minute = 0;     // after local midnight, 0..1,439
  int16_t length_minutes = 15;  // 15..1,440, may run past midnight
  friend bool operator==(const WeeklyWindow&, const WeeklyWindow&) = default;
};

struct GenderPreference {
  GenderRule rule = GenderRule::kUnspecified;
  EnumSet<Gender> genders;  // for kExplicitSet
  friend bool operator==(const GenderPreference&, const GenderPreference&) = default;
};

// A cell of a one-tenth degree grid, about 10 km.
struct CoarseCell {
  int16_t latitude_decidegrees = 0;   // -900..900
  int16_t longitude_decidegrees = 0;  // -1,800..1,800
  friend bool operator==(CoarseCell, CoarseCell) = default;
};

struct CoarsePlace {
  std::string country;  // ISO 3166-1 alpha-2, "" when not said
  std::string region;   // ISO 3166-2, "" when not said
  std::optional<CoarseCell> cell;
  friend bool operator==(const CoarsePlace&, const CoarsePlace&) = default;
};

struct PersonTraits {
  std::vector<Language> languages;  // best first, at most kMaxLanguages
  std::string time_zone;            // IANA, "" when not said
  std::vector<WeeklyWindow> availability;
  EnumSet<Modality> modalities;
  Gender gender = Gender::kUnspecified;
  GenderPreference gender_preference;
  AgeBand age_band = AgeBand::kUnspecified;
  EnumSet<Community> communities;
  EnumSet<LifeSituation> life_situations;
  EnumSet<Substance> substances;
  SpiritualStance spiritual_stance = SpiritualStance::kUnspecified;
  RecoveryGoal goal = RecoveryGoal::kUnspecified;
  MedicationStance medication_stance = MedicationStance::kUnspecified;
  Approach approach = Approach::kUnspecified;
  StepWorkStyle step_work_style = StepWorkStyle::kUnspecified;
  ContactFrequency contact_frequency = ContactFrequency::kUnspecified;
  CoarsePlace place;
  std::string home_group;  // opaque, "" when not said
  bool adult_attested = false;
  friend bool operator==(const PersonTraits&, const PersonTraits&) = default;
};

struct NewcomerTraits {
  PersonTraits person;
  EnumSet<Philosophy> philosophies;
  std::optional<absl::CivilDay> recovery_date;  // in the person's own zone
  EnumSet<AccessNeed> access_needs;
  EnumSet<Community> important_communities;  // only these are ever scored
  bool requires_medication_support = false;
  bool requires_in_person = false;
  int max_distance_km = 0;  // 0 means the default of 40
  friend bool operator==(const NewcomerTraits&, const NewcomerTraits&) = default;
};

// The sponsor's side in one program.
struct SponsorProgram {
  Philosophy philosophy = Philosophy::kUnspecified;
  std::optional<absl::CivilDay> recovery_date;  // in the person's own zone
  int steps_done = 0;
  bool has_own_sponsor = false;
  bool attends_actively = false;
  EnumSet<Training> trainings;
  EnumSet<RelationshipType> relationship_types;
  friend bool operator==(const SponsorProgram&, const SponsorProgram&) = default;
};

struct SponsorTraits {
  PersonTraits person;
  std::vector<SponsorProgram> programs;  // at most 8
  EnumSet<AccessNeed> access_offered;
  absl::Time attest_time = absl::InfinitePast();  // never, unless said
  EnumSet<CandidateField> candidate_fields;       // what newcomers may see who choose themselves
  friend bool operator==(const SponsorTraits&, const SponsorTraits&) = default;

  // Null when the person does not sponsor in that program.
  const SponsorProgram* Find(Philosophy philosophy) const {
    for (const SponsorProgram& program : programs) {
      if (program.philosophy == philosophy) return &program;
    }
    return nullptr;
  }
};

// Matching's own copy of one member, as of `version`; a newer version replaces it whole.
struct MemberTraits {
  MemberId member;
  int64_t version = 0;
  Standing standing = Standing::kUnspecified;
  bool consents_to_matching = false;
  bool consents_to_health_data = false;
  std::optional<NewcomerTraits> newcomer;
  std::optional<SponsorTraits> sponsor;
  // Whom they do not wish to be matched with, as profiles tells it, all of them. The ledger keeps
  // it by pair (PairFacts) and leaves it empty in what it gives.
  struct Avoided {
    MemberId other;
    bool dual_role = false;
  };
  std::vector<Avoided> avoided;

  // May be put before somebody, as far as the member alone decides (H1, H2, H3 of domain.md).
  bool MayTakePart() const {
    return standing == Standing::kGood && consents_to_matching && consents_to_health_data;
  }
};

// What stands between two particular people. It is never shown to either.
struct PairFacts {
  bool blocked = false;  // either asked not to meet the other: permanent, both ways
  // On the private avoid-list of either (workplace, household, same treatment).
  bool avoided = false;
  // One of them treats or employs the other, or is of the staff where the other is treated. Both
  // ways: who cares for somebody is no more their newcomer than their sponsor.
  bool dual_role = false;
  bool ended_for_safety = false;  // never again
  // Until when the pair is not suggested: a decline, an end or a timeout. InfinitePast when free.
  absl::Time cooldown_until = absl::InfinitePast();

  bool IsClear() const {
    return !blocked && !avoided && !dual_role && !ended_for_safety &&
           cooldown_until == absl::InfinitePast();
  }
  // What is known from another source stands between them too.
  void Add(const PairFacts& more) {
    blocked |= more.blocked;
    avoided |= more.avoided;
    dual_role |= more.dual_role;
    ended_for_safety |= more.ended_for_safety;
    cooldown_until = std::max(cooldown_until, more.cooldown_until);
  }
};

// Looks up what stands between two people. Implementations answer from memory and never block.
class PairHistory {
 public:
  virtual ~PairHistory() = default;
  virtual PairFacts Between(const MemberId& newcomer, const MemberId& sponsor) const = 0;
  // False when nothing stands between the member and anybody: a scan then skips the look-ups.
  virtual bool HasAny(const MemberId& /*member*/) const { return true; }
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_TRAITS_H_
