#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_BOUNDS_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_BOUNDS_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "services/matching/domain/match_record.h"
#include "services/matching/domain/score.h"

namespace handrail::matching {

// What the score asks of somebody, in 64 bits, so that most of a pool is judged without a look at
// its records, which lie far apart in memory. Exact for answers, life situations and ways of
// contact, and for up to two communities; rough for where somebody lives.
uint64_t CodeOf(const NewcomerRecord& newcomer);
uint64_t CodeOf(const SponsorRecord& sponsor);

// What others score at most beside one person, by their codes. Hours and substances count as the
// best that they can be.
class ScoreBounds {
 public:
  ScoreBounds() = default;
  // Of newcomers with the published points, beside a sponsor.
  ScoreBounds(const SponsorRecord& sponsor, const SponsorComparison& comparison,
              const ScoreWeights& weights);
  // Of sponsors, beside a newcomer who weighs the factors like this. What a sponsor brings to every
  // newcomer alike (experience, room, answering soon) counts as the best.
  ScoreBounds(const NewcomerRecord& newcomer, const FactorPoints& points);

  // What nobody surpasses, 0..100 and a little.
  double Best() const { return best_; }
  double Of(uint64_t code) const;

 private:
  // Points in units of 2^-20, rounded up.
  using Units = uint32_t;
  static constexpr double kUnitsInPoint = 1 << 20;
  // Answers, two communities and the band of latitude.
  static constexpr size_t kNibbles = kComparedAnswerCount + 3;

  static Units Round(double points);
  void AddAnswers(const std::array<NearAnswers, kComparedAnswerCount>& all,
                  const FactorPoints& points);
  void AddPerson(const PersonRecord& person, const SoftRecord& soft, const FactorPoints& points);
  void AddSituations(uint32_t situations, double points);
  void AddPlace(const PersonRecord& person, const SoftRecord& soft, double points);
  // Each of the two communities of a code that is in `met` gives `each`, up to `most` for who has
  // more than two.
  void AddCommunities(uint32_t met, double each, double most);
  void AddWays(uint32_t ways, bool wanted, double points);
  void Finish();

  std::array<std::array<Units, 16>, kNibbles> nibbles_{};
  std::array<Units, 32> situations_{};
  std::array<std::array<Units, 8>, 8> ways_{};  // by how many are wanted, and met
  std::array<Units, 2> hours_{};                // of who gave none, and some
  uint8_t my_ways_ = 0;
  bool mine_are_wanted_ = false;
  double base_ = 0;  // what all get
  double best_ = 100;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_BOUNDS_H_
