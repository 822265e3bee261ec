#include "services/matching/domain/ledger.h"

#include <iterator>

namespace handrail::matching {
namespace {

template <typename T>
void MoveTo(std::vector<T>& from, std::vector<T>& to) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

Ticket TicketOf(const TicketChange& change) {
  Ticket ticket;
  ticket.id = change.ticket;
  ticket.newcomer = change.newcomer;
  ticket.relationship_type = change.relationship_type;
  ticket.philosophy = change.pool.philosophy;
  ticket.pool = change.pool;
  ticket.state = change.state;
  ticket.create_time = change.create_time;
  ticket.expire_time = change.expire_time;
  ticket.offer_count = change.offer_count;
  ticket.boost = change.boost;
  ticket.importance = change.importance;
  ticket.choosing = change.choosing;
  ticket.chosen_left = change.chosen_left;
  ticket.open_offers = change.open_offers;
  ticket.version = change.version;
  return ticket;
}

void Effects::Append(Effects other) {
  MoveTo(other.tickets, tickets);
  MoveTo(other.sponsors, sponsors);
  MoveTo(other.offers, offers);
  MoveTo(other.notices, notices);
  MoveTo(other.topics, topics);
  outbox = outbox || other.outbox;
}

}  // namespace handrail::matching
