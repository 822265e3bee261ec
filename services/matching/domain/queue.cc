#include "services/matching/domain/queue.h"

#include <algorithm>

namespace handrail::matching {
namespace {

// An operator's whole boost is worth as much as this wait (aging 4 over 168 hours is 1 in 42), so
// that a score never has to be written again while time passes.
constexpr int64_t kFullBoostMillis = int64_t{42} * 3600 * 1000;
// Load in hundredths comes before the time of the last offer, which has ten digits of seconds.
constexpr int64_t kLoadStep = 100'000'000'000;

int64_t ScoreOf(absl::Time create_time, double boost) {
  const double bounded = std::clamp(boost, 0.0, kMaxBoost);
  return absl::ToUnixMillis(create_time) -
         static_cast<int64_t>(bounded * static_cast<double>(kFullBoostMillis));
}

}  // namespace

QueueTicket QueueTicketOf(const TicketChange& ticket) {
  return {ticket.ticket, ticket.version, ticket.HasRoomForOffer(),
          ScoreOf(ticket.create_time, ticket.boost)};
}

QueueTicket QueueTicketOf(const WaitingTicket& ticket) {
  return {ticket.ticket, ticket.version, true, ScoreOf(ticket.create_time, ticket.boost)};
}

QueueSponsor QueueSponsorOf(const SponsorSeats& sponsor) {
  const Availability& seats = sponsor.availability;
  const int seats_used = seats.EffectiveCapacity();
  const int64_t load = seats_used > 0 ? 100 * seats.TakenSeats() / seats_used : 100;
  const int64_t last = seats.last_offer_time == absl::InfinitePast()
                           ? 0
                           : absl::ToUnixSeconds(seats.last_offer_time);
  return {seats.sponsor, seats.version, sponsor.may_be_offered ? seats.FreeSeats() : 0,
          load * kLoadStep + last};
}

}  // namespace handrail::matching
