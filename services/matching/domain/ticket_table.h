#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_TICKET_TABLE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_TICKET_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/slot_store.h"
#include "services/matching/domain/slot_table.h"
#include "services/matching/domain/types.h"

namespace handrail::matching {

// Tickets by id as the ledger told them, in some 120 bytes each, where a map of TicketChange takes
// up to 370 just after it has grown. Pools are never forgotten; they are few. Not thread-safe.
class TicketTable {
 public:
  TicketTable() : slots_(IdOf{&store_}) {}
  TicketTable(const TicketTable&) = delete;
  TicketTable& operator=(const TicketTable&) = delete;

  std::optional<TicketChange> Find(const TicketId& id) const;
  // 0 when it is not held.
  int64_t VersionOf(const TicketId& id) const;
  // In the place of what is held of it.
  void Put(const TicketChange& ticket);
  // No effect when it is not held.
  void Erase(const TicketId& id);

  size_t size() const { return store_.size(); }
  // Without the names of the pools.
  size_t MemoryBytes() const { return store_.MemoryBytes() + slots_.MemoryBytes(); }

 private:
  struct Held {
    TicketId ticket;
    MemberId newcomer;
    double boost = 0;
    int64_t version = 0;
    absl::Time create_time;
    absl::Time expire_time;
    Importance importance;
    uint32_t pool = 0;
    int chosen_left = 0;
    int open_offers = 0;
    int parallel_limit = 1;
    int offer_count = 0;
    RelationshipType relationship_type = RelationshipType::kUnspecified;
    TicketState state = TicketState::kWaiting;
    bool choosing = false;
  };
  static_assert(sizeof(Held) <= 112);
  struct IdOf {
    const SlotStore<Held>* store;
    const RawId& operator()(uint32_t slot) const { return (*store)[slot].ticket; }
  };

  uint32_t NumberOf(const PoolKey& pool);

  SlotStore<Held> store_;
  SlotTable<IdOf> slots_;
  std::vector<PoolKey> pools_;
  std::map<PoolKey, uint32_t> pool_numbers_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_TICKET_TABLE_H_
