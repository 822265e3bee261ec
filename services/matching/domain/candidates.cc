#include "services/matching/domain/candidates.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/container/flat_hash_map.h"
#include "absl/time/civil_time.h"

namespace handrail::matching {
namespace {

constexpr int kQuarters = 4;
constexpr int64_t kYear = 365;

// What has to be visible for a factor or a reason to be told, because it follows from it: the rest
// is coarse enough to be told of anybody.
std::optional<CandidateField> FieldOf(FactorCode factor) {
  switch (factor) {
    case FactorCode::kSharedExperience: return CandidateField::kCommunities;
    case FactorCode::kSubstance: return CandidateField::kSubstances;
    case FactorCode::kLifeStage: return CandidateField::kAgeBand;
    case FactorCode::kEngagement: return CandidateField::kRecoveryTime;
    case FactorCode::kContactFit: return CandidateField::kModalities;
    default: return std::nullopt;
  }
}
std::optional<CandidateField> FieldOf(MatchReason reason) {
  switch (reason) {
    case MatchReason::kSharedExperience: return CandidateField::kCommunities;
    case MatchReason::kSubstance: return CandidateField::kSubstances;
    case MatchReason::kLifeStage: return CandidateField::kAgeBand;
    case MatchReason::kEngagement: return CandidateField::kRecoveryTime;
    case MatchReason::kContact: return CandidateField::kModalities;
    default: return std::nullopt;
  }
}

bool Shows(const PersonInScope& person, std::optional<CandidateField> field) {
  return !field.has_value() || person.sponsor->sponsor->candidate_fields.Contains(*field);
}

RecoveryBand BandOf(int64_t days) {
  if (days < 0) return RecoveryBand::kUnspecified;
  if (days < 2 * kYear) return RecoveryBand::kUnderTwoYears;
  if (days < 5 * kYear) return RecoveryBand::kTwoToFiveYears;
  if (days < 10 * kYear) return RecoveryBand::kFiveToTenYears;
  return RecoveryBand::kTenYearsOrMore;
}

RecoveryBand Wider(RecoveryBand band) {
  switch (band) {
    case RecoveryBand::kUnderTwoYears:
    case RecoveryBand::kTwoToFiveYears: return RecoveryBand::kUnderFiveYears;
    case RecoveryBand::kFiveToTenYears:
    case RecoveryBand::kTenYearsOrMore: return RecoveryBand::kFiveYearsOrMore;
    default: return band;
  }
}

// Quarters of what the factor can reach, 0..4; nothing where it counts nothing.
std::optional<int> QuartersOf(const Explanation::Factor& factor) {
  if (factor.max_points <= 0) return std::nullopt;
  return static_cast<int>(std::lround(factor.points / factor.max_points * kQuarters));
}

// Equal lists have equal keys; a difference of eight languages in 64 bits is not mistaken.
uint64_t KeyOf(const std::vector<Language>& languages) {
  uint64_t key = 0;
  for (const Language language : languages) key = key * 1'000'003 + language.code() + 1;
  return languages.empty() ? 0 : key | 1;
}

template <typename E>
uint64_t KeyOf(EnumSet<E> set) {
  return set.bits();  // bit 0 is never set, so that only the empty set is 0
}

}  // namespace

CandidateViews::CandidateViews(const NewcomerTraits& newcomer, Philosophy philosophy,
                               absl::Span<const PersonInScope> scope, size_t k, absl::Time now)
    : newcomer_(newcomer),
      philosophy_(philosophy),
      scope_(scope),
      k_(std::max<size_t>(k, 2)),
      today_(absl::ToCivilDay(now, absl::UTCTimeZone())) {
  things_.reserve(scope.size());
  for (const PersonInScope& person : scope) things_.push_back(ThingsOf(person));
}

// Form 0: all of the person's. Form 1: those that the newcomer speaks too.
std::vector<Language> CandidateViews::LanguagesOf(const PersonInScope& person, int form) const {
  std::vector<Language> languages = person.sponsor->sponsor->person.languages;
  if (form > 0) {
    const std::vector<Language>& mine = newcomer_.person.languages;
    languages.erase(std::remove_if(languages.begin(), languages.end(),
                                   [&mine](Language language) {
                                     return std::find(mine.begin(), mine.end(), language) ==
                                            mine.end();
                                   }),
                    languages.end());
  }
  // In an order of their own: which one a person speaks best is not told.
  std::sort(languages.begin(), languages.end(),
            [](Language a, Language b) { return a.code() < b.code(); });
  languages.erase(std::unique(languages.begin(), languages.end()), languages.end());
  return languages;
}

CandidateViews::Things CandidateViews::ThingsOf(const PersonInScope& person) const {
  Things things{};
  const SponsorTraits& sponsor = *person.sponsor->sponsor;
  const EnumSet<CandidateField> shown = sponsor.candidate_fields;
  for (const MatchReason reason : person.explanation.reasons) {
    if (Shows(person, FieldOf(reason))) {
      things[kFirstReason + static_cast<size_t>(reason)] = {1, 0, 0};
    }
  }
  if (shown.Contains(CandidateField::kLanguages)) {
    things[kLanguages] = {KeyOf(LanguagesOf(person, 0)), KeyOf(LanguagesOf(person, 1)), 0};
  }
  if (shown.Contains(CandidateField::kModalities)) {
    const EnumSet<Modality> modalities = sponsor.person.modalities;
    things[kModalities] = {KeyOf(modalities), KeyOf(modalities & newcomer_.person.modalities), 0};
  }
  if (shown.Contains(CandidateField::kRecoveryTime)) {
    const SponsorProgram* program = sponsor.Find(philosophy_);
    if (program != nullptr && program->recovery_date.has_value()) {
      const RecoveryBand band = BandOf(today_ - *program->recovery_date);
      things[kRecoveryTime] = {static_cast<uint64_t>(band), static_cast<uint64_t>(Wider(band)), 0};
    }
  }
  if (shown.Contains(CandidateField::kAgeBand)) {
    things[kAgeBand] = {static_cast<uint64_t>(sponsor.person.age_band), 0, 0};
  }
  if (shown.Contains(CandidateField::kCommunities)) {
    things[kCommunities] = {KeyOf(sponsor.person.communities & newcomer_.important_communities), 0,
                            0};
  }
  for (size_t i = 0; i < kFactorCount; ++i) {
    const std::optional<int> quarters = QuartersOf(person.explanation.factors[i]);
    if (!quarters.has_value() || !Shows(person, FieldOf(static_cast<FactorCode>(i)))) continue;
    things[kFirstFactor + i] = {static_cast<uint64_t>(*quarters) + 1, 0, 0};
  }
  return things;
}

// What counts is who is told in the same words: whoever reads that somebody is told a wider form
// knows that the finer one was not to be had, unless both read the same.
int CandidateViews::Narrow(const Things& mine, size_t thing, std::vector<uint32_t>& among) const {
  absl::flat_hash_map<uint64_t, std::vector<uint32_t>> told;  // by what is told
  std::vector<uint32_t> rest = among;
  for (size_t form = 0; form < mine[thing].size(); ++form) {
    absl::flat_hash_map<uint64_t, std::vector<uint32_t>> groups = told;
    for (const uint32_t place : rest) groups[things_[place][thing][form]].push_back(place);
    const uint64_t key = mine[thing][form];
    if (key != 0 && groups[key].size() >= k_) {
      among = std::move(groups[key]);
      std::sort(among.begin(), among.end());
      return static_cast<int>(form);
    }
    std::vector<uint32_t> wider;
    for (const uint32_t place : rest) {
      const uint64_t theirs = things_[place][thing][form];
      if (theirs != 0 && groups[theirs].size() >= k_) {
        told[theirs].push_back(place);
      } else {
        wider.push_back(place);
      }
    }
    rest = std::move(wider);
  }
  return -1;
}

void CandidateViews::Show(size_t place, size_t thing, int form, CandidateView& view) const {
  const PersonInScope& person = scope_[place];
  const PersonTraits& traits = person.sponsor->sponsor->person;
  const uint64_t key = things_[place][thing][static_cast<size_t>(form)];
  switch (thing) {
    case kLanguages: view.languages = LanguagesOf(person, form); return;
    case kModalities:
      view.modalities =
          form == 0 ? traits.modalities : traits.modalities & newcomer_.person.modalities;
      return;
    case kRecoveryTime: view.recovery_time = static_cast<RecoveryBand>(key); return;
    case kAgeBand: view.age_band = traits.age_band; return;
    case kCommunities:
      view.communities = traits.communities & newcomer_.important_communities;
      return;
    default: break;
  }
  if (thing < kLanguages) {
    view.reasons.push_back(static_cast<MatchReason>(thing - kFirstReason));
    return;
  }
  const double max = person.explanation.factors[thing - kFirstFactor].max_points;
  view.factors[thing - kFirstFactor] =
      Explanation::Factor{max * static_cast<double>(key - 1) / kQuarters, max};
}

CandidateView CandidateViews::Of(size_t place) const {
  CandidateView view;
  const Things& mine = things_[place];
  std::vector<uint32_t> among(scope_.size());
  std::iota(among.begin(), among.end(), 0u);
  bool told = false;
  const auto tell = [&](size_t thing) {
    const int form = Narrow(mine, thing, among);
    if (form < 0) return;
    told = true;
    Show(place, thing, form, view);
  };
  for (const MatchReason reason : scope_[place].explanation.reasons) {
    tell(kFirstReason + static_cast<size_t>(reason));
  }
  for (size_t thing = kLanguages; thing < kFirstFactor; ++thing) tell(thing);
  for (size_t factor = 0; factor < kFactorCount; ++factor) tell(kFirstFactor + factor);
  // From what is told and nothing else, so that it cannot tell more.
  double points = 0;
  double max = 0;
  for (const std::optional<Explanation::Factor>& factor : view.factors) {
    if (!factor.has_value()) continue;
    points += factor->points;
    max += factor->max_points;
  }
  if (max > 0) view.score = static_cast<int>(std::lround((points + (100 - max) / 2) / 10)) * 10;
  view.shared_by = told ? among.size() : 0;
  return view;
}

}  // namespace handrail::matching
