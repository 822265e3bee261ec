#include "services/matching/domain/match_index.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"

namespace handrail::matching {
namespace {

constexpr size_t kCandidates = 8;

}  // namespace

PoolIndex& MatchIndex::PoolOf(const PoolKey& key) {
  std::unique_ptr<PoolIndex>& pool = pools_[key];
  if (pool == nullptr) {
    pool = std::make_unique<PoolIndex>(key, policies_, chooser_, pairs_);
    for (const auto& [id, entry] : sponsors_) {
      if (entry.traits == nullptr) continue;
      if (std::find(entry.pools.begin(), entry.pools.end(), key) == entry.pools.end()) continue;
      pool->PutMember(entry.traits, absl::UnixEpoch());
      pool->PutSeats(entry.seats.availability);
    }
  }
  return *pool;
}

absl::Status MatchIndex::LoadMembers(absl::Time deadline, absl::Span<const MemberId> ids,
                                     Members& members) {
  if (ids.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::vector<MemberTraits> loaded, ledger_.LoadMembers(deadline, ids));
  for (MemberTraits& member : loaded) {
    const MemberId id = member.member;
    members[id] = members_.Put(std::move(member));
  }
  return absl::OkStatus();
}

absl::Status MatchIndex::RefreshMembers(absl::Time deadline, absl::Time now,
                                        absl::Span<const MemberId> ids) {
  Members members;
  RETURN_IF_ERROR(LoadMembers(deadline, ids, members));
  for (const auto& [id, member] : members) {
    for (const auto& [key, pool] : pools_) pool->PutMember(member, now);
  }
  return absl::OkStatus();
}

absl::Status MatchIndex::RefreshPairs(absl::Time deadline, absl::Time now,
                                      absl::Span<const MemberId> newcomers) {
  if (newcomers.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<Ledger::PairRecord> records,
                   ledger_.LoadPairFacts(deadline, now, newcomers));
  absl::flat_hash_map<MemberId, std::vector<PairTable::Avoided>> avoided;
  for (const Ledger::PairRecord& record : records) {
    if (!record.facts.avoided && !record.facts.dual_role) continue;
    avoided[record.newcomer].push_back(
        {record.sponsor, record.facts.avoided, record.facts.dual_role});
  }
  for (const MemberId& newcomer : newcomers) {
    const auto found = avoided.find(newcomer);
    pairs_.SetAvoided(
        newcomer, found == avoided.end() ? absl::Span<const PairTable::Avoided>() : found->second);
  }
  for (const Ledger::PairRecord& record : records) {
    if (record.facts.blocked) pairs_.Block(record.newcomer, record.sponsor);
    if (record.facts.ended_for_safety) {
      PairFacts facts = pairs_.Between(record.newcomer, record.sponsor);
      facts.ended_for_safety = true;
      pairs_.Put(record.newcomer, record.sponsor, facts);
    } else if (record.facts.cooldown_until > now) {
      pairs_.CoolDown(record.newcomer, record.sponsor, record.facts.cooldown_until);
    }
  }
  return absl::OkStatus();
}

absl::Status MatchIndex::PutTickets(absl::Time deadline, absl::Time now,
                                    absl::Span<const TicketChange> tickets) {
  std::vector<MemberId> missing;
  std::vector<MemberId> newcomers;
  Members members;
  for (const TicketChange& ticket : tickets) {
    if (!IsOpen(ticket.state)) continue;
    // A ticket that has never been offered or cancelled has nobody in its history but blocks and
    // what an earlier ticket left; those are read once, when it comes.
    newcomers.push_back(ticket.newcomer);
    MemberCache::Member held = members_.Find(ticket.newcomer);
    if (held == nullptr) {
      missing.push_back(ticket.newcomer);
    } else {
      members[ticket.newcomer] = std::move(held);
    }
  }
  RETURN_IF_ERROR(LoadMembers(deadline, missing, members));
  RETURN_IF_ERROR(RefreshPairs(deadline, now, newcomers));
  for (const TicketChange& ticket : tickets) {
    if (tickets_.VersionOf(ticket.ticket) > ticket.version) continue;
    const std::optional<TicketChange> held = tickets_.Find(ticket.ticket);
    const auto over = [](const TicketChange& t) { return t.offer_count - t.open_offers; };
    if (held.has_value() && (ticket.state != TicketState::kOffered || over(ticket) > over(*held))) {
      pairs_.ForgetOffered(ticket.newcomer, ticket.ticket);
    }
    const auto read = members.find(ticket.newcomer);
    const MemberCache::Member traits =
        IsOpen(ticket.state) && read != members.end() ? read->second : nullptr;
    if (IsOpen(ticket.state) && traits == nullptr) continue;  // their copy is on its way
    PoolIndex& pool = PoolOf(ticket.pool);
    pool.PutTicket(TicketOf(ticket), traits, now);
    if (traits != nullptr) pool.PutMember(traits, now);
    if (IsOpen(ticket.state)) {
      tickets_.Put(ticket);
    } else {
      tickets_.Erase(ticket.ticket);
    }
  }
  return absl::OkStatus();
}

absl::Status MatchIndex::RefreshTickets(absl::Time deadline, absl::Time now,
                                        absl::Span<const TicketId> ids,
                                        std::vector<TicketChange>* fresh) {
  if (ids.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::vector<TicketChange> tickets, ledger_.LoadTickets(deadline, ids));
  RETURN_IF_ERROR(PutTickets(deadline, now, tickets));
  if (fresh != nullptr) {
    fresh->insert(fresh->end(), tickets.begin(), tickets.end());
  }
  return absl::OkStatus();
}

absl::Status MatchIndex::RefreshSponsors(absl::Time deadline, absl::Time now,
                                         absl::Span<const MemberId> ids,
                                         std::vector<SponsorSeats>* fresh) {
  if (ids.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<SponsorSeats> sponsors, ledger_.LoadSponsors(deadline, ids));
  RETURN_IF_ERROR(PutSponsors(deadline, now, sponsors));
  if (fresh != nullptr) fresh->insert(fresh->end(), sponsors.begin(), sponsors.end());
  return absl::OkStatus();
}

absl::Status MatchIndex::PutSponsors(absl::Time deadline, absl::Time now,
                                     absl::Span<const SponsorSeats> sponsors) {
  std::vector<MemberId> missing;
  Members members;
  for (const SponsorSeats& sponsor : sponsors) {
    const MemberId& id = sponsor.availability.sponsor;
    MemberCache::Member held = members_.Find(id);
    if (held == nullptr || held->version < sponsor.member_version) missing.push_back(id);
    if (held != nullptr) members[id] = std::move(held);
  }
  RETURN_IF_ERROR(LoadMembers(deadline, missing, members));
  for (const SponsorSeats& sponsor : sponsors) {
    const MemberId& id = sponsor.availability.sponsor;
    SponsorEntry& entry = sponsors_[id];
    const auto read = members.find(id);
    const MemberCache::Member traits = read == members.end() ? nullptr : read->second;
    if (traits != nullptr && (entry.traits == nullptr || traits->version > entry.traits->version)) {
      // Pools that the sponsor has left must hear of it too.
      for (const PoolKey& pool : entry.pools) PoolOf(pool).PutMember(traits, now);
      entry.traits = traits;
      entry.pools =
          traits->sponsor.has_value() ? PoolsForSponsor(*traits->sponsor) : std::vector<PoolKey>();
      for (const PoolKey& pool : entry.pools) PoolOf(pool).PutMember(traits, now);
      // Seats follow below, and again for pools that are new to the sponsor.
      for (const PoolKey& pool : entry.pools) PoolOf(pool).PutSeats(entry.seats.availability);
    }
    if (sponsor.availability.version >= entry.seats.availability.version) entry.seats = sponsor;
    for (const PoolKey& pool : entry.pools) PoolOf(pool).PutSeats(entry.seats.availability);
  }
  return absl::OkStatus();
}

std::optional<Match> MatchIndex::ToMatch(const PoolKey& pool, const Candidate& candidate,
                                         absl::Time now) {
  std::optional<TicketChange> ticket = tickets_.Find(candidate.ticket->ticket);
  const auto sponsor = sponsors_.find(candidate.sponsor->member);
  if (!ticket.has_value() || sponsor == sponsors_.end()) return std::nullopt;
  if (sponsor->second.traits == nullptr) return std::nullopt;
  Match match;
  match.pool = pool;
  match.ticket = *std::move(ticket);
  match.sponsor = sponsor->first;
  // Of the traits that were judged, not of the newest copy: the ledger compares it and refuses what
  // was decided from older ones.
  match.newcomer_version = PoolOf(pool).NewcomerVersion(candidate.ticket->ticket);
  match.sponsor_member_version = sponsor->second.traits->version;
  match.sponsor_version = sponsor->second.seats.availability.version;
  match.explanation = PoolOf(pool).Explain(candidate, now);
  return match;
}

std::optional<Match> MatchIndex::FindForTicket(const TicketId& ticket, const Taken& taken,
                                               absl::Time now) {
  const std::optional<TicketChange> held = tickets_.Find(ticket);
  if (!held.has_value()) return std::nullopt;
  const PoolKey& pool = held->pool;
  const Choice choice = PoolOf(pool).FindSponsors(ticket, now, kCandidates);
  for (const Candidate& candidate : choice.candidates) {
    const auto used = taken.find(candidate.sponsor->member);
    if (used != taken.end() && used->second >= FreeSeats(candidate.sponsor->member)) continue;
    return ToMatch(pool, candidate, now);
  }
  return std::nullopt;
}

std::optional<Match> MatchIndex::FindForSponsor(const MemberId& sponsor, const Taken& taken,
                                                const absl::flat_hash_set<TicketId>& busy,
                                                absl::Time now,
                                                absl::FunctionRef<bool(const PoolKey&)> is_ours) {
  const auto used = taken.find(sponsor);
  if ((used == taken.end() ? 0 : used->second) >= FreeSeats(sponsor)) return std::nullopt;
  std::optional<Candidate> best;
  PoolKey best_pool;
  for (const PoolKey& key : PoolsOf(sponsor)) {
    if (!is_ours(key)) continue;  // what we know of its tickets may be old
    PoolIndex& pool = PoolOf(key);
    if (pool.ticket_count() == 0) continue;
    const Choice choice = pool.FindTickets(sponsor, now, kCandidates);
    for (const Candidate& candidate : choice.candidates) {
      if (busy.contains(candidate.ticket->ticket)) continue;
      if (!best.has_value() || candidate.weight_billionths > best->weight_billionths) {
        best = candidate;
        best_pool = key;
      }
      break;
    }
  }
  return best.has_value() ? ToMatch(best_pool, *best, now) : std::nullopt;
}

Choice MatchIndex::AddTicketsFor(const MemberId& sponsor, absl::Time now,
                                 absl::FunctionRef<bool(const PoolKey&)> is_ours,
                                 BatchPlanner& planner) {
  Choice best;
  for (const PoolKey& key : PoolsOf(sponsor)) {
    if (!is_ours(key)) continue;
    PoolIndex& pool = PoolOf(key);
    if (pool.ticket_count() == 0) continue;
    Choice choice = pool.FindTickets(sponsor, now, Chooser::kMaxCandidates);
    planner.Add(choice);
    if (!choice.found()) continue;
    if (!best.found() || choice.best().weight_billionths > best.best().weight_billionths) {
      best = std::move(choice);
    }
  }
  return best;
}

std::optional<Match> MatchIndex::MatchOf(const TicketId& ticket, const MemberId& sponsor,
                                         absl::Time now) {
  const std::optional<TicketChange> held = tickets_.Find(ticket);
  if (!held.has_value()) return std::nullopt;
  const PoolKey& pool = held->pool;
  const Choice choice = PoolOf(pool).FindTickets(sponsor, now, Chooser::kMaxCandidates);
  for (const Candidate& candidate : choice.candidates) {
    if (candidate.ticket->ticket == ticket) return ToMatch(pool, candidate, now);
  }
  return std::nullopt;
}

const SponsorSeats* MatchIndex::FindSponsor(const MemberId& id) const {
  const auto found = sponsors_.find(id);
  return found == sponsors_.end() ? nullptr : &found->second.seats;
}

int MatchIndex::FreeSeats(const MemberId& sponsor) const {
  const SponsorSeats* seats = FindSponsor(sponsor);
  return seats == nullptr ? 0 : seats->availability.FreeSeats();
}

std::vector<PoolKey> MatchIndex::PoolsOf(const MemberId& sponsor) const {
  const auto found = sponsors_.find(sponsor);
  return found == sponsors_.end() ? std::vector<PoolKey>() : found->second.pools;
}

std::vector<MemberId> MatchIndex::SponsorsIn(const PoolKey& pool) const {
  std::vector<MemberId> ids;
  for (const auto& [id, entry] : sponsors_) {
    if (std::find(entry.pools.begin(), entry.pools.end(), pool) != entry.pools.end()) {
      ids.push_back(id);
    }
  }
  return ids;
}

std::vector<PoolKey> MatchIndex::Pools() const {
  std::vector<PoolKey> pools;
  for (const auto& [key, pool] : pools_) pools.push_back(key);
  return pools;
}

}  // namespace handrail::matching
