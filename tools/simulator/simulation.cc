#include "tools/simulator/simulation.h"

#include <algorithm>

#include "services/matching/domain/responsiveness.h"
#include "tools/simulator/draws.h"
#include "tools/simulator/play.h"

namespace handrail::simulator {

using matching::PoolIndex;
using matching::PoolKey;
using matching::TicketState;

Simulation::Simulation(const World& world, const std::vector<std::vector<Eligible>>& eligible,
                       const Policy& policy, const Engine& engine)
    : world_(world),
      eligible_(eligible),
      policy_(policy),
      engine_(engine),
      chooser_(engine.rules, engine.scorer, policy.choice),
      newcomers_(world.newcomers().size()),
      sponsors_(world.sponsors().size()),
      eligible_newcomers_(world.sponsors().size()),
      now_(world.start()) {
  log_.newcomers.resize(newcomers_.size());
  log_.sponsors.resize(sponsors_.size());
  for (uint32_t i = 0; i < newcomers_.size(); ++i) {
    newcomers_[i].ticket = world.newcomers()[i].ticket;
    newcomer_of_[newcomers_[i].ticket.id] = i;
    Push(newcomers_[i].ticket.create_time, EventKind::kAsks, i);
    for (const Eligible& one : eligible[i]) eligible_newcomers_[one.sponsor].push_back(i);
  }
  for (uint32_t i = 0; i < sponsors_.size(); ++i) {
    const Sponsor& sponsor = world.sponsors()[i];
    SponsorState& state = sponsors_[i];
    state.traits = sponsor.traits;
    state.counted_until = now_;
    state.seats.sponsor = sponsor.traits->member;
    state.seats.capacity = sponsor.capacity;
    state.seats.accepting = true;
    state.seats.pairing_count = static_cast<int>(sponsor.first_ends.size());
    sponsor_of_[sponsor.traits->member] = i;
    for (const PoolKey& key : matching::PoolsForSponsor(*sponsor.traits->sponsor)) {
      state.pools.push_back(&PoolOf(key));
      state.pools.back()->PutMember(state.traits, now_);
    }
    PutSeats(i);
    for (const absl::Time end : sponsor.first_ends) Push(end, EventKind::kSeatEnds, i);
    const double part = UnitOf(MixOf(world.options().seed, Draw::kAnyOrder, {i}));
    Push(now_ + part * engine.practice.attests_every, EventKind::kAttests, i);
  }
  if (policy.kind == Policy::Kind::kBatch) Push(now_ + policy.window, EventKind::kBatch);
}

PoolIndex& Simulation::PoolOf(const PoolKey& key) {
  std::unique_ptr<PoolIndex>& pool = pools_[key];
  if (pool == nullptr) pool = std::make_unique<PoolIndex>(key, engine_.policies, chooser_, pairs_);
  return *pool;
}

Log Simulation::Run() {
  while (!events_.empty() && events_.top().time <= world_.end()) {
    const Event event = events_.top();
    events_.pop();
    now_ = event.time;
    Handle(event);
  }
  now_ = world_.end();
  for (uint32_t i = 0; i < sponsors_.size(); ++i) {
    CountLoad(i);
    log_.sponsors[i].free_at_end =
        std::max(0, sponsors_[i].seats.capacity - sponsors_[i].seats.TakenSeats());
  }
  return std::move(log_);
}

void Simulation::Handle(const Event& event) {
  switch (event.kind) {
    case EventKind::kSeatEnds:
      CountLoad(event.a);
      --sponsors_[event.a].seats.pairing_count;
      PutSeats(event.a);
      return LookForTickets(event.a);
    case EventKind::kReturns: return Return(event.a);
    case EventKind::kAttests: return Attest(event.a);
    case EventKind::kAnswers: return Answer(event.a, event.b);
    case EventKind::kTimesOut: return TimeOut(event.a, event.b);
    case EventKind::kGivesUp: return Leave(event.a, NewcomerOutcome::End::kGaveUp);
    case EventKind::kExpires: return Leave(event.a, NewcomerOutcome::End::kExpired);
    case EventKind::kAsks: return Ask(event.a);
    case EventKind::kLooks:
      if (newcomers_[event.a].open && newcomers_[event.a].offered_to < 0) LookForSponsor(event.a);
      return;
    case EventKind::kWindowCloses: return CloseWindow();
    case EventKind::kBatch:
      RunBatch();
      if (now_ + policy_.window <= world_.end()) Push(now_ + policy_.window, EventKind::kBatch);
      return;
  }
}

void Simulation::Ask(uint32_t newcomer) {
  newcomers_[newcomer].open = true;
  PutTicket(newcomer, TicketState::kWaiting);
  Push(world_.newcomers()[newcomer].give_up, EventKind::kGivesUp, newcomer);
  Push(newcomers_[newcomer].ticket.expire_time, EventKind::kExpires, newcomer);
  LookForSponsor(newcomer);
}

void Simulation::Leave(uint32_t newcomer, NewcomerOutcome::End end) {
  NewcomerState& state = newcomers_[newcomer];
  if (!state.open) return;
  state.open = false;
  log_.newcomers[newcomer].end = end;
  log_.newcomers[newcomer].end_time = now_;
  const int32_t sponsor = state.offered_to;
  if (sponsor >= 0) EndOffer(newcomer, absl::ZeroDuration());
  PutTicket(newcomer, end == NewcomerOutcome::End::kExpired ? TicketState::kExpired
                                                            : TicketState::kCancelled);
  if (sponsor >= 0) LookForTickets(static_cast<uint32_t>(sponsor));
}

void Simulation::EndOffer(uint32_t newcomer, absl::Duration cooldown) {
  NewcomerState& state = newcomers_[newcomer];
  const auto sponsor = static_cast<uint32_t>(state.offered_to);
  CountLoad(sponsor);
  --sponsors_[sponsor].seats.open_offer_count;
  PutSeats(sponsor);
  state.offered_to = -1;
  log_.offers[state.offer].end = now_;
  if (cooldown == absl::ZeroDuration()) return;
  pairs_.CoolDown(state.ticket.newcomer, sponsors_[sponsor].seats.sponsor, now_ + cooldown);
  Push(now_ + cooldown + absl::Seconds(1), EventKind::kLooks, newcomer);
}

void Simulation::Answer(uint32_t newcomer, int number) {
  NewcomerState& state = newcomers_[newcomer];
  if (!state.open || state.offered_to < 0 || state.ticket.offer_count != number) return;
  const auto sponsor = static_cast<uint32_t>(state.offered_to);
  sponsors_[sponsor].missed = 0;
  double& responsiveness = sponsors_[sponsor].seats.responsiveness;
  responsiveness = matching::AfterAnswer(responsiveness, now_ - log_.offers[state.offer].time);
  if (!world_.WouldAccept(newcomer, sponsor)) {
    EndOffer(newcomer, engine_.practice.decline_cooldown);
    PutTicket(newcomer, TicketState::kWaiting);
    LookForSponsor(newcomer);
    return LookForTickets(sponsor);
  }
  NewcomerOutcome& outcome = log_.newcomers[newcomer];
  outcome.end = NewcomerOutcome::End::kPaired;
  outcome.end_time = now_;
  outcome.sponsor = state.offered_to;
  outcome.score = state.offered_score;
  log_.offers[state.offer].end = now_;
  state.open = false;
  CountLoad(sponsor);
  --sponsors_[sponsor].seats.open_offer_count;
  ++sponsors_[sponsor].seats.pairing_count;
  PutSeats(sponsor);
  PutTicket(newcomer, TicketState::kPaired);
  const int count = log_.sponsors[sponsor].pairings++;
  Push(now_ + world_.Hold(sponsor, count), EventKind::kSeatEnds, sponsor);
}

void Simulation::TimeOut(uint32_t newcomer, int number) {
  NewcomerState& state = newcomers_[newcomer];
  if (!state.open || state.offered_to < 0 || state.ticket.offer_count != number) return;
  const auto sponsor = static_cast<uint32_t>(state.offered_to);
  double& responsiveness = sponsors_[sponsor].seats.responsiveness;
  responsiveness = matching::AfterSilence(responsiveness);
  EndOffer(newcomer, engine_.practice.timeout_cooldown);
  if (++sponsors_[sponsor].missed >= engine_.practice.missed_until_pause) Pause(sponsor);
  PutTicket(newcomer, TicketState::kWaiting);
  LookForSponsor(newcomer);
  LookForTickets(sponsor);
}

bool Simulation::IsAway(uint32_t sponsor) const { return BackAt(sponsor) > now_; }

absl::Time Simulation::BackAt(uint32_t sponsor) const {
  for (const Sponsor::Away& away : world_.sponsors()[sponsor].away) {
    if (away.from <= now_ && now_ < away.until) return away.until;
  }
  return now_;
}

void Simulation::Pause(uint32_t sponsor) {
  CountLoad(sponsor);
  sponsors_[sponsor].paused = true;
  sponsors_[sponsor].seats.accepting = false;
  PutSeats(sponsor);
  Push(std::max(BackAt(sponsor), now_ + engine_.practice.pause_at_least), EventKind::kReturns,
       sponsor);
}

void Simulation::Return(uint32_t sponsor) {
  if (IsAway(sponsor)) return Push(BackAt(sponsor), EventKind::kReturns, sponsor);
  CountLoad(sponsor);
  sponsors_[sponsor].paused = false;
  sponsors_[sponsor].missed = 0;
  sponsors_[sponsor].seats.accepting = true;
  PutSeats(sponsor);
  LookForTickets(sponsor);
}

void Simulation::Attest(uint32_t sponsor) {
  if (IsAway(sponsor)) return Push(BackAt(sponsor), EventKind::kAttests, sponsor);
  SponsorState& state = sponsors_[sponsor];
  auto traits = std::make_shared<matching::MemberTraits>(*state.traits);
  traits->sponsor->attest_time = now_;
  ++traits->version;
  state.traits = std::move(traits);
  for (PoolIndex* pool : state.pools) pool->PutMember(state.traits, now_);
  Push(now_ + engine_.practice.attests_every, EventKind::kAttests, sponsor);
  LookForTickets(sponsor);
}

void Simulation::PutTicket(uint32_t newcomer, TicketState state) {
  matching::Ticket& ticket = newcomers_[newcomer].ticket;
  ticket.state = state;
  ++ticket.version;
  PoolOf(ticket.pool).PutTicket(ticket, world_.newcomers()[newcomer].traits, now_);
}

void Simulation::PutSeats(uint32_t sponsor) {
  SponsorState& state = sponsors_[sponsor];
  ++state.seats.version;
  for (PoolIndex* pool : state.pools) pool->PutSeats(state.seats);
}

void Simulation::CountLoad(uint32_t sponsor) {
  SponsorState& state = sponsors_[sponsor];
  const absl::Time until = std::min(now_, world_.arrivals_end());
  const absl::Time from = std::max(state.counted_until, world_.half());
  const double hours = std::max(0.0, absl::ToDoubleHours(until - from));
  state.counted_until = std::max(state.counted_until, until);
  if (state.paused) return;
  SponsorOutcome& outcome = log_.sponsors[sponsor];
  outcome.hours += hours;
  outcome.load_seat_hours += hours * state.seats.TakenSeats();
  outcome.open_seat_hours += hours * state.seats.capacity;
}

Log Simulate(const World& world, const std::vector<std::vector<Eligible>>& eligible,
             const Policy& policy, const Engine& engine) {
  return Simulation(world, eligible, policy, engine).Run();
}

}  // namespace handrail::simulator
