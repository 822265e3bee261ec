#include "services/matching/domain/rules.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

struct Pair {
  const NewcomerRecord& newcomer;
  const SponsorRecord& sponsor;
  const PairFacts* facts;  // null for the rules of traits
  const RuleOptions& options;
  absl::Time now;
  int64_t now_seconds;
};

constexpr uint8_t kInPersonBit = 1u << static_cast<unsigned>(Modality::kInPersonPublic);

bool Capacity(const Pair& pair) { return pair.sponsor.HasFreeSeat(); }

bool SamePhilosophy(const Pair& pair) {
  return pair.newcomer.accepts_philosophy && pair.newcomer.philosophy == pair.sponsor.philosophy;
}

bool MeetsProgramPolicy(const Pair& pair) {
  const auto type = static_cast<size_t>(pair.newcomer.relationship_type);
  return ((pair.sponsor.relationship_types >> type) & 1u) != 0 &&
         pair.now_seconds >= int64_t{60} * pair.sponsor.eligible_minute[type];
}

bool MeetsGenderPolicy(const Pair& pair) {
  const PersonRecord& newcomer = pair.newcomer.person;
  const PersonRecord& sponsor = pair.sponsor.person;
  return (newcomer.accepted_genders & sponsor.gender_bit) != 0 &&
         (sponsor.accepted_genders & newcomer.gender_bit) != 0;
}

bool SharesModality(const Pair& pair) {
  const uint8_t shared = pair.newcomer.person.modalities & pair.sponsor.person.modalities;
  return pair.newcomer.requires_in_person ? (shared & kInPersonBit) != 0 : shared != 0;
}

template <PersonRecord::Flag kFlag>
bool BothHave(const Pair& pair) {
  return pair.newcomer.person.Has(kFlag) && pair.sponsor.person.Has(kFlag);
}

bool IsFresh(const Pair& pair) {
  const int64_t age = pair.now_seconds - pair.sponsor.attested_at;
  return pair.sponsor.attested_at > 0 && age < int64_t{86400} * pair.options.fresh_days;
}

bool OffersAccess(const Pair& pair) {
  return (pair.newcomer.access_needs & ~pair.sponsor.access_offered) == 0;
}

bool SupportsMedication(const Pair& pair) {
  return !pair.newcomer.requires_medication_support || pair.sponsor.supports_medication;
}

bool HasMoreTime(const Pair& pair) {
  if (pair.newcomer.more_time_days == 0) return true;
  if (!pair.sponsor.person.Has(PersonRecord::kHasDate)) return false;
  if (!pair.newcomer.person.Has(PersonRecord::kHasDate)) return true;
  return pair.newcomer.person.recovery_day - pair.sponsor.person.recovery_day >=
         pair.newcomer.more_time_days;
}

bool SharesLanguage(const Pair& pair) {
  return ShareLanguage(pair.newcomer.person, pair.sponsor.person);
}

// Distance counts when meeting in person is required, and when nothing else is possible for the
// two.
bool IsNear(const Pair& pair) {
  const PersonRecord& newcomer = pair.newcomer.person;
  const PersonRecord& sponsor = pair.sponsor.person;
  const auto shared = static_cast<uint8_t>(newcomer.modalities & sponsor.modalities);
  if (!pair.newcomer.requires_in_person && shared != kInPersonBit) return true;
  if (!newcomer.Has(PersonRecord::kHasCell) || !sponsor.Has(PersonRecord::kHasCell)) return false;
  const int limit = pair.newcomer.max_distance_km > 0 ? pair.newcomer.max_distance_km
                                                      : pair.options.default_max_distance_km;
  return DistanceKm(newcomer, sponsor) <= limit;
}

bool HasOverlap(const Pair& pair) {
  if (!BothHave<PersonRecord::kHasHours>(pair)) return true;
  return pair.newcomer.hours.OverlapMinutes(pair.sponsor.hours) >= pair.options.min_overlap_minutes;
}

bool HasNoDualRole(const Pair& pair) {
  return pair.newcomer.member != pair.sponsor.member &&
         (pair.facts == nullptr || !pair.facts->dual_role);
}
bool IsNotBlocked(const Pair& pair) { return !pair.facts->blocked && !pair.facts->avoided; }
bool IsCooledDown(const Pair& pair) {
  return !pair.facts->ended_for_safety && pair.facts->cooldown_until <= pair.now;
}

struct Row {
  RuleInfo info;
  bool (*passes)(const Pair&);
};

constexpr auto kPasses = WhenUnknown::kPasses;
constexpr auto kFails = WhenUnknown::kFails;
constexpr auto kKnown = WhenUnknown::kNeverUnknown;

constexpr std::array<Row, kRuleCount> kRules = {{
    {{Rule::kCapacity, "H10", "CAPACITY", kFails, "a sponsor who set no seats has none"}, Capacity},
    {{Rule::kPhilosophy, "H6", "PHILOSOPHY", kFails, "both have to have chosen the program"},
     SamePhilosophy},
    {{Rule::kProgramPolicy, "H4", "PROGRAM_POLICY", kFails,
      "willingness to sponsor, and a threshold that a program has, are never assumed"},
     MeetsProgramPolicy},
    {{Rule::kGenderPolicy, "H7", "GENDER_POLICY", kFails,
      "a wish for certain genders cannot be kept for one that was not said; ANY on both sides "
      "passes"},
     MeetsGenderPolicy},
    {{Rule::kModality, "H9", "MODALITY", kFails, "required: there has to be a way to be in touch"},
     SharesModality},
    {{Rule::kAdult, "H1", "ADULT", kFails, "required of both"}, BothHave<PersonRecord::kAdult>},
    {{Rule::kConsent, "H2", "CONSENT", kFails, "required of both, for matching and health data"},
     BothHave<PersonRecord::kConsent>},
    {{Rule::kStanding, "H3", "STANDING", kFails, "an unknown standing is treated as suspended"},
     BothHave<PersonRecord::kStanding>},
    {{Rule::kFresh, "H12", "FRESH", kFails, "a sponsor who never confirmed is not listed"},
     IsFresh},
    {{Rule::kAccess, "H13", "ACCESS", kFails, "what a newcomer must have is never assumed"},
     OffersAccess},
    {{Rule::kMedicationSupport, "H17", "MEDICATION_SUPPORT", kFails,
      "when asked for, the sponsor must have affirmed it"},
     SupportsMedication},
    {{Rule::kMoreTime, "H5", "MORE_TIME", kPasses,
      "without the newcomer's date the program's threshold is enough; a sponsor has to give one"},
     HasMoreTime},
    {{Rule::kLanguage, "H8", "LANGUAGE", kFails,
      "required: a language is asked for, never guessed"},
     SharesLanguage},
    {{Rule::kDistance, "H15", "DISTANCE", kFails,
      "compared only when in person is required or the one way; then both cells have to be known"},
     IsNear},
    {{Rule::kAvailability, "H11", "AVAILABILITY", kPasses,
      "who gave no hours or no zone can still arrange one; the score is neutral"},
     HasOverlap},
    {{Rule::kDualRole, "H16", "DUAL_ROLE", kPasses, "nothing known stands between them"},
     HasNoDualRole},
    {{Rule::kNotBlocked, "H3", "NOT_BLOCKED", kKnown, "an absent row is no block"}, IsNotBlocked},
    {{Rule::kCooldown, "H14", "COOLDOWN", kKnown, "an absent row is no cooldown"}, IsCooledDown},
}};

// The first rule that looks at facts.
constexpr size_t kFirstOfFacts = static_cast<size_t>(Rule::kDualRole);

constexpr bool IsInOrder() {
  for (size_t i = 0; i < kRules.size(); ++i) {
    if (static_cast<size_t>(kRules[i].info.rule) != i) return false;
    if (kRules[i].info.code.empty() || kRules[i].info.choice.empty()) return false;
  }
  return true;
}
static_assert(IsInOrder(), "every rule has its row, at its place");

// Unrolled by the compiler, so that the table costs what a chain of ifs would.
template <size_t kFirst, size_t... kIndex>
std::optional<Rule> FirstFailing(const Pair& pair, uint32_t enabled,
                                 std::index_sequence<kIndex...>) {
  size_t broken = kRuleCount;
  const bool all = ((((enabled >> (kFirst + kIndex)) & 1u) == 0 ||
                     kRules[kFirst + kIndex].passes(pair) || ((broken = kFirst + kIndex), false)) &&
                    ...);
  if (all) return std::nullopt;
  return static_cast<Rule>(broken);
}

}  // namespace

const RuleInfo& InfoOf(Rule rule) { return kRules[static_cast<size_t>(rule)].info; }

absl::Status RuleOptions::Validate() const {
  std::vector<std::string> faults;
  const auto check = [&faults](absl::string_view what, int value, int min, int max) {
    if (value >= min && value <= max) return;
    faults.push_back(absl::StrCat(what, " is ", value, ", not ", min, "..", max));
  };
  check("min_overlap_minutes", min_overlap_minutes, 0, 7 * 24 * 60);
  check("fresh_days", fresh_days, 1, 365);
  check("default_max_distance_km", default_max_distance_km, 1, 500);
  if (faults.empty()) return absl::OkStatus();
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message(absl::StrCat("rules: ", absl::StrJoin(faults, "; ")));
}

int64_t RuleCounts::evaluated() const {
  int64_t sum = passed;
  for (const int64_t count : removed) sum += count;
  return sum;
}

RuleSet::RuleSet(const RuleOptions& options) : options_(options) {}

RuleSet RuleSet::Without(Rule rule) const {
  RuleSet rules = *this;
  rules.enabled_ &= ~(1u << static_cast<unsigned>(rule));
  return rules;
}

bool RuleSet::MayPass(const SponsorRecord& sponsor, RelationshipType relationship_type,
                      absl::Time now) const {
  NewcomerRecord anybody;
  anybody.relationship_type = relationship_type;
  const Pair pair{anybody, sponsor, nullptr, options_, now, absl::ToUnixSeconds(now)};
  return (!IsOn(Rule::kProgramPolicy) || MeetsProgramPolicy(pair)) &&
         (!IsOn(Rule::kFresh) || IsFresh(pair));
}

bool RuleSet::PassesTheRest(const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
                            const PairHistory& history, absl::Time now) const {
  const Pair traits{newcomer, sponsor, nullptr, options_, now, 0};
  if (IsOn(Rule::kLanguage) && !SharesLanguage(traits)) return false;
  if (IsOn(Rule::kDistance) && !IsNear(traits)) return false;
  const PairFacts facts = history.Between(newcomer.member, sponsor.member);
  const Pair pair{newcomer, sponsor, &facts, options_, now, 0};
  return (!IsOn(Rule::kDualRole) || HasNoDualRole(pair)) &&
         (!IsOn(Rule::kNotBlocked) || IsNotBlocked(pair)) &&
         (!IsOn(Rule::kCooldown) || IsCooledDown(pair));
}

bool RuleSet::PassesMoreTime(const NewcomerRecord& newcomer, const SponsorRecord& sponsor) const {
  return !IsOn(Rule::kMoreTime) ||
         HasMoreTime(Pair{newcomer, sponsor, nullptr, options_, absl::Time(), 0});
}

std::optional<Rule> RuleSet::FirstBrokenOfTraits(const NewcomerRecord& newcomer,
                                                 const SponsorRecord& sponsor,
                                                 absl::Time now) const {
  const Pair pair{newcomer, sponsor, nullptr, options_, now, absl::ToUnixSeconds(now)};
  return FirstFailing<0>(pair, enabled_, std::make_index_sequence<kFirstOfFacts>());
}

std::optional<Rule> RuleSet::FirstBroken(const NewcomerRecord& newcomer,
                                         const SponsorRecord& sponsor, const PairFacts& facts,
                                         absl::Time now) const {
  const std::optional<Rule> broken = FirstBrokenOfTraits(newcomer, sponsor, now);
  if (broken) return broken;
  const Pair pair{newcomer, sponsor, &facts, options_, now, 0};
  return FirstFailing<kFirstOfFacts>(pair, enabled_,
                                     std::make_index_sequence<kRuleCount - kFirstOfFacts>());
}

std::optional<Rule> RuleSet::FirstBroken(const NewcomerRecord& newcomer,
                                         const SponsorRecord& sponsor, const PairHistory& history,
                                         absl::Time now) const {
  const std::optional<Rule> broken = FirstBrokenOfTraits(newcomer, sponsor, now);
  if (broken) return broken;
  const PairFacts facts = history.Between(newcomer.member, sponsor.member);
  const Pair pair{newcomer, sponsor, &facts, options_, now, 0};
  return FirstFailing<kFirstOfFacts>(pair, enabled_,
                                     std::make_index_sequence<kRuleCount - kFirstOfFacts>());
}

std::vector<MissingField> MissingForMatching(const NewcomerTraits& newcomer, Philosophy philosophy,
                                             const ProgramPolicies& policies) {
  const PersonTraits& person = newcomer.person;
  std::vector<MissingField> missing;
  const auto need = [&missing](bool given, absl::string_view path, absl::string_view text) {
    if (!given) missing.push_back({std::string(path), std::string(text)});
  };
  const ProgramPolicy& program = policies.Of(philosophy);
  GenderRule rule = person.gender_preference.rule;
  if (rule == GenderRule::kUnspecified) rule = program.default_gender_rule;
  if (program.gender_rule == GenderRule::kSameGender) rule = GenderRule::kSameGender;
  bool knows_language = false;
  for (const Language language : person.languages) knows_language |= !language.IsZero();
  const bool only_in_person = newcomer.requires_in_person ||
                              person.modalities == EnumSet<Modality>{Modality::kInPersonPublic};

  need(person.adult_attested, "newcomer.person.adult_attested",
       "Please confirm that you are at least 18 years old.");
  need(newcomer.philosophies.Contains(philosophy), "newcomer.philosophies",
       "Please add this program to those you are willing to work in.");
  need(knows_language, "newcomer.person.languages", "Please say which languages you talk in.");
  need(!person.modalities.empty(), "newcomer.person.modalities",
       "Please say how you would like to be in touch.");
  need(!newcomer.requires_in_person || person.modalities.Contains(Modality::kInPersonPublic),
       "newcomer.person.modalities", "Please add meeting in person to the ways to be in touch.");
  need(rule != GenderRule::kSameGender || person.gender != Gender::kUnspecified,
       "newcomer.person.gender",
       "Please say your gender, or choose whom you would like to be paired with.");
  need(rule != GenderRule::kExplicitSet || !person.gender_preference.genders.empty(),
       "newcomer.person.gender_preference.genders",
       "Please choose at least one gender you would like to be paired with.");
  need(!only_in_person || person.place.cell.has_value(), "newcomer.person.place",
       "Please say roughly where you are, so that you can meet in person.");
  return missing;
}

}  // namespace handrail::matching
