#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_INDEX_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_INDEX_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "services/matching/domain/bit_shelf.h"
#include "services/matching/domain/choice.h"
#include "services/matching/domain/recently_gone.h"
#include "services/matching/domain/slot_store.h"
#include "services/matching/domain/slot_table.h"
#include "services/matching/domain/types.h"

namespace handrail::matching {

// The sponsors and the waiting tickets of one pool, in memory, ready to be searched. It is a copy
// that may lag: whoever acts on its answer checks again where it counts. Everything that is put in
// carries a version, and what is not newer than the held one is ignored, so that changes may arrive
// twice and in any order. Traits, seats and tickets have versions of their own.
//
// People stand as flat records of some 200 bytes; what they were made from is not kept. A search
// filters by a bitset for each attribute value, bounds the score by a code of 64 bits a person,
// looks first at who may be best (the longest waiting; the sponsors with most to give), and ends
// when nobody further on can be better, or when it has looked at as much as ChoiceOptions::effort
// allows. It answers what Chooser's plain scan over everybody would answer, unless the effort ended
// it: then it answers the best of those it saw, and of tickets still the longest waiting who is
// eligible.
//
// Not thread-safe. What `policies`, `chooser` and `history` refer to must live longer.
class PoolIndex {
 public:
  PoolIndex(const PoolKey& key, const ProgramPolicies& policies, const Chooser& chooser,
            const PairHistory& history);
  PoolIndex(const PoolIndex&) = delete;
  PoolIndex& operator=(const PoolIndex&) = delete;

  // A member's traits: the sponsor's side if it belongs in this pool, and the newcomer's side of
  // tickets that are here. A side that is gone, or a member who is erased, leaves the search. True
  // when newer.
  bool PutMember(const std::shared_ptr<const MemberTraits>& traits, absl::Time now);
  // A sponsor's seats. May come before the traits; a sponsor is found once both are known. True
  // when newer.
  bool PutSeats(const Availability& seats);
  // A ticket and its newcomer's traits. It is searched while it may be put before one more sponsor:
  // WAITING, or OFFERED where the relationship allows parallel offers. Any other state takes it
  // out. True when newer. `traits` may be null for a ticket that is taken out.
  bool PutTicket(const Ticket& ticket, const std::shared_ptr<const MemberTraits>& traits,
                 absl::Time now);

  // Sponsors for a ticket, the best first; none when the ticket is not waiting here. The candidates
  // point into the index and hold until the next change. What the rules removed is not counted: see
  // CountRemoved.
  Choice FindSponsors(const TicketId& ticket, absl::Time now, size_t limit = 1);
  // Tickets for a sponsor, the best first; none when the sponsor is not here. With a limit of 2 or
  // more the longest waiting of all who are eligible is always among them (M7).
  Choice FindTickets(const MemberId& sponsor, absl::Time now, size_t limit = 2);
  // Why these two. Only for what was chosen: a search does not explain.
  Explanation Explain(const Candidate& candidate, absl::Time now) const;
  // How many sponsors each rule takes out for a ticket, and how many tickets for a sponsor. Looks
  // at everybody: O(people).
  RuleCounts CountRemoved(const TicketId& ticket, absl::Time now);
  RuleCounts CountRemoved(const MemberId& sponsor, absl::Time now);

  const PoolKey& key() const { return key_; }
  size_t ticket_count() const { return live_tickets_; }  // that are searched
  // The version of the newcomer's traits that a ticket is judged by; 0 when it is not known here.
  int64_t NewcomerVersion(const TicketId& ticket) const;
  size_t sponsor_count() const { return live_sponsors_; }  // whose traits are known
  // Sponsors who have room now. O(sponsors).
  size_t free_sponsor_count() const;
  // What the index holds, in bytes.
  size_t MemoryBytes() const;

 private:
  using TraitsPtr = std::shared_ptr<const MemberTraits>;
  static constexpr uint32_t kNoSlot = 0xffffffffu;

  struct SponsorSlot {
    SponsorRecord record;
    int64_t seats_version = 0;
    int64_t traits_version = 0;
    ZoneTable::ZoneId zone = ZoneTable::kNone;  // of the hours
    bool known = false;                         // whose traits are
    bool shelved = false;                       // free and fit to be found
  };
  struct TicketSlot {
    TicketRecord record;
    int64_t version = 0;
    int64_t traits_version = 0;
    uint32_t next_of_newcomer = kNoSlot;
    ZoneTable::ZoneId zone = ZoneTable::kNone;
    bool known = false;     // whose newcomer's traits are
    bool open = false;      // may be put before one more sponsor
    bool searched = false;  // both
    bool shelved = false;   // and the newcomer may be paired at all
  };
  struct SponsorIdOf {
    const SlotStore<SponsorSlot>* store;
    const RawId& operator()(uint32_t slot) const { return (*store)[slot].record.member; }
  };
  struct TicketIdOf {
    const SlotStore<TicketSlot>* store;
    const RawId& operator()(uint32_t slot) const { return (*store)[slot].record.ticket; }
  };
  struct NewcomerIdOf {
    const SlotStore<TicketSlot>* store;
    const RawId& operator()(uint32_t slot) const { return (*store)[slot].record.newcomer.member; }
  };
  class SponsorSearch;
  class TicketSearch;

  // Hours hold for one week; in a new week they are made anew.
  void EnsureWeek(absl::Time now);
  void TurnWeek(absl::Time week_start);
  WeekHours TurnHours(const WeekHours& hours, ZoneTable::ZoneId zone, const ZoneTable& next,
                      absl::flat_hash_map<uint32_t, UtcWeek>& local, uint32_t slot);
  void KeepLocal(const PersonTraits& person, uint32_t slot,
                 absl::flat_hash_map<uint32_t, UtcWeek>& local, ZoneTable::ZoneId* zone);

  bool MayBeOffered(const Ticket& ticket) const;
  uint32_t NewTicketSlot(const Ticket& ticket);
  void DropTicket(uint32_t slot);
  void SetTicketTraits(uint32_t slot, const MemberTraits& traits);
  void ShelveTicket(uint32_t slot);
  BitShelf::Entry DescribeTicket(uint32_t slot) const;
  BitShelf& ShelfOf(RelationshipType type);

  uint32_t SponsorSlotOf(const MemberId& sponsor);
  void SetSponsorTraits(uint32_t slot, const MemberTraits& traits);
  void DropSponsor(uint32_t slot, int64_t traits_version);
  void ShelveSponsor(uint32_t slot);
  BitShelf::Entry DescribeSponsor(uint32_t slot) const;
  bool PutSponsorSide(const MemberTraits& traits);
  bool PutNewcomerSide(const MemberTraits& traits);

  const PoolKey key_;
  const ProgramPolicies& policies_;
  const Chooser& chooser_;
  const PairHistory& history_;
  const int more_time_days_;
  ZoneTable zones_;

  SlotStore<SponsorSlot> sponsors_;
  SlotTable<SponsorIdOf> sponsor_slots_;
  std::vector<uint32_t> sponsor_places_;
  BitShelf free_sponsors_;  // the one with most to give first
  RecentlyGone gone_sponsors_;
  size_t live_sponsors_ = 0;

  SlotStore<TicketSlot> tickets_;
  SlotTable<TicketIdOf> ticket_slots_;
  SlotTable<NewcomerIdOf> newcomer_slots_;  // the first of each newcomer's tickets
  std::vector<uint32_t> ticket_places_;
  // By relationship, whose tickets age at different rates; the longest waiting first.
  std::array<std::unique_ptr<BitShelf>, kRelationshipTypeCount> waiting_;
  RecentlyGone gone_tickets_;
  size_t live_tickets_ = 0;

  // The local hours of those whose clock changes in this week, from which next week's are made. For
  // all others the hours themselves tell.
  absl::flat_hash_map<uint32_t, UtcWeek> sponsor_local_;
  absl::flat_hash_map<uint32_t, UtcWeek> ticket_local_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_INDEX_H_
