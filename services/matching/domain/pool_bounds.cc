#include "services/matching/domain/pool_bounds.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "services/matching/domain/bit_counts.h"

namespace handrail::matching {
namespace {

constexpr double kNeutral = 0.5;
// Sums of a few terms in another order differ by less.
constexpr double kMargin = 1e-6;

// Where the parts of a code begin. Before: the compared answers and three more, four bits each.
constexpr size_t kCommunity = kComparedAnswerCount;  // two
constexpr size_t kLatitude = kCommunity + 2;
constexpr int kSituations = 4 * static_cast<int>(kLatitude + 1);  // 5 bits
constexpr int kWays = kSituations + 5;                            // 7 bits
constexpr int kHasHours = kWays + 7;                              // 1 bit
static_assert(kHasHours < 64);

constexpr uint64_t kManyCommunities = 15;  // more than two
static_assert(static_cast<uint64_t>(Community::kBlindLowVision) < kManyCommunities);
static_assert(static_cast<int>(LifeSituation::kRetired) <= 5);
static_assert(static_cast<int>(Modality::kInPersonPublic) < 7);
// The cell's band of two degrees of latitude, 222 km, around and around; 0 when not known.
constexpr int kBandDecidegrees = 20;
constexpr int kBands = 15;

uint64_t BandOf(const PersonRecord& person) {
  if (!person.Has(PersonRecord::kHasCell)) return 0;
  return static_cast<uint64_t>((person.cell.latitude_decidegrees + 900) / kBandDecidegrees %
                               kBands) +
         1;
}

// With `twice`, one community stands twice, so that each of the two tells half.
uint64_t CodeOf(const PersonRecord& person, const SoftRecord& soft, uint32_t communities,
                bool twice) {
  const std::array<size_t, kComparedAnswerCount> answers = {
      static_cast<size_t>(soft.spiritual_stance),  static_cast<size_t>(soft.goal),
      static_cast<size_t>(soft.medication_stance), static_cast<size_t>(soft.approach),
      static_cast<size_t>(soft.step_work_style),   static_cast<size_t>(soft.age_band),
      static_cast<size_t>(soft.contact_frequency)};
  uint64_t code = 0;
  for (size_t i = 0; i < answers.size(); ++i) code |= (answers[i] & 15u) << (4 * i);
  uint64_t first = 0;
  uint64_t second = 0;
  if (std::popcount(communities) > 2) {
    first = second = kManyCommunities;
  } else if (communities != 0) {
    first = static_cast<uint64_t>(std::countr_zero(communities));
    const uint32_t rest = communities & (communities - 1);
    second = rest != 0 ? static_cast<uint64_t>(std::countr_zero(rest)) : twice ? first : 0;
  }
  return code | first << (4 * kCommunity) | second << (4 * (kCommunity + 1)) |
         BandOf(person) << (4 * kLatitude) |
         uint64_t{(soft.life_situations >> 1) & 31u} << kSituations |
         uint64_t{person.modalities & 127u} << kWays |
         uint64_t{person.Has(PersonRecord::kHasHours)} << kHasHours;
}

double PointsOf(const FactorPoints& points, FactorCode factor) {
  return points[static_cast<size_t>(factor)];
}

// Of life stage, which counts half for who has been in recovery for a year: the better of both.
double AtAnyStage(double value) { return std::max(value, kNeutral + (value - kNeutral) / 2); }

}  // namespace

uint64_t CodeOf(const NewcomerRecord& newcomer) {
  return CodeOf(newcomer.person, newcomer.soft, newcomer.important_communities,
                /*twice=*/true);
}

uint64_t CodeOf(const SponsorRecord& sponsor) {
  return CodeOf(sponsor.person, sponsor.soft, sponsor.soft.communities, /*twice=*/false);
}

ScoreBounds::Units ScoreBounds::Round(double points) {
  return static_cast<Units>(points * kUnitsInPoint) + 1;
}

void ScoreBounds::AddAnswers(const std::array<NearAnswers, kComparedAnswerCount>& all,
                             const FactorPoints& points) {
  for (size_t i = 0; i < all.size(); ++i) {
    const NearAnswers& answers = all[i];
    const double worth = answers.share * PointsOf(points, answers.factor);
    const bool staged = answers.factor == FactorCode::kLifeStage;
    nibbles_[i].fill(Round(worth * kNeutral));
    for (size_t answer = 0; answer <= answers.answers; ++answer) {
      const double near = answers.near[answer];
      nibbles_[i][answer] = Round(worth * (staged ? AtAnyStage(near) : near));
    }
  }
}

// Of both sets together the part that is in both.
void ScoreBounds::AddSituations(uint32_t situations, double points) {
  const uint32_t mine = (situations >> 1) & 31u;
  for (uint32_t theirs = 0; theirs < situations_.size(); ++theirs) {
    const double value = mine == 0 || theirs == 0
                             ? kNeutral
                             : static_cast<double>(CountBits(mine & theirs)) /
                                   static_cast<double>(CountBits(mine | theirs));
    situations_[theirs] = Round(points * AtAnyStage(value));
  }
}

// Whoever lives two bands apart lives more than 200 km away. Who has a home group may share it with
// somebody far away.
void ScoreBounds::AddPlace(const PersonRecord& person, const SoftRecord& soft, double points) {
  auto& gains = nibbles_[kLatitude];
  if (soft.home_group != 0) {
    gains.fill(Round(points));
    return;
  }
  gains.fill(Round(points * kNeutral));
  const auto mine = static_cast<int>(BandOf(person));
  if (mine == 0) return;
  for (int band = 1; band <= kBands; ++band) {
    const int apart = std::abs(band - mine);
    const bool near = apart <= 1 || apart == kBands - 1;
    gains[static_cast<size_t>(band)] = Round(near ? points : 0);
  }
}

void ScoreBounds::AddCommunities(uint32_t met, double each, double most) {
  for (size_t place = kCommunity; place < kCommunity + 2; ++place) {
    for (size_t community = 1; community < kManyCommunities; ++community) {
      nibbles_[place][community] = ((met >> community) & 1u) != 0 ? Round(each) : 0;
    }
    nibbles_[place][kManyCommunities] = Round(most / 2);
  }
}

void ScoreBounds::AddWays(uint32_t ways, bool wanted, double points) {
  my_ways_ = static_cast<uint8_t>(ways & 127u);
  mine_are_wanted_ = wanted;
  for (size_t count = 0; count < ways_.size(); ++count) {
    for (size_t met = 0; met <= count; ++met) {
      const double share = count == 0 || my_ways_ == 0
                               ? kNeutral
                               : static_cast<double>(met) / static_cast<double>(count);
      ways_[count][met] = Round(points * share);
    }
  }
}

void ScoreBounds::AddPerson(const PersonRecord& person, const SoftRecord& soft,
                            const FactorPoints& points) {
  AddSituations(soft.life_situations, PointsOf(points, FactorCode::kLifeStage) / 2);
  AddPlace(person, soft, PointsOf(points, FactorCode::kLocality));
  base_ += PointsOf(points, FactorCode::kSubstance) * (soft.substances != 0 ? 1.0 : kNeutral) +
           PointsOf(points, FactorCode::kSharedExperience) * kNeutral;
}

ScoreBounds::ScoreBounds(const SponsorRecord& sponsor, const SponsorComparison& comparison,
                         const ScoreWeights& weights) {
  const FactorPoints& points = weights.points;
  AddAnswers(comparison.answers(), points);
  AddPerson(sponsor.person, sponsor.soft, points);
  AddWays(sponsor.person.modalities, /*wanted=*/false,
          PointsOf(points, FactorCode::kContactFit) / 2);
  const double shared = PointsOf(points, FactorCode::kSharedExperience) * kNeutral;
  AddCommunities(sponsor.soft.communities, shared / 2, sponsor.soft.communities != 0 ? shared : 0);
  const double overlap = weights.overlap_share * PointsOf(points, FactorCode::kAvailability);
  hours_[0] = Round(overlap * kNeutral);
  hours_[1] = Round(sponsor.person.Has(PersonRecord::kHasHours) ? overlap : overlap * kNeutral);
  base_ += comparison.SameForAll();
  Finish();
}

ScoreBounds::ScoreBounds(const NewcomerRecord& newcomer, const FactorPoints& points) {
  AddAnswers(NearAnswersTo(newcomer.soft), points);
  AddPerson(newcomer.person, newcomer.soft, points);
  AddWays(newcomer.person.modalities, /*wanted=*/true,
          PointsOf(points, FactorCode::kContactFit) / 2);
  const uint32_t marked = newcomer.important_communities;
  if (marked != 0) {
    const double shared = PointsOf(points, FactorCode::kSharedExperience) * kNeutral;
    AddCommunities(marked, shared / std::popcount(marked), shared);
  }
  base_ += PointsOf(points, FactorCode::kAvailability) + PointsOf(points, FactorCode::kEngagement) +
           PointsOf(points, FactorCode::kLoadBalance);
  Finish();
}

void ScoreBounds::Finish() {
  uint64_t most = 0;
  for (const auto& gains : nibbles_) most += *std::max_element(gains.begin(), gains.end());
  most += *std::max_element(situations_.begin(), situations_.end());
  most += std::max(hours_[0], hours_[1]);
  Units ways = 0;
  for (const auto& gains : ways_)
    ways = std::max(ways, *std::max_element(gains.begin(), gains.end()));
  base_ += kMargin;
  best_ = base_ + static_cast<double>(most + ways) / kUnitsInPoint;
}

double ScoreBounds::Of(uint64_t code) const {
  Units even = 0;
  Units odd = 0;
  for (size_t i = 0; i < kNibbles; i += 2) {
    even += nibbles_[i][(code >> (4 * i)) & 15u];
    odd += nibbles_[i + 1][(code >> (4 * i + 4)) & 15u];
  }
  static_assert(kNibbles % 2 == 0);
  const auto theirs = static_cast<uint32_t>((code >> kWays) & 127u);
  const size_t wanted =
      mine_are_wanted_ ? (theirs == 0 ? 0 : CountBits(my_ways_)) : CountBits(theirs);
  even += situations_[(code >> kSituations) & 31u];
  odd += ways_[wanted][CountBits(theirs & my_ways_)] + hours_[(code >> kHasHours) & 1u];
  return base_ + static_cast<double>(even + odd) / kUnitsInPoint;
}

}  // namespace handrail::matching
