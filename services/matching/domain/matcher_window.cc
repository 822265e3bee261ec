#include <utility>

#include "services/matching/domain/batch_plan.h"
#include "services/matching/domain/matcher.h"

// The window: seats that more tickets want than there are wait for one another, and are then given
// together (design.md §5). Everything else in the matcher is as it is without one.
namespace handrail::matching {

bool Matcher::HoldForWindow(const MemberId& sponsor, const IsOurs& is_ours, absl::Time now) {
  if (window_.Holds(sponsor)) return true;
  const int free = index_.FreeSeats(sponsor);
  if (!window_.is_on() || free == 0) return false;
  BatchPlanner planner(now);
  const Choice first = index_.AddTicketsFor(sponsor, now, is_ours, planner);
  if (planner.ticket_count() <= static_cast<size_t>(free)) return false;
  // Whoever may ask several people at once needs somebody now.
  if (policies_.Of(first.best().ticket->newcomer.relationship_type).parallel_offers > 1) {
    return false;
  }
  window_.Hold(sponsor, now);
  return true;
}

std::vector<Match> Matcher::CloseWindow(const IsOurs& is_ours, absl::Time now) {
  std::vector<Match> matches;
  if (!window_.IsDue(now)) return matches;
  BatchPlanner planner(now);
  for (const MemberId& sponsor : window_.Take()) {
    index_.AddTicketsFor(sponsor, now, is_ours, planner);
    planner.SetSeats(sponsor, index_.FreeSeats(sponsor));
    // Whatever the plan leaves free looks for a ticket as ever.
    if (sponsors_queued_.insert(sponsor).second) sponsors_to_match_.push_back(sponsor);
  }
  const absl::Time give_up = clock_.Now() + options_.window_solve_limit;
  const BatchPlan plan =
      planner.MaximumWeight(*options_.solver, [&] { return clock_.Now() >= give_up; });
  for (const PlannedPair& pair : plan.pairs) {
    if (auto match = index_.MatchOf(pair.ticket, pair.sponsor, now); match.has_value()) {
      matches.push_back(*std::move(match));
    }
  }
  return matches;
}

}  // namespace handrail::matching
