#include <algorithm>
#include <tuple>

#include "services/matching/domain/utc_week.h"
#include "tools/simulator/draws.h"
#include "tools/simulator/play.h"

// Who is put before whom.
namespace handrail::simulator {
namespace {

using matching::Candidate;
using matching::Choice;
using matching::PoolIndex;
using matching::TicketState;

// As many as the matcher looks at for one ticket or sponsor (match_index.cc).
constexpr size_t kCandidates = 8;

}  // namespace

void Simulation::LookForSponsor(uint32_t newcomer) {
  switch (policy_.kind) {
    case Policy::Kind::kFirstCome:
    case Policy::Kind::kLongestIdle:
    case Policy::Kind::kLeastLoaded: return TakeAnySponsor(newcomer);
    case Policy::Kind::kChoice: return ChooseSponsor(newcomer);
    case Policy::Kind::kBatch: return;
  }
}

void Simulation::LookForTickets(uint32_t sponsor) {
  switch (policy_.kind) {
    case Policy::Kind::kFirstCome:
    case Policy::Kind::kLongestIdle:
    case Policy::Kind::kLeastLoaded:
      while (const std::optional<uint32_t> newcomer = LongestWaitingFor(sponsor)) {
        Offer(*newcomer, sponsor);
      }
      return;
    case Policy::Kind::kChoice:
      if (sponsors_[sponsor].held || Contended(sponsor)) return;
      while (ChooseTicket(sponsor)) {
      }
      return;
    case Policy::Kind::kBatch: return;
  }
}

bool Simulation::MayMeet(uint32_t newcomer, const Eligible& with) const {
  const SponsorState& sponsor = sponsors_[with.sponsor];
  if (sponsor.seats.FreeSeats() == 0) return false;
  return !BreaksARule(newcomer, with.sponsor);
}

void Simulation::TakeAnySponsor(uint32_t newcomer) {
  std::optional<uint32_t> best;
  std::tuple<double, absl::Time, uint64_t> best_key;
  for (const Eligible& one : eligible_[newcomer]) {
    const bool by_idleness = policy_.kind == Policy::Kind::kLongestIdle;
    const bool by_load = policy_.kind == Policy::Kind::kLeastLoaded;
    const matching::Availability& seats = sponsors_[one.sponsor].seats;
    const std::tuple key(by_load ? static_cast<double>(seats.TakenSeats()) / seats.capacity : 0.0,
                         by_idleness ? seats.last_offer_time : absl::Time(),
                         MixOf(world_.options().seed, Draw::kAnyOrder, {newcomer, one.sponsor}));
    if (best && key >= best_key) continue;
    if (!MayMeet(newcomer, one)) continue;
    best = one.sponsor;
    best_key = key;
  }
  if (best) Offer(newcomer, *best);
}

std::optional<uint32_t> Simulation::LongestWaitingFor(uint32_t sponsor) {
  if (sponsors_[sponsor].seats.FreeSeats() == 0) return std::nullopt;
  // In the order in which they asked.
  for (const uint32_t newcomer : eligible_newcomers_[sponsor]) {
    if (newcomers_[newcomer].ticket.create_time > now_) break;
    if (!newcomers_[newcomer].open || newcomers_[newcomer].offered_to >= 0) continue;
    if (!BreaksARule(newcomer, sponsor)) return newcomer;
  }
  return std::nullopt;
}

void Simulation::ChooseSponsor(uint32_t newcomer) {
  const matching::Ticket& ticket = newcomers_[newcomer].ticket;
  const Choice choice = PoolOf(ticket.pool).FindSponsors(ticket.id, now_, kCandidates);
  if (!choice.found()) return;
  const uint32_t sponsor = sponsor_of_.at(choice.best().sponsor->member);
  if (sponsors_[sponsor].held) return;  // a window decides about the seat, and this ticket too
  Offer(newcomer, sponsor);
}

bool Simulation::ChooseTicket(uint32_t sponsor) {
  SponsorState& state = sponsors_[sponsor];
  if (state.seats.FreeSeats() == 0) return false;
  std::optional<uint32_t> best;
  int64_t best_weight = 0;
  for (PoolIndex* pool : state.pools) {
    if (pool->ticket_count() == 0) continue;
    const Choice choice = pool->FindTickets(state.seats.sponsor, now_, kCandidates);
    if (!choice.found()) continue;
    if (best && choice.best().weight_billionths <= best_weight) continue;
    best = newcomer_of_.at(choice.best().ticket->ticket);
    best_weight = choice.best().weight_billionths;
  }
  if (best) Offer(*best, sponsor);
  return best.has_value();
}

// More people could have the sponsor's seats than there are: they are held until the window closes.
bool Simulation::Contended(uint32_t sponsor) {
  SponsorState& state = sponsors_[sponsor];
  if (policy_.window == absl::ZeroDuration() || state.seats.FreeSeats() == 0) return false;
  size_t wanting = 0;
  for (PoolIndex* pool : state.pools) {
    if (pool->ticket_count() == 0) continue;
    wanting += pool->FindTickets(state.seats.sponsor, now_, matching::Chooser::kMaxCandidates)
                   .candidates.size();
  }
  if (wanting <= static_cast<size_t>(state.seats.FreeSeats())) return false;
  state.held = true;
  held_sponsors_.push_back(sponsor);
  if (!window_open_) Push(now_ + policy_.window, EventKind::kWindowCloses);
  window_open_ = true;
  return true;
}

void Simulation::CloseWindow() {
  window_open_ = false;
  matching::BatchPlanner planner(now_);
  for (const uint32_t sponsor : held_sponsors_) {
    sponsors_[sponsor].held = false;
    for (PoolIndex* pool : sponsors_[sponsor].pools) {
      planner.Add(pool->FindTickets(sponsors_[sponsor].seats.sponsor, now_,
                                    matching::Chooser::kMaxCandidates));
    }
  }
  held_sponsors_.clear();
  Follow(planner.MaximumWeight(engine_.solver, [] { return false; }));
}

void Simulation::RunBatch() {
  matching::BatchPlanner planner(now_);
  for (uint32_t i = 0; i < newcomers_.size(); ++i) {
    const NewcomerState& newcomer = newcomers_[i];
    if (newcomer.ticket.create_time > now_) break;
    if (!newcomer.open || newcomer.offered_to >= 0) continue;
    planner.Add(PoolOf(newcomer.ticket.pool)
                    .FindSponsors(newcomer.ticket.id, now_, matching::Chooser::kMaxCandidates));
  }
  Follow(planner.MaximumWeight(engine_.solver, [] { return false; }));
}

void Simulation::Follow(const matching::BatchPlan& plan) {
  for (const matching::PlannedPair& pair : plan.pairs) {
    Offer(newcomer_of_.at(pair.ticket), sponsor_of_.at(pair.sponsor));
  }
}

bool Simulation::BreaksARule(uint32_t newcomer, uint32_t sponsor) const {
  const absl::Time week = matching::UtcWeekStart(now_);
  const matching::Ticket& ticket = newcomers_[newcomer].ticket;
  const matching::TicketRecord record = matching::MakeTicketRecord(
      ticket, *world_.newcomers()[newcomer].traits, engine_.policies, week);
  matching::SponsorRecord other = matching::MakeSponsorRecord(
      *sponsors_[sponsor].traits, ticket.philosophy, engine_.policies, week);
  SetSeats(sponsors_[sponsor].seats, other);
  return engine_.rules.FirstBroken(record.newcomer, other, pairs_, now_).has_value();
}

// What the bounds count too: how well two people fit does not depend on how busy one of them is.
double Simulation::IdleScore(uint32_t newcomer, uint32_t sponsor) const {
  for (const Eligible& one : eligible_[newcomer]) {
    if (one.sponsor == sponsor) return one.score;
  }
  return 0;  // became possible only after they asked; rare, and never to a policy's favour
}

void Simulation::Offer(uint32_t newcomer, uint32_t sponsor) {
  NewcomerState& state = newcomers_[newcomer];
  SponsorState& other = sponsors_[sponsor];
  log_.broken_rules += BreaksARule(newcomer, sponsor) ? 1 : 0;
  state.offered_score = IdleScore(newcomer, sponsor);
  CountLoad(sponsor);
  ++other.seats.open_offer_count;
  other.seats.last_offer_time = now_;
  PutSeats(sponsor);
  state.offered_to = static_cast<int32_t>(sponsor);
  const int number = ++state.ticket.offer_count;
  PutTicket(newcomer, TicketState::kOffered);
  NewcomerOutcome& outcome = log_.newcomers[newcomer];
  outcome.first_offer = std::min(outcome.first_offer, now_);
  ++outcome.offers;
  state.offer = log_.offers.size();
  log_.offers.push_back({now_, absl::InfiniteFuture(), newcomer, sponsor});
  const absl::Duration delay = world_.AnswerDelay(newcomer, sponsor, number, now_);
  const absl::Duration deadline =
      engine_.policies.ResponseDeadline(state.ticket.philosophy, state.ticket.relationship_type);
  if (delay < deadline) {
    Push(now_ + delay, EventKind::kAnswers, newcomer, number);
  } else {
    Push(now_ + deadline, EventKind::kTimesOut, newcomer, number);
  }
}

}  // namespace handrail::simulator
