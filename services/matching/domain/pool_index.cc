#include "services/matching/domain/pool_index.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "services/matching/domain/pool_bounds.h"
#include "services/matching/domain/pool_rows.h"

// What is put in and taken out. The searches are in pool_search.cc.
namespace handrail::matching {
namespace {

// For how many of those who left the versions are remembered, as a part of those who are here.
constexpr size_t kGoneShare = 16;

// Whether hours of a zone stand elsewhere in UTC in the second of two weeks.
bool Moves(const ZoneWeek& before, const ZoneWeek& after) {
  return !before.IsUniform() || !after.IsUniform() || before.offset_slots() != after.offset_slots();
}

}  // namespace

PoolIndex::PoolIndex(const PoolKey& key, const ProgramPolicies& policies, const Chooser& chooser,
                     const PairHistory& history)
    : key_(key),
      policies_(policies),
      chooser_(chooser),
      history_(history),
      more_time_days_(policies.Of(key.philosophy).more_time_days),
      zones_(absl::UnixEpoch()),
      sponsor_slots_(SponsorIdOf{&sponsors_}),
      free_sponsors_(
          kSponsorRows, [this](uint32_t slot) { return DescribeSponsor(slot); }, sponsor_places_),
      ticket_slots_(TicketIdOf{&tickets_}),
      newcomer_slots_(NewcomerIdOf{&tickets_}) {}

// ---- Weeks ----

void PoolIndex::EnsureWeek(absl::Time now) {
  if (now >= zones_.week_start() && now < zones_.week_start() + absl::Hours(168)) return;
  TurnWeek(UtcWeekStart(now));
}

// Keeps a person's local hours where this week's do not tell them.
void PoolIndex::KeepLocal(const PersonTraits& person, uint32_t slot,
                          absl::flat_hash_map<uint32_t, UtcWeek>& local, ZoneTable::ZoneId* zone) {
  *zone = person.availability.empty() ? ZoneTable::kNone : zones_.Find(person.time_zone);
  if (*zone == ZoneTable::kNone || zones_.Of(*zone).IsUniform()) {
    if (!local.empty()) local.erase(slot);
    return;
  }
  local[slot] = LocalHoursOf(person, zones_).local;
}

WeekHours PoolIndex::TurnHours(const WeekHours& hours, ZoneTable::ZoneId zone,
                               const ZoneTable& next, absl::flat_hash_map<uint32_t, UtcWeek>& local,
                               uint32_t slot) {
  const ZoneWeek& before = zones_.Of(zone);
  const ZoneWeek& after = next.Of(zone);
  if (!Moves(before, after)) return hours;
  const auto kept = local.find(slot);
  const UtcWeek mine = kept == local.end() ? before.ToLocal(hours.ToWeek()) : kept->second;
  if (after.IsUniform()) {
    if (kept != local.end()) local.erase(kept);
  } else {
    local[slot] = mine;
  }
  return WeekHours(after.ToUtc(mine));
}

void PoolIndex::TurnWeek(absl::Time week_start) {
  ZoneTable next = zones_.InWeek(week_start);
  for (uint32_t slot = 0; slot < tickets_.end(); ++slot) {
    TicketSlot& ticket = tickets_[slot];
    if (!Moves(zones_.Of(ticket.zone), next.Of(ticket.zone))) continue;
    // Its hours are among its rows.
    const bool shelved = ticket.shelved;
    BitShelf& shelf = ShelfOf(ticket.record.newcomer.relationship_type);
    if (shelved) shelf.Remove(slot);
    WeekHours& hours = ticket.record.newcomer.hours;
    hours = TurnHours(hours, ticket.zone, next, ticket_local_, slot);
    if (shelved) shelf.Add(slot, DescribeTicket(slot));
  }
  for (uint32_t slot = 0; slot < sponsors_.end(); ++slot) {
    SponsorSlot& sponsor = sponsors_[slot];
    if (sponsor.zone == ZoneTable::kNone) continue;
    sponsor.record.hours =
        TurnHours(sponsor.record.hours, sponsor.zone, next, sponsor_local_, slot);
  }
  // Off the shelf by the keys of the old week, back by those of the new one.
  for (uint32_t slot = 0; slot < sponsors_.end(); ++slot) {
    if (sponsors_[slot].shelved) free_sponsors_.Remove(slot);
    sponsors_[slot].shelved = false;
  }
  zones_ = std::move(next);
  // What a sponsor gives at most grows by the day, and time alone makes a sponsor fit or unfit.
  for (uint32_t slot = 0; slot < sponsors_.end(); ++slot) {
    if (sponsors_[slot].known) ShelveSponsor(slot);
  }
}

// ---- Tickets ----

bool PoolIndex::MayBeOffered(const Ticket& ticket) const {
  if (ticket.choosing) return false;
  return ticket.state == TicketState::kWaiting ||
         (ticket.state == TicketState::kOffered &&
          std::max(1, ticket.open_offers) < policies_.Of(ticket.relationship_type).parallel_offers);
}

BitShelf& PoolIndex::ShelfOf(RelationshipType type) {
  std::unique_ptr<BitShelf>& shelf = waiting_[static_cast<size_t>(type)];
  if (shelf == nullptr) {
    shelf = std::make_unique<BitShelf>(
        kTicketRows, [this](uint32_t slot) { return DescribeTicket(slot); }, ticket_places_);
  }
  return *shelf;
}

BitShelf::Entry PoolIndex::DescribeTicket(uint32_t slot) const {
  const TicketRecord& record = tickets_[slot].record;
  return {record.enqueue_micros, RowsOf(record), CodeOf(record.newcomer)};
}

uint32_t PoolIndex::NewTicketSlot(const Ticket& ticket) {
  const uint32_t slot = tickets_.Take();
  if (ticket_places_.size() < tickets_.end()) {
    // By a quarter: doubling would leave half of it unused.
    if (ticket_places_.capacity() == ticket_places_.size()) {
      ticket_places_.reserve(ticket_places_.size() * 5 / 4 + 64);
    }
    ticket_places_.resize(tickets_.end());
  }
  TicketRecord& record = tickets_[slot].record;
  record.ticket = ticket.id;
  record.newcomer.member = ticket.newcomer;
  ticket_slots_.Insert(ticket.id, slot);
  const uint32_t first = newcomer_slots_.Find(ticket.newcomer);
  if (first == newcomer_slots_.kNone) {
    newcomer_slots_.Insert(ticket.newcomer, slot);
  } else {
    tickets_[slot].next_of_newcomer = tickets_[first].next_of_newcomer;
    tickets_[first].next_of_newcomer = slot;
  }
  return slot;
}

void PoolIndex::DropTicket(uint32_t slot) {
  TicketSlot& ticket = tickets_[slot];
  ticket.open = false;
  ShelveTicket(slot);
  gone_tickets_.Reserve(tickets_.size() / kGoneShare);
  gone_tickets_.Put(ticket.record.ticket, ticket.version);
  ticket_slots_.Erase(ticket.record.ticket);
  const MemberId& newcomer = ticket.record.newcomer.member;
  uint32_t before = newcomer_slots_.Find(newcomer);
  if (before != slot) {
    while (tickets_[before].next_of_newcomer != slot) before = tickets_[before].next_of_newcomer;
    tickets_[before].next_of_newcomer = ticket.next_of_newcomer;
  } else if (ticket.next_of_newcomer != kNoSlot) {
    newcomer_slots_.Replace(newcomer, ticket.next_of_newcomer);
  } else {
    newcomer_slots_.Erase(newcomer);
  }
  if (!ticket_local_.empty()) ticket_local_.erase(slot);
  tickets_.Free(slot);
}

void PoolIndex::SetTicketTraits(uint32_t slot, const MemberTraits& traits) {
  TicketSlot& ticket = tickets_[slot];
  ticket.traits_version = traits.version;
  ticket.known = traits.newcomer.has_value() && traits.standing != Standing::kErased;
  NewcomerRecord& held = ticket.record.newcomer;
  NewcomerRecord made;
  if (ticket.known) {
    KeepLocal(traits.newcomer->person, slot, ticket_local_, &ticket.zone);
    made = MakeNewcomerRecord(traits, key_.philosophy, held.relationship_type, policies_, zones_);
  } else {
    // Nothing is kept of whoever is gone but the id that finds the ticket.
    if (!ticket_local_.empty()) ticket_local_.erase(slot);
    ticket.zone = ZoneTable::kNone;
    made.member = held.member;
    made.relationship_type = held.relationship_type;
  }
  made.importance = held.importance;
  held = std::move(made);
}

// After a change of the ticket or of its traits; the ticket is not on its shelf, or only its being
// open has changed.
void PoolIndex::ShelveTicket(uint32_t slot) {
  TicketSlot& ticket = tickets_[slot];
  live_tickets_ -= ticket.searched ? 1 : 0;
  ticket.searched = ticket.open && ticket.known;
  live_tickets_ += ticket.searched ? 1 : 0;
  const bool belongs = ticket.searched && MayBePaired(ticket.record.newcomer, chooser_.rules());
  if (belongs == ticket.shelved) return;
  BitShelf& shelf = ShelfOf(ticket.record.newcomer.relationship_type);
  if (belongs) {
    shelf.Add(slot, DescribeTicket(slot));
  } else {
    shelf.Remove(slot);
  }
  ticket.shelved = belongs;
}

bool PoolIndex::PutTicket(const Ticket& ticket, const TraitsPtr& traits, absl::Time now) {
  EnsureWeek(now);
  uint32_t slot = ticket_slots_.Find(ticket.id);
  const bool held = slot != ticket_slots_.kNone;
  if (ticket.version <= (held ? tickets_[slot].version : gone_tickets_.VersionOf(ticket.id))) {
    return false;
  }
  // An offered ticket is likely to come back: its newcomer's traits are kept up to date.
  if (!IsOpen(ticket.state) || ticket.pool != key_) {
    if (held) {
      tickets_[slot].version = ticket.version;
      DropTicket(slot);
    } else {
      gone_tickets_.Put(ticket.id, ticket.version);
    }
    return true;
  }
  if (!held) slot = NewTicketSlot(ticket);
  TicketSlot& entry = tickets_[slot];
  if (entry.shelved) {
    ShelfOf(entry.record.newcomer.relationship_type).Remove(slot);
    entry.shelved = false;
  }
  entry.version = ticket.version;
  entry.open = MayBeOffered(ticket);
  SetTicket(ticket, policies_, entry.record);
  // The caller read the ticket and the traits at different times: the newer traits stay.
  if (traits != nullptr && (traits->version > entry.traits_version ||
                            (traits->version == entry.traits_version && !entry.known))) {
    SetTicketTraits(slot, *traits);
  }
  ShelveTicket(slot);
  return true;
}

bool PoolIndex::PutNewcomerSide(const MemberTraits& traits) {
  bool newer = false;
  for (uint32_t slot = newcomer_slots_.Find(traits.member); slot != kNoSlot;
       slot = tickets_[slot].next_of_newcomer) {
    TicketSlot& ticket = tickets_[slot];
    if (traits.version <= ticket.traits_version) continue;
    newer = true;
    if (ticket.shelved) {
      ShelfOf(ticket.record.newcomer.relationship_type).Remove(slot);
      ticket.shelved = false;
    }
    SetTicketTraits(slot, traits);
    ShelveTicket(slot);
  }
  return newer;
}

int64_t PoolIndex::NewcomerVersion(const TicketId& ticket) const {
  const uint32_t slot = ticket_slots_.Find(ticket);
  return slot == kNoSlot || !tickets_[slot].known ? 0 : tickets_[slot].traits_version;
}

// ---- Sponsors ----

BitShelf::Entry PoolIndex::DescribeSponsor(uint32_t slot) const {
  const SponsorRecord& record = sponsors_[slot].record;
  const int64_t end_of_week = Scorer::ScoreDay(zones_.week_start()) + 7;
  const Scorer& scorer = chooser_.scorer();
  const double points =
      scorer.BestOfSponsor(record, more_time_days_, end_of_week, scorer.weights().points);
  const double weight = points / 100 - chooser_.options().balance * record.balance_load;
  return {-static_cast<int64_t>(std::ceil(weight * 1e9)),
          RowsOf(record, absl::ToUnixSeconds(zones_.week_start()) + int64_t{7} * 86400),
          CodeOf(record)};
}

uint32_t PoolIndex::SponsorSlotOf(const MemberId& sponsor) {
  const uint32_t held = sponsor_slots_.Find(sponsor);
  if (held != sponsor_slots_.kNone) return held;
  const uint32_t slot = sponsors_.Take();
  if (sponsor_places_.size() < sponsors_.end()) {
    if (sponsor_places_.capacity() == sponsor_places_.size()) {
      sponsor_places_.reserve(sponsor_places_.size() * 5 / 4 + 64);
    }
    sponsor_places_.resize(sponsors_.end());
  }
  sponsors_[slot].record.member = sponsor;
  sponsors_[slot].traits_version = gone_sponsors_.VersionOf(sponsor);
  sponsor_slots_.Insert(sponsor, slot);
  return slot;
}

void PoolIndex::ShelveSponsor(uint32_t slot) {
  SponsorSlot& sponsor = sponsors_[slot];
  if (sponsor.shelved) free_sponsors_.Remove(slot);
  sponsor.shelved = sponsor.known && MayBePaired(sponsor.record, chooser_.rules(),
                                                 absl::ToUnixSeconds(zones_.week_start()));
  if (sponsor.shelved) free_sponsors_.Add(slot, DescribeSponsor(slot));
}

void PoolIndex::SetSponsorTraits(uint32_t slot, const MemberTraits& traits) {
  SponsorSlot& sponsor = sponsors_[slot];
  if (sponsor.shelved) free_sponsors_.Remove(slot);
  sponsor.shelved = false;
  live_sponsors_ += sponsor.known ? 0 : 1;
  sponsor.known = true;
  sponsor.traits_version = traits.version;
  KeepLocal(traits.sponsor->person, slot, sponsor_local_, &sponsor.zone);
  SponsorRecord made = MakeSponsorRecord(traits, key_.philosophy, policies_, zones_);
  CopySeats(sponsor.record, made);
  sponsor.record = std::move(made);
  ShelveSponsor(slot);
}

void PoolIndex::DropSponsor(uint32_t slot, int64_t traits_version) {
  SponsorSlot& sponsor = sponsors_[slot];
  if (sponsor.shelved) free_sponsors_.Remove(slot);
  live_sponsors_ -= sponsor.known ? 1 : 0;
  gone_sponsors_.Reserve(sponsors_.size() / kGoneShare);
  gone_sponsors_.Put(sponsor.record.member, traits_version);
  sponsor_slots_.Erase(sponsor.record.member);
  if (!sponsor_local_.empty()) sponsor_local_.erase(slot);
  sponsors_.Free(slot);
}

bool PoolIndex::PutSponsorSide(const MemberTraits& traits) {
  bool belongs = false;
  if (traits.sponsor && traits.standing != Standing::kErased) {
    for (const PoolKey& pool : PoolsForSponsor(*traits.sponsor)) belongs |= pool == key_;
  }
  const uint32_t held = sponsor_slots_.Find(traits.member);
  if (held == sponsor_slots_.kNone && !belongs) return false;
  const uint32_t slot = SponsorSlotOf(traits.member);
  if (traits.version <= sponsors_[slot].traits_version) return false;
  if (belongs) {
    SetSponsorTraits(slot, traits);
  } else {
    DropSponsor(slot, traits.version);
  }
  return true;
}

bool PoolIndex::PutMember(const TraitsPtr& traits, absl::Time now) {
  EnsureWeek(now);
  const bool sponsor = PutSponsorSide(*traits);
  const bool newcomer = PutNewcomerSide(*traits);
  return sponsor || newcomer;
}

bool PoolIndex::PutSeats(const Availability& seats) {
  const uint32_t slot = SponsorSlotOf(seats.sponsor);
  SponsorSlot& sponsor = sponsors_[slot];
  if (seats.version <= sponsor.seats_version) return false;
  sponsor.seats_version = seats.version;
  SetSeats(seats, sponsor.record);
  ShelveSponsor(slot);
  return true;
}

size_t PoolIndex::free_sponsor_count() const {
  size_t count = 0;
  for (uint32_t slot = 0; slot < sponsors_.end(); ++slot) {
    const SponsorRecord& record = sponsors_[slot].record;
    count += record.IsLive() && record.HasFreeSeat() ? 1 : 0;
  }
  return count;
}

size_t PoolIndex::MemoryBytes() const {
  size_t bytes = sizeof(*this) + sponsors_.MemoryBytes() + sponsor_slots_.MemoryBytes() +
                 sponsor_places_.capacity() * sizeof(uint32_t) + free_sponsors_.MemoryBytes() +
                 gone_sponsors_.MemoryBytes() + tickets_.MemoryBytes() +
                 ticket_slots_.MemoryBytes() + newcomer_slots_.MemoryBytes() +
                 ticket_places_.capacity() * sizeof(uint32_t) + gone_tickets_.MemoryBytes();
  for (const auto& shelf : waiting_) bytes += shelf == nullptr ? 0 : shelf->MemoryBytes();
  for (uint32_t slot = 0; slot < tickets_.end(); ++slot) {
    bytes += tickets_[slot].record.newcomer.hours.HeapBytes();
  }
  for (uint32_t slot = 0; slot < sponsors_.end(); ++slot) {
    bytes += sponsors_[slot].record.hours.HeapBytes();
  }
  return bytes + (sponsor_local_.capacity() + ticket_local_.capacity()) * (sizeof(UtcWeek) + 9);
}

}  // namespace handrail::matching
