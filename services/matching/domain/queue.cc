#include "services/matching/domain/queue.h"

#include <algorithm>

namespace handrail::matching {
namespace {

// An operator's whole boost is worth as much as this wait (aging 2 over 168 hours is 1 in 84), so
// that a score never has to be written again while time passes.
constexpr int64_t kFullBoostMillis = int64_t{84} * 3600 * 1000;
// Load in hundredths comes before the time of the last offer, which has ten digits of seconds.
constexpr int64_t kLoadStep = 100'000'000'000;

}  // namespace

QueueTicket QueueTicketOf(const TicketChange& ticket) {
  const double boost = std::clamp(ticket.boost, 0.0, kMaxBoost);
  return {ticket.ticket, ticket.version, ticket.state == TicketState::kWaiting,
          absl::ToUnixMillis(ticket.create_time) -
              static_cast<int64_t>(boost * static_cast<double>(kFullBoostMillis))};
}

QueueSponsor QueueSponsorOf(const SponsorSeats& sponsor) {
  const Availability& seats = sponsor.availability;
  const int64_t load = seats.capacity > 0 ? 100 * seats.TakenSeats() / seats.capacity : 100;
  const int64_t last = seats.last_offer_time == absl::InfinitePast()
                           ? 0
                           : absl::ToUnixSeconds(seats.last_offer_time);
  return {seats.sponsor, seats.version, sponsor.may_be_offered ? seats.FreeSeats() : 0,
          load * kLoadStep + last};
}

}  // namespace handrail::matching
