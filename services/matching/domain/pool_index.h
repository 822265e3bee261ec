#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_INDEX_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "services/matching/domain/choice.h"
#include "services/matching/domain/types.h"

namespace handrail::matching {

// The sponsors and the waiting tickets of one pool, in memory, ready to be searched. It is a copy
// that may lag: whoever acts on its answer checks again where it counts. Everything that is put in
// carries a version, and what is not newer than the held one is ignored, so that changes may arrive
// twice and in any order. Traits, seats and tickets have versions of their own.
//
// Sponsors and tickets stand in two contiguous arrays of flat records and are scanned; a bitset per
// attribute value can take the place of the scan behind the same interface.
//
// Not thread-safe. What `policies`, `chooser` and `history` refer to must live longer.
class PoolIndex {
 public:
  PoolIndex(const PoolKey& key, const ProgramPolicies& policies, const Chooser& chooser,
            const PairHistory& history);

  // A member's traits: the sponsor's side if it belongs in this pool, and the newcomer's side of
  // tickets that are here. A side that is gone, or a member who is erased, leaves the search. True
  // when newer.
  bool PutMember(const std::shared_ptr<const MemberTraits>& traits, absl::Time now);
  // A sponsor's seats. May come before the traits; a sponsor is found once both are known. True
  // when newer.
  bool PutSeats(const Availability& seats);
  // How soon the sponsor tends to answer, 0..1, already smoothed; negative when not known. No
  // effect on a sponsor who is not here.
  void SetResponsiveness(const MemberId& sponsor, float responsiveness);
  // A ticket and its newcomer's traits. It is searched while it may be put before one more sponsor:
  // WAITING, or OFFERED where the relationship allows parallel offers. Any other state takes it
  // out. True when newer. `traits` may be null for a ticket that is taken out.
  bool PutTicket(const Ticket& ticket, std::shared_ptr<const MemberTraits> traits, absl::Time now);

  // Sponsors for a ticket, the best first; none when the ticket is not waiting here. The candidates
  // point into the index and hold until the next change.
  Choice FindSponsors(const TicketId& ticket, absl::Time now, size_t limit = 1);
  // Tickets for a sponsor, the best first; none when the sponsor is not here.
  Choice FindTickets(const MemberId& sponsor, absl::Time now, size_t limit = 2);
  // Why these two. Only for what was chosen: a search does not explain.
  Explanation Explain(const Candidate& candidate, absl::Time now) const;

  const PoolKey& key() const { return key_; }
  size_t ticket_count() const { return live_tickets_; }  // that are searched
  // The version of the newcomer's traits that a ticket is judged by; 0 when it is not known here.
  int64_t NewcomerVersion(const TicketId& ticket) const;
  size_t sponsor_count() const { return live_sponsors_; }  // whose traits are known
  // Sponsors who have room now. O(sponsors).
  size_t free_sponsor_count() const;
  // What the index holds, in bytes, without the shared traits.
  size_t MemoryBytes() const;

 private:
  using TraitsPtr = std::shared_ptr<const MemberTraits>;

  // What a scan does not look at, at the same place as the record.
  struct SponsorSide {
    TraitsPtr traits;  // null: not searched
    Availability seats;
    int64_t traits_version = 0;
    bool gone = false;  // known not to belong here any more
  };
  struct TicketSide {
    TraitsPtr traits;  // kept while the ticket is not searched, so that older ones cannot come back
    Ticket ticket;
    int64_t traits_version = 0;
    bool searched = false;
    bool gone = false;  // not to be put before anybody any more
  };

  // The records hold hours of one week; in a new week they are made anew from the traits.
  void EnsureWeek(absl::Time now);
  bool Searches(const Ticket& ticket) const;
  size_t SponsorSlot(const MemberId& sponsor);
  void MakeSponsor(size_t slot);
  void MakeTicket(size_t slot);
  void UpdateTicket(size_t slot);
  bool PutSponsorSide(const TraitsPtr& traits);
  bool PutNewcomerSide(const TraitsPtr& traits);
  void CompactSponsors();
  void CompactTickets();

  const PoolKey key_;
  const ProgramPolicies& policies_;
  const Chooser& chooser_;
  const PairHistory& history_;
  absl::Time week_start_ = absl::InfinitePast();

  std::vector<SponsorRecord> sponsors_;
  std::vector<SponsorSide> sponsor_sides_;
  absl::flat_hash_map<MemberId, size_t> sponsor_slots_;
  size_t live_sponsors_ = 0;
  size_t gone_sponsors_ = 0;

  std::vector<TicketRecord> tickets_;
  std::vector<TicketSide> ticket_sides_;
  absl::flat_hash_map<TicketId, size_t> ticket_slots_;
  absl::flat_hash_map<MemberId, std::vector<TicketId>> newcomer_tickets_;
  size_t live_tickets_ = 0;
  size_t gone_tickets_ = 0;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_INDEX_H_
