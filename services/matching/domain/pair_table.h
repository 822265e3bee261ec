#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_PAIR_TABLE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_PAIR_TABLE_H_

#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "services/matching/domain/traits.h"

namespace handrail::matching {

// What stands between people, in memory: only pairs between whom something does. Not thread-safe.
class PairTable final : public PairHistory {
 public:
  // Nobody is offered to the other from here on; for good, and both ways.
  void Block(const MemberId& a, const MemberId& b);
  // The pair is not suggested before `until`. A shorter cooldown never shortens a longer one. Both
  // ways: a pair that is to rest does so whoever of the two asks.
  void CoolDown(const MemberId& a, const MemberId& b, absl::Time until);
  // Whom the newcomer is not to be matched with because one of them asked for it, all of them: what
  // was known before is forgotten, since it can be taken back.
  struct Avoided {
    MemberId sponsor;
    bool avoided = false;
    bool dual_role = false;
  };
  void SetAvoided(const MemberId& newcomer, absl::Span<const Avoided> sponsors);
  // Replaces what is known in one direction.
  void Put(const MemberId& newcomer, const MemberId& sponsor, const PairFacts& facts);
  // Forgets cooldowns that have passed. O(size).
  void Prune(absl::Time now);

  PairFacts Between(const MemberId& newcomer, const MemberId& sponsor) const override;
  bool HasAny(const MemberId& member) const override { return members_.contains(member); }
  size_t size() const { return pairs_.size(); }

 private:
  using Key = std::pair<MemberId, MemberId>;

  PairFacts& Slot(const MemberId& newcomer, const MemberId& sponsor);
  void Forget(const MemberId& member);

  absl::flat_hash_map<Key, PairFacts> pairs_;
  absl::flat_hash_map<MemberId, int> members_;                    // in how many pairs
  absl::flat_hash_map<MemberId, std::vector<MemberId>> avoided_;  // by newcomer
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_PAIR_TABLE_H_
