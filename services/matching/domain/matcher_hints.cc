#include <map>
#include <utility>
#include <vector>

#include "services/matching/domain/matcher.h"

// What the matcher writes into the queue, and what it tells other replicas of it.
namespace handrail::matching {
namespace {

constexpr size_t kSentLimit = 100'000;

// Changes of a pool that its leader remembers at most between two renewals of the lease; beyond, it
// says them aloud.
constexpr size_t kUnsaidLimit = 20'000;

template <typename Id>
void Remember(absl::flat_hash_map<Id, int64_t>& sent, const Id& id, int64_t version) {
  if (sent.size() >= kSentLimit) sent.clear();  // at worst a change of ours is read once more
  sent[id] = version;
}

}  // namespace

void Matcher::SettleAll(const std::vector<Attempt>& attempts) {
  std::vector<std::pair<TicketId, int64_t>> ticket_marks;
  if (!QueueUp()) return;  // the marks stay, and the sweeper sends them
  struct Settled {
    std::vector<Settlement> both;
    std::vector<QueueTicket> tickets;
    std::vector<QueueSponsor> sponsors;
  };
  std::map<PoolKey, Settled> by_pool;
  std::vector<SponsorSeats> seats;
  Told told;
  for (const Attempt& attempt : attempts) {
    const SponsorSeats* sponsor = index_.FindSponsor(attempt.match.sponsor);
    if (sponsor == nullptr || attempt.outcome->effects.tickets.empty()) continue;
    const TicketChange& ticket = attempt.outcome->effects.tickets.front();
    Settled& settled = by_pool[attempt.match.pool];
    settled.tickets.push_back(QueueTicketOf(ticket));
    settled.sponsors.push_back(QueueSponsorOf(*sponsor));
    settled.both.push_back({settled.tickets.back(), settled.sponsors.back()});
    if (told.emplace(attempt.match.pool, attempt.match.sponsor).second) seats.push_back(*sponsor);
    Remember(sent_tickets_, ticket.ticket, ticket.version);
    Remember(sent_sponsors_, attempt.match.sponsor, sponsor->availability.version);
    ticket_marks.emplace_back(ticket.ticket, ticket.version);
  }
  for (const auto& [pool, settled] : by_pool) {
    const Announce announce = ToldBy(pool, settled.tickets, settled.sponsors);
    if (!QueueOk(queue_.Settle(QueueDeadline(), pool, settled.both, announce))) return;
  }
  ledger_.ClearMarks(LedgerDeadline(), std::move(ticket_marks), {});
  SendHints({}, seats, Announce::kNo, told);  // the other pools of these sponsors
}

void Matcher::SendHints(const std::vector<TicketChange>& tickets,
                        const std::vector<SponsorSeats>& sponsors, Announce announce,
                        const Told& told) {
  if (!QueueUp()) return;
  std::map<PoolKey, std::vector<QueueTicket>> tickets_by_pool;
  std::map<PoolKey, std::vector<QueueSponsor>> sponsors_by_pool;
  std::vector<std::pair<TicketId, int64_t>> ticket_marks;
  std::vector<std::pair<MemberId, int64_t>> sponsor_marks;
  for (const TicketChange& ticket : tickets) {
    tickets_by_pool[ticket.pool].push_back(QueueTicketOf(ticket));
    ticket_marks.emplace_back(ticket.ticket, ticket.version);
    Remember(sent_tickets_, ticket.ticket, ticket.version);
  }
  for (const SponsorSeats& sponsor : sponsors) {
    const MemberId& id = sponsor.availability.sponsor;
    for (const PoolKey& pool : index_.PoolsOf(id)) {
      if (!told.contains({pool, id})) sponsors_by_pool[pool].push_back(QueueSponsorOf(sponsor));
    }
    sponsor_marks.emplace_back(id, sponsor.availability.version);
    Remember(sent_sponsors_, id, sponsor.availability.version);
  }
  for (const auto& [pool, entries] : tickets_by_pool) {
    const Announce say = announce == Announce::kYes ? ToldBy(pool, entries, {}) : announce;
    if (!QueueOk(queue_.PutTickets(QueueDeadline(), pool, entries, say))) return;
  }
  for (const auto& [pool, entries] : sponsors_by_pool) {
    const Announce say = announce == Announce::kYes ? ToldBy(pool, {}, entries) : announce;
    if (!QueueOk(queue_.PutSponsors(QueueDeadline(), pool, entries, say))) return;
  }
  ledger_.ClearMarks(LedgerDeadline(), std::move(ticket_marks), std::move(sponsor_marks));
}

Announce Matcher::ToldBy(const PoolKey& pool, absl::Span<const QueueTicket> tickets,
                         absl::Span<const QueueSponsor> sponsors) {
  const auto found = leases_.find(pool);
  if (found == leases_.end() || !found->second.mine) return Announce::kYes;
  PoolLease& lease = found->second;
  const size_t unsaid = lease.unsaid_tickets.size() + lease.unsaid_sponsors.size();
  if (unsaid + tickets.size() + sponsors.size() > kUnsaidLimit) return Announce::kYes;
  lease.unsaid_tickets.insert(lease.unsaid_tickets.end(), tickets.begin(), tickets.end());
  lease.unsaid_sponsors.insert(lease.unsaid_sponsors.end(), sponsors.begin(), sponsors.end());
  return Announce::kNo;
}

bool Matcher::SayUnsaid(const PoolKey& pool, const PoolLease& lease) {
  // An entry as old as the one in the queue is written and told again, an older one is not.
  return QueueOk(queue_.PutTickets(QueueDeadline(), pool, lease.unsaid_tickets, Announce::kYes)) &&
         QueueOk(queue_.PutSponsors(QueueDeadline(), pool, lease.unsaid_sponsors, Announce::kYes));
}

}  // namespace handrail::matching
