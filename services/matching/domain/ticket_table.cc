#include "services/matching/domain/ticket_table.h"

namespace handrail::matching {

uint32_t TicketTable::NumberOf(const PoolKey& pool) {
  const auto [place, added] = pool_numbers_.try_emplace(pool, static_cast<uint32_t>(pools_.size()));
  if (added) pools_.push_back(pool);
  return place->second;
}

std::optional<TicketChange> TicketTable::Find(const TicketId& id) const {
  const uint32_t slot = slots_.Find(id);
  if (slot == slots_.kNone) return std::nullopt;
  const Held& held = store_[slot];
  TicketChange ticket;
  ticket.ticket = held.ticket;
  ticket.newcomer = held.newcomer;
  ticket.relationship_type = held.relationship_type;
  ticket.pool = pools_[held.pool];
  ticket.state = held.state;
  ticket.create_time = held.create_time;
  ticket.expire_time = held.expire_time;
  ticket.boost = held.boost;
  ticket.importance = held.importance;
  ticket.choosing = held.choosing;
  ticket.chosen_left = held.chosen_left;
  ticket.open_offers = held.open_offers;
  ticket.parallel_limit = held.parallel_limit;
  ticket.offer_count = held.offer_count;
  ticket.version = held.version;
  return ticket;
}

int64_t TicketTable::VersionOf(const TicketId& id) const {
  const uint32_t slot = slots_.Find(id);
  return slot == slots_.kNone ? 0 : store_[slot].version;
}

void TicketTable::Put(const TicketChange& ticket) {
  uint32_t slot = slots_.Find(ticket.ticket);
  if (slot == slots_.kNone) {
    slot = store_.Take();
    store_[slot].ticket = ticket.ticket;
    slots_.Insert(ticket.ticket, slot);
  }
  Held& held = store_[slot];
  held.newcomer = ticket.newcomer;
  held.boost = ticket.boost;
  held.version = ticket.version;
  held.create_time = ticket.create_time;
  held.expire_time = ticket.expire_time;
  held.importance = ticket.importance;
  held.pool = NumberOf(ticket.pool);
  held.chosen_left = ticket.chosen_left;
  held.open_offers = ticket.open_offers;
  held.parallel_limit = ticket.parallel_limit;
  held.offer_count = ticket.offer_count;
  held.relationship_type = ticket.relationship_type;
  held.state = ticket.state;
  held.choosing = ticket.choosing;
}

void TicketTable::Erase(const TicketId& id) {
  const uint32_t slot = slots_.Find(id);
  if (slot == slots_.kNone) return;
  slots_.Erase(id);
  store_.Free(slot);
}

}  // namespace handrail::matching
