#include "services/matching/domain/ledger.h"

#include <iterator>

namespace handrail::matching {
namespace {

template <typename T>
void MoveTo(std::vector<T>& from, std::vector<T>& to) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

void Effects::Append(Effects other) {
  MoveTo(other.tickets, tickets);
  MoveTo(other.sponsors, sponsors);
  MoveTo(other.offers, offers);
  MoveTo(other.notices, notices);
  MoveTo(other.topics, topics);
  outbox = outbox || other.outbox;
}

}  // namespace handrail::matching
