#include "services/matching/domain/score.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "services/matching/domain/bit_counts.h"

namespace handrail::matching {
namespace {

constexpr double kNeutral = 0.5;
// A factor speaks for the pair, and may be told as a reason, from here on.
constexpr double kReasonFrom = 0.6;
constexpr size_t kMaxReasons = 3;

// How near two answers are: 0 apart, 1 the same. Row and column 0 are "not said".
template <size_t kSize>
using Nearness = std::array<std::array<double, kSize>, kSize>;

constexpr Nearness<5> kSpiritual = {{
    {0.5, 0.5, 0.5, 0.5, 0.5},
    // SECULAR, SPIRITUAL_OPEN, FAITH, NO_PREFERENCE
    {0.5, 1.0, 0.5, 0.0, 0.8},
    {0.5, 0.5, 1.0, 0.6, 0.8},
    {0.5, 0.0, 0.6, 1.0, 0.8},
    {0.5, 0.8, 0.8, 0.8, 1.0},
}};
constexpr Nearness<5> kGoal = {{
    {0.5, 0.5, 0.5, 0.5, 0.5},
    // ABSTINENCE, MODERATION, HARM_REDUCTION, UNSURE
    {0.5, 1.0, 0.2, 0.2, 0.5},
    {0.5, 0.2, 1.0, 0.7, 0.6},
    {0.5, 0.2, 0.7, 1.0, 0.6},
    {0.5, 0.5, 0.6, 0.6, 1.0},
}};
constexpr Nearness<4> kMedication = {{
    {0.5, 0.5, 0.5, 0.5},
    // SUPPORTS_MEDICATION, NO_OPINION, ABSTINENCE_INCLUDING_MEDICATION
    {0.5, 1.0, 0.5, 0.0},
    {0.5, 0.5, 1.0, 0.5},
    {0.5, 0.0, 0.5, 1.0},
}};
constexpr Nearness<3> kApproach = {{
    {0.5, 0.5, 0.5},
    // STRUCTURED, FLEXIBLE
    {0.5, 1.0, 0.2},
    {0.5, 0.2, 1.0},
}};
constexpr Nearness<5> kStepWork = {{
    {0.5, 0.5, 0.5, 0.5, 0.5},
    // BOOK_STUDY, WRITTEN, CONVERSATION, NONE
    {0.5, 1.0, 0.6, 0.6, 0.1},
    {0.5, 0.6, 1.0, 0.5, 0.1},
    {0.5, 0.6, 0.5, 1.0, 0.3},
    {0.5, 0.1, 0.1, 0.3, 1.0},
}};
constexpr Nearness<5> kFrequency = {{
    {0.5, 0.5, 0.5, 0.5, 0.5},
    // DAILY, SEVERAL_WEEKLY, WEEKLY, AS_NEEDED
    {0.5, 1.0, 0.6, 0.2, 0.4},
    {0.5, 0.6, 1.0, 0.6, 0.5},
    {0.5, 0.2, 0.6, 1.0, 0.6},
    {0.5, 0.4, 0.5, 0.6, 1.0},
}};
// By the number of bands between two ages.
constexpr std::array<double, 6> kAgeNearness = {1.0, 0.75, 0.5, 0.25, 0.1, 0.0};

template <size_t kSize>
constexpr bool IsSymmetric(const Nearness<kSize>& table) {
  for (size_t i = 0; i < kSize; ++i) {
    for (size_t j = 0; j < kSize; ++j) {
      if (table[i][j] != table[j][i] || table[i][j] < 0 || table[i][j] > 1) return false;
    }
    if (table[i][i] != (i == 0 ? kNeutral : 1.0) || table[0][i] != kNeutral) return false;
  }
  return true;
}
static_assert(IsSymmetric(kSpiritual) && IsSymmetric(kGoal) && IsSymmetric(kMedication) &&
              IsSymmetric(kApproach) && IsSymmetric(kStepWork) && IsSymmetric(kFrequency));

template <typename E, size_t kSize>
double Near(const Nearness<kSize>& table, E a, E b) {
  const auto row = static_cast<size_t>(a);
  const auto column = static_cast<size_t>(b);
  return row < kSize && column < kSize ? table[row][column] : kNeutral;
}

// One count in another, for counts of at most 16; of nothing, nothing.
constexpr auto kShares = [] {
  std::array<std::array<double, 17>, 17> shares{};
  for (size_t part = 0; part < shares.size(); ++part) {
    for (size_t whole = 1; whole < shares.size(); ++whole) {
      shares[part][whole] = static_cast<double>(part) / static_cast<double>(whole);
    }
  }
  return shares;
}();

double PathwayFit(const SoftRecord& a, const SoftRecord& b) {
  return (Near(kSpiritual, a.spiritual_stance, b.spiritual_stance) + Near(kGoal, a.goal, b.goal) +
          Near(kMedication, a.medication_stance, b.medication_stance) +
          Near(kApproach, a.approach, b.approach) +
          Near(kStepWork, a.step_work_style, b.step_work_style)) /
         5;
}

bool KnowsHours(const NewcomerRecord& newcomer, const SponsorRecord& sponsor) {
  return newcomer.person.Has(PersonRecord::kHasHours) &&
         sponsor.person.Has(PersonRecord::kHasHours);
}

double ValueOfOverlap(int minutes, const ScoreWeights& weights) {
  return std::min(1.0, static_cast<double>(minutes) / weights.full_overlap_minutes);
}

double OverlapValue(const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
                    const ScoreWeights& weights) {
  return KnowsHours(newcomer, sponsor)
             ? ValueOfOverlap(newcomer.hours.OverlapMinutes(sponsor.hours), weights)
             : kNeutral;
}

double Responsiveness(const SponsorRecord& sponsor) {
  return sponsor.responsiveness < 0 ? kNeutral
                                    : std::min(1.0, static_cast<double>(sponsor.responsiveness));
}

double AvailabilityValue(double overlap, const SponsorRecord& sponsor,
                         const ScoreWeights& weights) {
  return weights.overlap_share * overlap + (1 - weights.overlap_share) * Responsiveness(sponsor);
}

// Only what the newcomer marked as important is ever looked at: whatever else a sponsor tells of
// changes nothing. A sponsor who does not tell of it has not denied it, so that costs nothing.
double SharedExperience(const NewcomerRecord& newcomer, const SponsorRecord& sponsor) {
  const uint32_t wanted = newcomer.important_communities;
  if (wanted == 0) return kNeutral;
  return kNeutral +
         kNeutral * kShares[CountBits(wanted & sponsor.soft.communities)][CountBits(wanted)];
}

double SetNearness(uint32_t a, uint32_t b) {
  if (a == 0 || b == 0) return kNeutral;
  return kShares[CountBits(a & b)][CountBits(a | b)];
}

double AgeNearness(AgeBand a, AgeBand b) {
  if (a == AgeBand::kUnspecified || b == AgeBand::kUnspecified) return kNeutral;
  const int apart = std::abs(static_cast<int>(a) - static_cast<int>(b));
  return kAgeNearness[std::min(static_cast<size_t>(apart), kAgeNearness.size() - 1)];
}

double LifeStage(const NewcomerRecord& newcomer, const SponsorRecord& sponsor, int64_t today,
                 const ScoreWeights& weights) {
  const double value = (AgeNearness(newcomer.soft.age_band, sponsor.soft.age_band) +
                        SetNearness(newcomer.soft.life_situations, sponsor.soft.life_situations)) /
                       2;
  const bool settled = newcomer.person.Has(PersonRecord::kHasDate) &&
                       today - newcomer.person.recovery_day >= weights.life_stage_halves_days;
  return settled ? kNeutral + (value - kNeutral) / 2 : value;
}

double Engagement(const NewcomerRecord& newcomer, const SponsorRecord& sponsor, int64_t today,
                  const ScoreWeights& weights) {
  double time = kNeutral;
  if (sponsor.person.Has(PersonRecord::kHasDate)) {
    const double days =
        static_cast<double>(today - sponsor.person.recovery_day) - newcomer.more_time_days;
    time = std::clamp(days / weights.full_experience_days, 0.0, 1.0);
  }
  const double steps =
      sponsor.steps_done == 0 ? kNeutral : std::min(1.0, sponsor.steps_done / 12.0);
  return (time + steps + (sponsor.has_own_sponsor ? 1.0 : kNeutral) +
          (sponsor.attends_actively ? 1.0 : kNeutral) + (sponsor.is_trained ? 1.0 : kNeutral) +
          (sponsor.soft.home_group != 0 ? 1.0 : kNeutral)) /
         6;
}

double ContactFit(const NewcomerRecord& newcomer, const SponsorRecord& sponsor) {
  const uint32_t wanted = newcomer.person.modalities;
  const uint32_t offered = sponsor.person.modalities;
  const double ways = wanted == 0 || offered == 0
                          ? kNeutral
                          : kShares[CountBits(wanted & offered)][CountBits(wanted)];
  return (ways +
          Near(kFrequency, newcomer.soft.contact_frequency, sponsor.soft.contact_frequency)) /
         2;
}

bool ShareHomeGroup(const NewcomerRecord& newcomer, const SponsorRecord& sponsor) {
  return newcomer.soft.home_group != 0 && newcomer.soft.home_group == sponsor.soft.home_group;
}

// Of some more than 200 km, (200/6371)².
constexpr double kFarSquareChord = 0.000986;

// The same home group, or within a cell's reach; nothing from 200 km on.
double Locality(const NewcomerRecord& newcomer, const SponsorRecord& sponsor) {
  if (ShareHomeGroup(newcomer, sponsor)) return 1.0;
  if (!newcomer.person.Has(PersonRecord::kHasCell) || !sponsor.person.Has(PersonRecord::kHasCell)) {
    return kNeutral;
  }
  const double chord = SquareChord(newcomer.person, sponsor.person);
  if (chord > kFarSquareChord) return 0.0;
  const double beyond_km = KmOfSquareChord(chord) - 10;
  return 1.0 - std::clamp(beyond_km / 190, 0.0, 1.0);
}

bool MayBeLocal(const NewcomerRecord& newcomer, const SponsorRecord& sponsor) {
  return ShareHomeGroup(newcomer, sponsor) || (newcomer.person.Has(PersonRecord::kHasCell) &&
                                               sponsor.person.Has(PersonRecord::kHasCell));
}

double LoadBalance(const SponsorRecord& sponsor) {
  if (sponsor.capacity == 0) return 0;
  const double free =
      1.0 - std::min(1.0, static_cast<double>(sponsor.taken_seats) / sponsor.capacity);
  return sponsor.new_to_sponsoring ? std::min(1.0, free + 0.2) : free;
}

double SharedSubstance(const SoftRecord& a, const SoftRecord& b) {
  if (a.substances == 0 || b.substances == 0) return kNeutral;
  return (a.substances & b.substances) != 0 ? 1.0 : 0.0;
}

// By Emphasis.
constexpr std::array<double, 4> kEmphasis = {1.0, 0.5, 2.0, 0.0};

double Sum(const FactorValues& values, const FactorPoints& points) {
  double score = 0;
  for (size_t i = 0; i < values.size(); ++i) score += values[i] * points[i];
  return std::clamp(score, 0.0, 100.0);
}

double At(const FactorValues& values, FactorCode factor) {
  return values[static_cast<size_t>(factor)];
}
double& At(FactorValues& values, FactorCode factor) { return values[static_cast<size_t>(factor)]; }

}  // namespace

absl::Status ScoreWeights::Validate() const {
  std::vector<std::string> faults;
  double sum = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    sum += points[i];
    if (!(points[i] >= 0 && points[i] <= 100)) {
      faults.push_back(absl::StrCat(CodeOf(static_cast<FactorCode>(i)), " is not 0..100"));
    }
  }
  if (!(std::abs(sum - 100) < 1e-6))
    faults.push_back(absl::StrCat("the sum is ", sum, ", not 100"));
  if (!(overlap_share >= 0 && overlap_share <= 1)) faults.push_back("overlap_share is not 0..1");
  const auto check = [&faults](absl::string_view what, int value, int min, int max) {
    if (value >= min && value <= max) return;
    faults.push_back(absl::StrCat(what, " is ", value, ", not ", min, "..", max));
  };
  check("full_overlap_minutes", full_overlap_minutes, 15, 7 * 24 * 60);
  check("full_experience_days", full_experience_days, 1, 36500);
  check("life_stage_halves_days", life_stage_halves_days, 1, 36500);
  if (faults.empty()) return absl::OkStatus();
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message(absl::StrCat("score weights: ", absl::StrJoin(faults, "; ")));
}

Scorer::Scorer(const ScoreWeights& weights) : weights_(weights) {}

FactorValues Scorer::Values(const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
                            absl::Time now) const {
  FactorValues values = QuickValues(newcomer, sponsor, ScoreDay(now));
  At(values, FactorCode::kAvailability) =
      AvailabilityValue(OverlapValue(newcomer, sponsor, weights_), sponsor, weights_);
  At(values, FactorCode::kLocality) = Locality(newcomer, sponsor);
  return values;
}

// All but what takes time, which stands at the most that it can be.
FactorValues Scorer::QuickValues(const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
                                 int64_t today) const {
  return {PathwayFit(newcomer.soft, sponsor.soft),
          AvailabilityValue(KnowsHours(newcomer, sponsor) ? 1.0 : kNeutral, sponsor, weights_),
          SharedExperience(newcomer, sponsor),
          LifeStage(newcomer, sponsor, today, weights_),
          Engagement(newcomer, sponsor, today, weights_),
          ContactFit(newcomer, sponsor),
          MayBeLocal(newcomer, sponsor) ? 1.0 : kNeutral,
          LoadBalance(sponsor),
          SharedSubstance(newcomer.soft, sponsor.soft)};
}

std::optional<double> Scorer::ScoreIfAtLeast(double at_least, const NewcomerRecord& newcomer,
                                             const SponsorRecord& sponsor, int64_t today,
                                             const FactorPoints& points) const {
  FactorValues values = QuickValues(newcomer, sponsor, today);
  if (Sum(values, points) < at_least) return std::nullopt;
  if (KnowsHours(newcomer, sponsor)) {
    At(values, FactorCode::kAvailability) =
        AvailabilityValue(OverlapValue(newcomer, sponsor, weights_), sponsor, weights_);
    if (Sum(values, points) < at_least) return std::nullopt;
  }
  At(values, FactorCode::kLocality) = Locality(newcomer, sponsor);
  return Sum(values, points);
}

double Scorer::ScoreWithOverlap(const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
                                int64_t today, const FactorPoints& points,
                                int overlap_minutes) const {
  FactorValues values = QuickValues(newcomer, sponsor, today);
  if (KnowsHours(newcomer, sponsor)) {
    At(values, FactorCode::kAvailability) =
        AvailabilityValue(ValueOfOverlap(overlap_minutes, weights_), sponsor, weights_);
  }
  At(values, FactorCode::kLocality) = Locality(newcomer, sponsor);
  return Sum(values, points);
}

double Scorer::BestOfSponsor(const SponsorRecord& sponsor, int more_time_days, int64_t today,
                             const FactorPoints& points) const {
  NewcomerRecord newcomer;
  newcomer.more_time_days = more_time_days;
  FactorValues values;
  values.fill(1.0);
  At(values, FactorCode::kAvailability) = AvailabilityValue(1.0, sponsor, weights_);
  At(values, FactorCode::kEngagement) = Engagement(newcomer, sponsor, today, weights_);
  At(values, FactorCode::kLoadBalance) = LoadBalance(sponsor);
  return Sum(values, points);
}

FactorPoints Scorer::WeightsFor(Importance importance) const {
  if (importance.IsDefault()) return weights_.points;
  FactorPoints points = {};
  double sum = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    const auto emphasis = static_cast<size_t>(importance.Of(static_cast<FactorCode>(i)));
    points[i] = weights_.points[i] * kEmphasis[emphasis];
    sum += points[i];
  }
  if (sum <= 0) return weights_.points;
  for (double& value : points) value *= 100 / sum;
  return points;
}

double Scorer::Score(const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
                     absl::Time now) const {
  if (newcomer.importance.IsDefault()) return Score(newcomer, sponsor, now, weights_.points);
  return Score(newcomer, sponsor, now, WeightsFor(newcomer.importance));
}

double Scorer::Score(const NewcomerRecord& newcomer, const SponsorRecord& sponsor, absl::Time now,
                     const FactorPoints& points) const {
  return Sum(Values(newcomer, sponsor, now), points);
}

std::vector<MatchReason> Scorer::BestReasons(const NewcomerRecord& newcomer,
                                             const SponsorRecord& sponsor,
                                             const FactorValues& values,
                                             const FactorPoints& points) const {
  struct Gain {
    MatchReason reason;
    double points;
  };
  std::array<Gain, kMatchReasonCount> gains;
  size_t count = 0;
  const auto add = [&](MatchReason reason, FactorCode factor, double value, double share) {
    if (value < kReasonFrom) return;
    const double max = points[static_cast<size_t>(factor)] * share;
    if (max <= 0) return;
    // Behind equal gains, so that these keep the order of the factors.
    const Gain gain{reason, max * (value - kNeutral)};
    size_t place = count++;
    for (; place > 0 && gains[place - 1].points < gain.points; --place) {
      gains[place] = gains[place - 1];
    }
    gains[place] = gain;
  };
  const double overlap = OverlapValue(newcomer, sponsor, weights_);
  add(MatchReason::kPathway, FactorCode::kPathwayFit, At(values, FactorCode::kPathwayFit), 1);
  add(MatchReason::kAvailability, FactorCode::kAvailability, overlap, weights_.overlap_share);
  add(MatchReason::kResponsive, FactorCode::kAvailability, Responsiveness(sponsor),
      1 - weights_.overlap_share);
  add(MatchReason::kSharedExperience, FactorCode::kSharedExperience,
      At(values, FactorCode::kSharedExperience), 1);
  add(MatchReason::kLifeStage, FactorCode::kLifeStage, At(values, FactorCode::kLifeStage), 1);
  add(MatchReason::kEngagement, FactorCode::kEngagement, At(values, FactorCode::kEngagement), 1);
  add(MatchReason::kContact, FactorCode::kContactFit, At(values, FactorCode::kContactFit), 1);
  // A shared home group is told as locality only: naming it could single out a person.
  add(MatchReason::kLocality, FactorCode::kLocality, At(values, FactorCode::kLocality), 1);
  add(MatchReason::kHasTime, FactorCode::kLoadBalance, At(values, FactorCode::kLoadBalance), 1);
  add(MatchReason::kSubstance, FactorCode::kSubstance, At(values, FactorCode::kSubstance), 1);
  std::vector<MatchReason> reasons;
  reasons.reserve(kMaxReasons);
  for (size_t i = 0; i < std::min(count, kMaxReasons); ++i) reasons.push_back(gains[i].reason);
  return reasons;
}

Explanation Scorer::Explain(const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
                            absl::Time now) const {
  const FactorValues values = Values(newcomer, sponsor, now);
  const FactorPoints points = WeightsFor(newcomer.importance);
  Explanation explanation;
  for (size_t i = 0; i < values.size(); ++i) {
    explanation.factors[i] = {values[i] * points[i], points[i]};
  }
  explanation.score = Sum(values, points);
  explanation.reasons = BestReasons(newcomer, sponsor, values, points);
  explanation.shared_languages = SharedLanguages(newcomer.person, sponsor.person);
  return explanation;
}

std::array<NearAnswers, kComparedAnswerCount> NearAnswersTo(const SoftRecord& soft) {
  const auto near = [](FactorCode factor, double share, const auto& table, auto mine) {
    NearAnswers answers{factor, share, table.size() - 1, {}};
    const auto row = static_cast<size_t>(mine) < table.size() ? static_cast<size_t>(mine) : 0;
    for (size_t i = 0; i < table.size(); ++i) answers.near[i] = table[row][i];
    return answers;
  };
  const auto fifth = [&near](const auto& table, auto mine) {
    return near(FactorCode::kPathwayFit, 0.2, table, mine);
  };
  NearAnswers ages{FactorCode::kLifeStage, 0.5, 6, {}};
  for (size_t i = 0; i <= ages.answers; ++i) {
    ages.near[i] = AgeNearness(soft.age_band, static_cast<AgeBand>(i));
  }
  return {fifth(kSpiritual, soft.spiritual_stance),
          fifth(kGoal, soft.goal),
          fifth(kMedication, soft.medication_stance),
          fifth(kApproach, soft.approach),
          fifth(kStepWork, soft.step_work_style),
          ages,
          near(FactorCode::kContactFit, 0.5, kFrequency, soft.contact_frequency)};
}

SponsorComparison::SponsorComparison(const Scorer& scorer, const SponsorRecord& sponsor,
                                     int more_time_days, int64_t today)
    : weights_(scorer.weights()),
      sponsor_(sponsor),
      today_(today),
      answers_(NearAnswersTo(sponsor.soft)) {
  const auto points = [this](FactorCode factor) {
    return weights_.points[static_cast<size_t>(factor)];
  };
  for (size_t i = 0; i < answers_.size(); ++i) {
    const NearAnswers& answers = answers_[i];
    const double worth = answers.share * points(answers.factor);
    answer_points_[i].fill(worth * kNeutral);
    for (size_t k = 0; k < answers.near.size(); ++k) answer_points_[i][k] = worth * answers.near[k];
  }
  for (uint32_t i = 0; i < situation_points_.size(); ++i) {
    situation_points_[i] =
        points(FactorCode::kLifeStage) / 2 * SetNearness(2 * i, sponsor.soft.life_situations);
  }
  NewcomerRecord anybody;
  anybody.more_time_days = more_time_days;
  const double availability = points(FactorCode::kAvailability);
  same_for_all_ = availability * (1 - weights_.overlap_share) * Responsiveness(sponsor) +
                  points(FactorCode::kEngagement) * Engagement(anybody, sponsor, today, weights_) +
                  points(FactorCode::kLoadBalance) * LoadBalance(sponsor);
  overlap_neutral_ = availability * weights_.overlap_share * kNeutral;
  if (sponsor.person.Has(PersonRecord::kHasHours)) overlap_more_ = overlap_neutral_;
}

double SponsorComparison::Bound(const NewcomerRecord& newcomer) const {
  const SoftRecord& soft = newcomer.soft;
  const auto points = [this](FactorCode factor) {
    return weights_.points[static_cast<size_t>(factor)];
  };
  const auto answer = [this](ComparedAnswer field, auto said) {
    return answer_points_[static_cast<size_t>(field)][static_cast<size_t>(said) % 8];
  };
  const double pathway = answer(ComparedAnswer::kSpiritualStance, soft.spiritual_stance) +
                         answer(ComparedAnswer::kGoal, soft.goal) +
                         answer(ComparedAnswer::kMedicationStance, soft.medication_stance) +
                         answer(ComparedAnswer::kApproach, soft.approach) +
                         answer(ComparedAnswer::kStepWorkStyle, soft.step_work_style);
  double life = answer(ComparedAnswer::kAgeBand, soft.age_band) +
                situation_points_[(soft.life_situations >> 1) % 32];
  if (newcomer.person.Has(PersonRecord::kHasDate) &&
      today_ - newcomer.person.recovery_day >= weights_.life_stage_halves_days) {
    life = (life + points(FactorCode::kLifeStage) * kNeutral) / 2;
  }
  const uint32_t wanted = newcomer.person.modalities;
  const uint32_t offered = sponsor_.person.modalities;
  const double ways = wanted == 0 || offered == 0
                          ? kNeutral
                          : kShares[CountBits(wanted & offered)][CountBits(wanted)];
  constexpr double kMargin = 1e-6;
  return same_for_all_ + pathway + life + overlap_neutral_ + kMargin +
         (newcomer.person.Has(PersonRecord::kHasHours) ? overlap_more_ : 0.0) +
         points(FactorCode::kSharedExperience) * SharedExperience(newcomer, sponsor_) +
         points(FactorCode::kContactFit) / 2 * ways +
         answer(ComparedAnswer::kContactFrequency, soft.contact_frequency) +
         points(FactorCode::kLocality) * (MayBeLocal(newcomer, sponsor_) ? 1.0 : kNeutral) +
         points(FactorCode::kSubstance) * SharedSubstance(soft, sponsor_.soft);
}

}  // namespace handrail::matching
