#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_SCORE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_SCORE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/matching/domain/match_record.h"
#include "services/matching/domain/types.h"

// How well two people who break no rule suit each other: 0 to 100 points. What is not known counts
// as half of a factor's points, so that silence never counts against anybody.
namespace handrail::matching {

// Points by FactorCode; they sum to 100.
using FactorPoints = std::array<double, kFactorCount>;

// The published weights (domain.md 3.2): a reasoned prior and not a fitted model.
struct ScoreWeights {
  // By FactorCode; each 0..100, all of them sum to 100.
  FactorPoints points = {24, 22, 14, 14, 10, 6, 5, 3, 2};
  // The share of the availability points that overlapping hours give; responsiveness gives the
  // rest.
  double overlap_share = 0.6;  // 0..1
  // Weekly overlap from which more hours add nothing.
  int full_overlap_minutes = 300;  // 15..10,080
  // Days of recovery beyond the newcomer's start from which more add nothing.
  int full_experience_days = 5 * 365;  // 1..36,500
  // A newcomer's recovery from which life stage counts half (domain.md 0.5).
  int life_stage_halves_days = 365;  // 1..36,500

  // INVALID_ARGUMENT, CONFIGURATION_INVALID with every fault.
  absl::Status Validate() const;
};

// Each factor's value in 0..1, before weights.
using FactorValues = std::array<double, kFactorCount>;

// Immutable, thread-safe.
class Scorer {
 public:
  // Weights that do not validate are a bug of the caller.
  explicit Scorer(const ScoreWeights& weights = {});

  // The points as one newcomer weighs them: the configured ones by half, once or twice, brought
  // back to a sum of 100. What is switched off throughout, so that nothing would be left to
  // compare, counts as the default. A few dozen nanoseconds; nothing for the default.
  FactorPoints WeightsFor(Importance importance) const;

  FactorValues Values(const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
                      absl::Time now) const;
  // 0..100, by the weights of the newcomer's ticket.
  double Score(const NewcomerRecord& newcomer, const SponsorRecord& sponsor, absl::Time now) const;
  // The same with the answer of WeightsFor, for who compares one ticket with many.
  double Score(const NewcomerRecord& newcomer, const SponsorRecord& sponsor, absl::Time now,
               const FactorPoints& points) const;
  // The score, exactly as above, or nothing when it is less than `at_least`, which is often found
  // without comparing everything. `today` is ScoreDay(now).
  std::optional<double> ScoreIfAtLeast(double at_least, const NewcomerRecord& newcomer,
                                       const SponsorRecord& sponsor, int64_t today,
                                       const FactorPoints& points) const;
  // The same for who knows the minutes of overlap already; they count when both gave hours.
  double ScoreWithOverlap(const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
                          int64_t today, const FactorPoints& points, int overlap_minutes) const;
  // No newcomer in the sponsor's program reaches a higher score with this sponsor today.
  double BestOfSponsor(const SponsorRecord& sponsor, int more_time_days, int64_t today,
                       const FactorPoints& points) const;
  // A day more or less is nothing to a score, so UTC will do.
  static int64_t ScoreDay(absl::Time now) { return absl::ToUnixSeconds(now) / 86400; }
  // The score with its breakdown and the best reasons, by the weights of the newcomer's ticket.
  // Deterministic.
  Explanation Explain(const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
                      absl::Time now) const;

  const ScoreWeights& weights() const { return weights_; }

 private:
  FactorValues QuickValues(const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
                           int64_t today) const;
  std::vector<MatchReason> BestReasons(const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
                                       const FactorValues& values,
                                       const FactorPoints& points) const;

  ScoreWeights weights_;
};

// Answers that are compared one by one: how near each answer of another is to this person's.
struct NearAnswers {
  FactorCode factor = FactorCode::kPathwayFit;
  double share = 0;              // of the factor's points
  size_t answers = 0;            // without "not said"
  std::array<double, 7> near{};  // by answer, 0..1; [0] is "not said"
};
enum class ComparedAnswer : uint8_t {
  kSpiritualStance = 0,
  kGoal = 1,
  kMedicationStance = 2,
  kApproach = 3,
  kStepWorkStyle = 4,
  kAgeBand = 5,
  kContactFrequency = 6,
};
inline constexpr size_t kComparedAnswerCount = 7;
// By ComparedAnswer.
std::array<NearAnswers, kComparedAnswerCount> NearAnswersTo(const SoftRecord& soft);

// One sponsor beside many newcomers, with the points of the published weights: what does not depend
// on the newcomer is worked out once. Thread-safe as the records are.
class SponsorComparison {
 public:
  // `sponsor` and `scorer` must live longer; `more_time_days` is the program's.
  SponsorComparison(const Scorer& scorer, const SponsorRecord& sponsor, int more_time_days,
                    int64_t today);

  // No less than the score: all but hours and distance, which count as the best.
  double Bound(const NewcomerRecord& newcomer) const;
  // By ComparedAnswer.
  const std::array<NearAnswers, kComparedAnswerCount>& answers() const { return answers_; }
  // The points that every newcomer gets: for experience, room, and answering soon.
  double SameForAll() const { return same_for_all_; }

 private:
  using Points = std::array<double, 8>;

  const ScoreWeights& weights_;
  const SponsorRecord& sponsor_;
  const int64_t today_;
  const std::array<NearAnswers, kComparedAnswerCount> answers_;
  std::array<Points, kComparedAnswerCount> answer_points_{};
  std::array<double, 32> situation_points_{};  // by the newcomer's life situations
  double same_for_all_ = 0;
  double overlap_neutral_ = 0;
  double overlap_more_ = 0;  // when the newcomer gave hours
};

// Stable codes: "PATHWAY_FIT".
absl::string_view CodeOf(FactorCode factor);
// Stable codes: "AVAILABILITY"; "" for kNone.
absl::string_view CodeOf(MatchReason reason);
// kNone when no reason has this code.
MatchReason MatchReasonFromCode(absl::string_view code);
// In plain English, true for both readers and telling neither who the other is.
absl::string_view TextOf(MatchReason reason);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_SCORE_H_
