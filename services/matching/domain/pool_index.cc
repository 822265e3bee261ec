#include "services/matching/domain/pool_index.h"

#include <algorithm>
#include <utility>

namespace handrail::matching {
namespace {

// Slots of what left are kept for their versions, so that a late change is still known to be old,
// until there are more of them than of the living and than this.
constexpr size_t kKeptSlots = 1024;

}  // namespace

PoolIndex::PoolIndex(const PoolKey& key, const ProgramPolicies& policies, const Chooser& chooser,
                     const PairHistory& history)
    : key_(key), policies_(policies), chooser_(chooser), history_(history) {}

int64_t PoolIndex::NewcomerVersion(const TicketId& ticket) const {
  const auto slot = ticket_slots_.find(ticket);
  if (slot == ticket_slots_.end()) return 0;
  const TraitsPtr& traits = ticket_sides_[slot->second].traits;
  return traits == nullptr ? 0 : traits->version;
}

void PoolIndex::EnsureWeek(absl::Time now) {
  const absl::Time week_start = UtcWeekStart(now);
  if (week_start == week_start_) return;
  week_start_ = week_start;
  for (size_t slot = 0; slot < sponsors_.size(); ++slot) MakeSponsor(slot);
  for (size_t slot = 0; slot < tickets_.size(); ++slot) MakeTicket(slot);
}

bool PoolIndex::Searches(const Ticket& ticket) const {
  if (ticket.pool != key_) return false;
  return ticket.state == TicketState::kWaiting ||
         (ticket.state == TicketState::kOffered &&
          policies_.Of(ticket.relationship_type).parallel_offers > 1);
}

size_t PoolIndex::SponsorSlot(const MemberId& sponsor) {
  const auto [place, added] = sponsor_slots_.try_emplace(sponsor, sponsors_.size());
  if (added) {
    sponsors_.emplace_back().member = sponsor;
    sponsor_sides_.emplace_back();
  }
  return place->second;
}

// A record without traits has no program, so that every rule of programs keeps it out.
void PoolIndex::MakeSponsor(size_t slot) {
  const SponsorSide& side = sponsor_sides_[slot];
  SponsorRecord record;
  if (side.traits != nullptr) {
    record = MakeSponsorRecord(*side.traits, key_.philosophy, policies_, week_start_);
  }
  record.member = sponsors_[slot].member;
  record.responsiveness = sponsors_[slot].responsiveness;
  SetSeats(side.seats, record);
  sponsors_[slot] = record;
}

void PoolIndex::MakeTicket(size_t slot) {
  const TicketSide& side = ticket_sides_[slot];
  TicketRecord record;
  if (side.searched) {
    record = MakeTicketRecord(side.ticket, *side.traits, policies_, week_start_);
  }
  record.ticket = side.ticket.id;
  tickets_[slot] = record;
}

// After a change of the ticket or of its traits.
void PoolIndex::UpdateTicket(size_t slot) {
  TicketSide& side = ticket_sides_[slot];
  if (side.traits != nullptr && side.traits->standing == Standing::kErased) side.traits = nullptr;
  live_tickets_ -= side.searched ? 1 : 0;
  side.searched = side.traits != nullptr && side.traits->newcomer && Searches(side.ticket);
  live_tickets_ += side.searched ? 1 : 0;
  gone_tickets_ -= side.gone ? 1 : 0;
  side.gone = !Searches(side.ticket);
  gone_tickets_ += side.gone ? 1 : 0;
  MakeTicket(slot);
}

bool PoolIndex::PutSponsorSide(const TraitsPtr& traits) {
  bool belongs = false;
  if (traits->sponsor && traits->standing != Standing::kErased) {
    for (const PoolKey& pool : PoolsForSponsor(*traits->sponsor)) belongs |= pool == key_;
  }
  if (!belongs && !sponsor_slots_.contains(traits->member)) return false;
  const size_t slot = SponsorSlot(traits->member);
  SponsorSide& side = sponsor_sides_[slot];
  if (traits->version <= side.traits_version) return false;
  side.traits_version = traits->version;
  live_sponsors_ -= side.traits != nullptr ? 1 : 0;
  side.traits = belongs ? traits : nullptr;
  live_sponsors_ += belongs ? 1 : 0;
  gone_sponsors_ -= side.gone ? 1 : 0;
  side.gone = !belongs;
  gone_sponsors_ += side.gone ? 1 : 0;
  MakeSponsor(slot);
  return true;
}

bool PoolIndex::PutNewcomerSide(const TraitsPtr& traits) {
  const auto place = newcomer_tickets_.find(traits->member);
  if (place == newcomer_tickets_.end()) return false;
  bool newer = false;
  for (const TicketId& ticket : place->second) {
    const size_t slot = ticket_slots_.at(ticket);
    TicketSide& side = ticket_sides_[slot];
    if (traits->version <= side.traits_version) continue;
    newer = true;
    side.traits_version = traits->version;
    side.traits = traits;
    UpdateTicket(slot);
  }
  return newer;
}

bool PoolIndex::PutMember(const std::shared_ptr<const MemberTraits>& traits, absl::Time now) {
  EnsureWeek(now);
  const bool sponsor = PutSponsorSide(traits);
  const bool newcomer = PutNewcomerSide(traits);
  CompactSponsors();
  return sponsor || newcomer;
}

bool PoolIndex::PutSeats(const Availability& seats) {
  const size_t slot = SponsorSlot(seats.sponsor);
  SponsorSide& side = sponsor_sides_[slot];
  if (seats.version <= side.seats.version) return false;
  side.seats = seats;
  SetSeats(seats, sponsors_[slot]);
  CompactSponsors();
  return true;
}

void PoolIndex::SetResponsiveness(const MemberId& sponsor, float responsiveness) {
  const auto place = sponsor_slots_.find(sponsor);
  if (place != sponsor_slots_.end()) sponsors_[place->second].responsiveness = responsiveness;
}

bool PoolIndex::PutTicket(const Ticket& ticket, TraitsPtr traits, absl::Time now) {
  EnsureWeek(now);
  const auto [place, added] = ticket_slots_.try_emplace(ticket.id, tickets_.size());
  if (added) {
    tickets_.emplace_back();
    ticket_sides_.emplace_back();
    newcomer_tickets_[ticket.newcomer].push_back(ticket.id);
  }
  const size_t slot = place->second;
  TicketSide& side = ticket_sides_[slot];
  if (!added && ticket.version <= side.ticket.version) return false;
  side.ticket = ticket;
  // The caller read the ticket and the traits at different times: the newer traits stay.
  if (traits != nullptr && traits->version >= side.traits_version) {
    side.traits_version = traits->version;
    side.traits = std::move(traits);
  }
  UpdateTicket(slot);
  CompactTickets();
  return true;
}

Choice PoolIndex::FindSponsors(const TicketId& ticket, absl::Time now, size_t limit) {
  EnsureWeek(now);
  const auto place = ticket_slots_.find(ticket);
  if (place == ticket_slots_.end() || !ticket_sides_[place->second].searched) return {};
  return chooser_.BestSponsorsFor(tickets_[place->second], sponsors_, history_, now, limit);
}

Choice PoolIndex::FindTickets(const MemberId& sponsor, absl::Time now, size_t limit) {
  EnsureWeek(now);
  const auto place = sponsor_slots_.find(sponsor);
  if (place == sponsor_slots_.end() || sponsor_sides_[place->second].traits == nullptr) return {};
  return chooser_.BestTicketsFor(sponsors_[place->second], tickets_, history_, now, limit);
}

Explanation PoolIndex::Explain(const Candidate& candidate, absl::Time now) const {
  return chooser_.scorer().Explain(candidate.ticket->newcomer, *candidate.sponsor, now);
}

size_t PoolIndex::free_sponsor_count() const {
  return static_cast<size_t>(std::count_if(
      sponsors_.begin(), sponsors_.end(),
      [](const SponsorRecord& sponsor) { return sponsor.IsLive() && sponsor.HasFreeSeat(); }));
}

size_t PoolIndex::MemoryBytes() const {
  return sponsors_.capacity() * sizeof(SponsorRecord) +
         sponsor_sides_.capacity() * sizeof(SponsorSide) +
         sponsor_slots_.capacity() * (sizeof(MemberId) + sizeof(size_t) + 1) +
         tickets_.capacity() * sizeof(TicketRecord) +
         ticket_sides_.capacity() * sizeof(TicketSide) +
         ticket_slots_.capacity() * (sizeof(TicketId) + sizeof(size_t) + 1) +
         newcomer_tickets_.capacity() * (sizeof(MemberId) + sizeof(std::vector<TicketId>) + 1) +
         ticket_slots_.size() * sizeof(TicketId);
}

// A sponsor whose seats are known but whose traits are not is no gone one: the traits may still
// come.
void PoolIndex::CompactSponsors() {
  if (gone_sponsors_ <= std::max(kKeptSlots, live_sponsors_)) return;
  gone_sponsors_ = 0;
  size_t kept = 0;
  for (size_t slot = 0; slot < sponsors_.size(); ++slot) {
    if (sponsor_sides_[slot].gone) {
      sponsor_slots_.erase(sponsors_[slot].member);
      continue;
    }
    sponsor_slots_[sponsors_[slot].member] = kept;
    sponsors_[kept] = sponsors_[slot];
    std::swap(sponsor_sides_[kept++], sponsor_sides_[slot]);
  }
  sponsors_.resize(kept);
  sponsor_sides_.resize(kept);
}

void PoolIndex::CompactTickets() {
  if (gone_tickets_ <= std::max(kKeptSlots, live_tickets_)) return;
  gone_tickets_ = 0;
  size_t kept = 0;
  newcomer_tickets_.clear();
  for (size_t slot = 0; slot < tickets_.size(); ++slot) {
    const Ticket& ticket = ticket_sides_[slot].ticket;
    if (ticket_sides_[slot].gone) {
      ticket_slots_.erase(ticket.id);
      continue;
    }
    ticket_slots_[ticket.id] = kept;
    newcomer_tickets_[ticket.newcomer].push_back(ticket.id);
    tickets_[kept] = tickets_[slot];
    std::swap(ticket_sides_[kept++], ticket_sides_[slot]);
  }
  tickets_.resize(kept);
  ticket_sides_.resize(kept);
}

}  // namespace handrail::matching
