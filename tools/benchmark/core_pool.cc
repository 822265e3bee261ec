#include "tools/benchmark/core_pool.h"

#include <time.h>

#include <algorithm>
#include <utility>

namespace handrail::benchmark {
namespace {

using matching::Availability;
using matching::Candidate;
using matching::Choice;
using matching::MemberTraits;
using matching::Ticket;
using matching::TicketState;

constexpr int kTicketsPerSponsor = 5;
constexpr int kSeats = 3;
constexpr absl::Duration kMeanWait = absl::Hours(168);

absl::Time Beginning() { return absl::FromCivil(absl::CivilDay(2026, 6, 1), absl::UTCTimeZone()); }

}  // namespace

double ThreadCpuSeconds() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

CorePool::CorePool(uint64_t seed, int tickets, const matching::ProgramPolicies& policies)
    : random_(seed),
      target_(tickets),
      step_(kMeanWait / tickets),
      now_(Beginning()),
      people_(random_, now_),
      policies_(policies),
      chooser_(matching::RuleSet{}, matching::Scorer{}),
      index_({matching::Philosophy::kTwelveStepAa, std::string(matching::PoolKey::kOnline)},
             policies_, chooser_, history_) {
  leaving_.pool = index_.key();
}

void CorePool::AddSponsors(bool taken) {
  const int count = target_ / kTicketsPerSponsor;
  for (int i = 0; i < count; ++i) {
    auto traits = std::make_shared<const MemberTraits>(people_.Sponsor(static_cast<uint32_t>(i)));
    Availability seats;
    seats.sponsor = traits->member;
    seats.capacity = kSeats;
    seats.accepting = true;
    seats.pairing_count = taken ? kSeats : static_cast<int>(random_.Below(kSeats));
    seats.last_offer_time = now_ - absl::Minutes(static_cast<int64_t>(random_.Below(100'000)));
    seats.responsiveness = random_.Unit();
    seats.version = 1;
    index_.PutMember(traits, now_);
    index_.PutSeats(seats);
    seats_.push_back(std::move(seats));
  }
}

Ticket CorePool::NewTicket(uint32_t number, const MemberId& newcomer, absl::Time created) {
  Ticket ticket;
  ticket.id = people_.TicketIdOf(number);
  ticket.newcomer = newcomer;
  ticket.relationship_type = matching::RelationshipType::kSponsor;
  ticket.philosophy = index_.key().philosophy;
  ticket.pool = index_.key();
  ticket.create_time = created;
  return ticket;
}

// Those who wait at the beginning have come one after the other.
void CorePool::AddTickets() {
  for (int i = 0; i < target_; ++i) {
    auto traits = std::make_shared<const MemberTraits>(people_.Newcomer(next_ticket_));
    const Ticket ticket = NewTicket(next_ticket_++, traits->member, now_ - (target_ - i) * step_);
    index_.PutTicket(ticket, traits, now_);
    by_age_.emplace_back(ticket.create_time, ticket.id);
    waits_.push_back(true);
  }
}

void CorePool::Prepare(int turns) {
  while (comers_.size() < static_cast<size_t>(turns)) {
    auto traits = std::make_shared<const MemberTraits>(people_.Newcomer(next_ticket_));
    comers_.push_back({NewTicket(next_ticket_++, traits->member, now_), traits});
    waits_.push_back(false);
  }
}

template <typename Find>
Choice CorePool::Timed(Find find, CoreCost& cost) {
  ++cost.decisions;
  if (!keep_latencies_) return find();
  const double before = ThreadCpuSeconds();
  Choice choice = find();
  latencies_.push_back((ThreadCpuSeconds() - before) * 1e3);
  return choice;
}

void CorePool::Leave(const TicketId& ticket, TicketState state) {
  leaving_.id = ticket;
  leaving_.state = state;
  leaving_.version = 2;
  waits_[NumberOf(ticket)] = false;
  index_.PutTicket(leaving_, nullptr, now_);
}

void CorePool::Pair(const Candidate& candidate, CoreCost& cost) {
  explained_ += index_.Explain(candidate, now_).score;
  Availability& seats = seats_[NumberOf(candidate.sponsor->member)];
  ++seats.pairing_count;
  ++seats.version;
  seats.last_offer_time = now_;
  Leave(candidate.ticket->ticket, TicketState::kPaired);
  index_.PutSeats(seats);
  ++cost.paired;
}

void CorePool::FreeSeat(CoreCost& cost) {
  // Somebody's pairing ends; who has nobody is passed over.
  Availability* seats = &seats_[random_.Below(seats_.size())];
  while (seats->pairing_count == 0) seats = &seats_[random_.Below(seats_.size())];
  --seats->pairing_count;
  ++seats->version;
  index_.PutSeats(*seats);
  const Choice choice = Timed([&] { return index_.FindTickets(seats->sponsor, now_, 2); }, cost);
  if (choice.found()) Pair(choice.best(), cost);
}

void CorePool::Come(CoreCost& cost) {
  Comer comer = std::move(comers_.front());
  comers_.pop_front();
  comer.ticket.create_time = now_;
  index_.PutTicket(comer.ticket, comer.traits, now_);
  by_age_.emplace_back(now_, comer.ticket.id);
  waits_[NumberOf(comer.ticket.id)] = true;
  const Choice choice = Timed([&] { return index_.FindSponsors(comer.ticket.id, now_, 1); }, cost);
  if (choice.found()) Pair(choice.best(), cost);
}

void CorePool::Expire() {
  while (!by_age_.empty() && by_age_.front().first + matching::kTicketLifetime < now_) {
    const TicketId ticket = by_age_.front().second;
    by_age_.pop_front();
    if (waits_[NumberOf(ticket)]) Leave(ticket, TicketState::kExpired);
  }
}

void CorePool::Turn(CoreCost& cost) {
  now_ += step_;
  Expire();
  FreeSeat(cost);
  while (!comers_.empty() && waiting() < static_cast<size_t>(target_)) Come(cost);
}

bool CorePool::Look() {
  CoreCost cost;
  Comer comer = std::move(comers_.front());
  comers_.pop_front();
  index_.PutTicket(comer.ticket, comer.traits, now_);
  const bool found =
      Timed([&] { return index_.FindSponsors(comer.ticket.id, now_, 1); }, cost).found();
  Leave(comer.ticket.id, TicketState::kCancelled);
  return found;
}

double CorePool::BytesBeside() const {
  return static_cast<double>(seats_.capacity() * sizeof(Availability) +
                             by_age_.size() * sizeof(by_age_.front()) + waits_.capacity() / 8);
}

std::vector<double> CorePool::TakeLatencies() { return std::exchange(latencies_, {}); }

}  // namespace handrail::benchmark
