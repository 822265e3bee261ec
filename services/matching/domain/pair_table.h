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
  // The ticket is before this sponsor until `until`, and looks on for others beside. A newcomer has
  // few of these.
  void PutOffered(const MemberId& newcomer, const TicketId& ticket, const MemberId& sponsor,
                  absl::Time until);
  // One of the ticket's offers is over, whichever: all of them are forgotten.
  void ForgetOffered(const MemberId& newcomer, const TicketId& ticket);
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
  // Without those who are only offered.
  size_t size() const { return pairs_.size(); }

 private:
  using Key = std::pair<MemberId, MemberId>;
  struct Offered {
    TicketId ticket;
    MemberId sponsor;
    absl::Time until;
  };

  PairFacts& Slot(const MemberId& newcomer, const MemberId& sponsor);
  void Forget(const MemberId& member);
  template <typename IsOver>
  void ForgetOfferedIf(const MemberId& newcomer, std::vector<Offered>& offered,
                       const IsOver& is_over);

  absl::flat_hash_map<Key, PairFacts> pairs_;
  absl::flat_hash_map<MemberId, int> members_;                    // in how many pairs
  absl::flat_hash_map<MemberId, std::vector<MemberId>> avoided_;  // by newcomer
  absl::flat_hash_map<MemberId, std::vector<Offered>> offered_;   // by newcomer
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_PAIR_TABLE_H_
