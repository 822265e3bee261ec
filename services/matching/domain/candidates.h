#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_CANDIDATES_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_CANDIDATES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "services/matching/domain/traits.h"
#include "services/matching/domain/types.h"

// What a newcomer who chooses is shown of a candidate, so that nobody can be singled out
// (domain.md 4.2, 3). Pure.
//
// The people in scope are those who could be shown: they break no rule with this newcomer, whether
// they have a free seat now or not. What is shown of a candidate, taken together, is true of at
// least k of them, counting only who allows candidates to see it. It is built up from the most to
// the least useful: of each thing the finest form is shown that still leaves k people, or none of
// it. What was left out is never counted on, so "not told" says nothing.
namespace handrail::matching {

// Same numbers as matching.v1.RecoveryBand.
enum class RecoveryBand : uint8_t {
  kUnspecified = 0,
  kUnderTwoYears = 1,
  kTwoToFiveYears = 2,
  kFiveToTenYears = 3,
  kTenYearsOrMore = 4,
  kUnderFiveYears = 5,
  kFiveYearsOrMore = 6,
};

// One person in scope, with how they suit the newcomer.
struct PersonInScope {
  const MemberTraits* sponsor = nullptr;  // with a sponsor's side
  Explanation explanation;
};

// What is shown. Whatever is empty is not told.
struct CandidateView {
  std::vector<MatchReason> reasons;  // at most 3, the best first
  std::vector<Language> languages;   // by code
  EnumSet<Modality> modalities;
  AgeBand age_band = AgeBand::kUnspecified;
  RecoveryBand recovery_time = RecoveryBand::kUnspecified;
  EnumSet<Community> communities;  // of those that the newcomer marked
  // By FactorCode, points in quarters of what the factor can reach.
  std::array<std::optional<Explanation::Factor>, kFactorCount> factors{};
  int score = 0;         // 0..100 in tens, from the factors that are told; 0 when none is
  size_t shared_by = 0;  // how many people in scope all of this is true of; 0 when nothing is told

  friend bool operator==(const CandidateView&, const CandidateView&) = default;
};

// Describes people in scope. What is handed in must outlive it. Cost: people in scope × things that
// can be shown, for each candidate.
class CandidateViews {
 public:
  // `scope` are all who could be shown; `k` at least 2.
  CandidateViews(const NewcomerTraits& newcomer, Philosophy philosophy,
                 absl::Span<const PersonInScope> scope, size_t k, absl::Time now);

  // Of the person at `place` of the scope.
  CandidateView Of(size_t place) const;

 private:
  // A thing that can be shown, in up to three forms from the finest to the widest. Equal keys are
  // the same thing to a reader; 0 is not shown.
  using Forms = std::array<uint64_t, 3>;
  static constexpr size_t kFirstReason = 0;  // one for each MatchReason
  static constexpr size_t kLanguages = kMatchReasonCount;
  static constexpr size_t kModalities = kLanguages + 1;
  static constexpr size_t kRecoveryTime = kModalities + 1;
  static constexpr size_t kAgeBand = kRecoveryTime + 1;
  static constexpr size_t kCommunities = kAgeBand + 1;
  static constexpr size_t kFirstFactor = kCommunities + 1;  // one for each FactorCode
  static constexpr size_t kThings = kFirstFactor + kFactorCount;
  using Things = std::array<Forms, kThings>;

  Things ThingsOf(const PersonInScope& person) const;
  // The form in which `thing` of `mine` is true of k of `among`, who are then all that are left.
  int Narrow(const Things& mine, size_t thing, std::vector<uint32_t>& among) const;
  void Show(size_t place, size_t thing, int form, CandidateView& view) const;
  std::vector<Language> LanguagesOf(const PersonInScope& person, int form) const;

  const NewcomerTraits& newcomer_;
  const Philosophy philosophy_;
  const absl::Span<const PersonInScope> scope_;
  const size_t k_;
  const absl::CivilDay today_;
  std::vector<Things> things_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_CANDIDATES_H_
