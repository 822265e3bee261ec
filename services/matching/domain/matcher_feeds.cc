#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/base/status.h"
#include "services/matching/domain/matcher.h"
#include "services/matching/domain/pool_share.h"

// What feeds the matcher's rounds: events of this replica, the streams of the pools, the ledger
// when a lease is won, and the slow scrub.
namespace handrail::matching {
namespace {

constexpr int kLoadChunk = 500;
// Of each round while pools are being loaded: a million tickets take many rounds, and nobody waits
// for them.
constexpr absl::Duration kLoadSlice = absl::Milliseconds(20);
constexpr absl::Duration kLoadPause = absl::Milliseconds(500);  // after a failure
constexpr int kEventsAtOnce = 500;
// Tickets that are offered side by side are few; what lies beyond is found by the scrub.
constexpr int kOfferedPages = 20;

// For so long after another replica was there it is thought to be there still.
constexpr absl::Duration kOthersRemembered = absl::Minutes(10);

}  // namespace

void Matcher::Absorb(Inbox inbox) {
  if (inbox.tickets.empty() && inbox.sponsors.empty()) return;
  const absl::Time now = clock_.Now();
  // Of several changes of one ticket the newest counts.
  absl::flat_hash_map<TicketId, size_t> newest;
  std::vector<TicketChange> tickets;
  for (TicketChange& ticket : inbox.tickets) {
    const auto [place, added] = newest.try_emplace(ticket.ticket, tickets.size());
    if (added) {
      tickets.push_back(std::move(ticket));
    } else if (ticket.version >= tickets[place->second].version) {
      tickets[place->second] = std::move(ticket);
    }
  }
  std::sort(inbox.sponsors.begin(), inbox.sponsors.end());
  inbox.sponsors.erase(std::unique(inbox.sponsors.begin(), inbox.sponsors.end()),
                       inbox.sponsors.end());
  std::vector<SponsorSeats> sponsors;
  absl::Status status = index_.PutTickets(LedgerDeadline(), now, tickets);
  if (status.ok()) {
    status = index_.RefreshSponsors(LedgerDeadline(), now, inbox.sponsors, &sponsors);
  }
  if (!status.ok()) {
    // The rows are marked in the ledger: the sweeper brings them again.
    Log(Severity::kWarning, "changes_not_read", {{LogField::kReason, ReasonOf(status)}});
    return;
  }
  SendHints(tickets, sponsors, Announce::kYes);
  for (const TicketChange& ticket : tickets) {
    if (!ticket.HasRoomForOffer()) continue;
    if (tickets_queued_.insert(ticket.ticket).second) tickets_to_match_.push_back(ticket.ticket);
  }
  for (const SponsorSeats& sponsor : sponsors) {
    LetLook(sponsor.availability.sponsor);
  }
}

absl::Status Matcher::LoadSponsors() {
  MemberId after;
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<SponsorSeats> sponsors,
                     ledger_.ScanSponsors(LedgerDeadline(), kLoadChunk, after));
    if (sponsors.empty()) break;
    RETURN_IF_ERROR(index_.PutSponsors(LedgerDeadline(), clock_.Now(), sponsors));
    for (const SponsorSeats& sponsor : sponsors) LetLook(sponsor.availability.sponsor);
    after = sponsors.back().availability.sponsor;
  }
  ASSIGN_OR_RETURN(const std::vector<PoolKey> pools, ledger_.ListWaitingPools(LedgerDeadline()));
  for (const PoolKey& pool : pools) StartLoading(pool);
  return absl::OkStatus();
}

void Matcher::LetLook(const MemberId& id) {
  if (index_.FreeSeats(id) > 0 && sponsors_queued_.insert(id).second) {
    sponsors_to_match_.push_back(id);
  }
}

void Matcher::StartLoading(const PoolKey& pool) {
  for (Loading& loading : loading_) {
    if (loading.pool != pool) continue;
    loading.after.reset();
    return;
  }
  loading_.push_back({pool, std::nullopt});
}

void Matcher::LoadSomeSponsors() {
  if (!sponsors_after_.has_value()) return;
  const auto sponsors = ledger_.ScanSponsors(LedgerDeadline(), kLoadChunk, *sponsors_after_);
  absl::Status status = sponsors.status();
  if (status.ok()) status = index_.PutSponsors(LedgerDeadline(), clock_.Now(), *sponsors);
  if (!status.ok()) {
    Log(Severity::kWarning, "index_not_loaded", {{LogField::kReason, ReasonOf(status)}});
    MutexLock lock(mutex_);
    if (!stopping_) wake_.WaitFor(mutex_, kLoadPause);
    return;  // goes on where it stopped
  }
  for (const SponsorSeats& sponsor : *sponsors) LetLook(sponsor.availability.sponsor);
  sponsors_after_.reset();
  if (!sponsors->empty()) sponsors_after_ = sponsors->back().availability.sponsor;
}

void Matcher::LoadSome() {
  const absl::Time enough = clock_.Now() + kLoadSlice;
  // The pools in turn; at least a page a round, so that there is an end.
  while (!loading_.empty()) {
    Loading loading = std::move(loading_.front());
    loading_.pop_front();
    const bool first = !loading.after.has_value();
    const auto tickets =
        ledger_.LoadWaiting(LedgerDeadline(), loading.pool, kLoadChunk, loading.after);
    absl::Status status = tickets.status();
    if (status.ok()) status = index_.PutTickets(LedgerDeadline(), clock_.Now(), *tickets);
    if (!status.ok()) {
      Log(Severity::kWarning, "index_not_loaded", {{LogField::kReason, ReasonOf(status)}});
      loading_.push_back(std::move(loading));  // goes on where it stopped
      MutexLock lock(mutex_);
      if (!stopping_) wake_.WaitFor(mutex_, kLoadPause);
      return;
    }
    const bool last = tickets->size() < static_cast<size_t>(kLoadChunk);
    TicketId offered;
    for (int page = 0; last && page < kOfferedPages; ++page) {
      if (!LoadOffered(loading.pool, kLoadChunk, offered)) break;
    }
    // Free seats look at those who wait longest at once, and at everybody in the end.
    if (first || last) {
      for (const MemberId& id : index_.SponsorsIn(loading.pool)) LetLook(id);
    }
    if (!last) {
      loading.after = PageStart{tickets->back().create_time, tickets->back().ticket};
      loading_.push_back(std::move(loading));
    }
    if (clock_.Now() >= enough) return;
  }
}

// The list may be in another part of a cluster than the pools, and only spreads work: without it
// all goes on as it was.
void Matcher::MeetReplicas(absl::Time now) {
  if (now < meet_at_) return;
  auto replicas = queue_.Replicas(QueueDeadline(), now, owner_, options_.lease);
  if (replicas.ok()) {
    replicas_ = *std::move(replicas);
    if (replicas_.size() > 1) others_seen_at_ = now;
    meet_at_ = now + options_.lease_renewal;
    return;
  }
  Log(Severity::kWarning, "replicas_not_listed",
      {{LogField::kReason, ReasonOf(replicas.status())}});
  if (replicas_.empty()) replicas_ = {owner_};
  meet_at_ = now + options_.lease;
}

// A pool belongs to the replica that ranks first for it. Whoever finds a new one takes it for now,
// so that nobody waits until the first has heard of it, and lets it go after the time of a lease;
// by then the scrub of the first has seen it. If the first does not come for it, whatever the list
// says, it is taken back for as long.
std::optional<absl::Duration> Matcher::WantedHold(const PoolKey& pool, PoolLease& lease,
                                                  absl::Time now) {
  if (LeaderOf(pool, replicas_) == owner_) {
    lease.turn_at = absl::InfiniteFuture();
    // Whoever has it still is about to let it go.
    lease.renew_at = now + (lease.mine ? options_.lease_renewal : options_.lease_renewal / 6);
    return options_.lease;
  }
  lease.renew_at = now + options_.lease_renewal;
  if (lease.turn_at == absl::InfiniteFuture()) lease.turn_at = now + options_.lease;
  const bool turn = now >= lease.turn_at;
  if (lease.mine && turn) {
    // Long enough for the first, who asks twice in this time.
    lease.turn_at = lease.renew_at = now + options_.lease_renewal / 3;
    return absl::ZeroDuration();
  }
  if (lease.mine) return options_.lease;
  if (lease.seen && !turn) return std::nullopt;
  lease.turn_at = now + options_.lease;
  return options_.lease;
}

bool Matcher::LoadOffered(const PoolKey& pool, int limit, TicketId& after) {
  const auto tickets = ledger_.LoadOfferedInParallel(LedgerDeadline(), pool, limit, after);
  if (!tickets.ok()) return false;  // the scrub comes by again
  after = tickets->empty() ? TicketId() : tickets->back().ticket;
  index_.PutTickets(LedgerDeadline(), clock_.Now(), *tickets).IgnoreError();
  return !tickets->empty();
}

void Matcher::KeepLeases() {
  if (!QueueUp()) return;
  const absl::Time now = clock_.Now();
  MeetReplicas(now);
  for (const PoolKey& pool : index_.Pools()) {
    PoolLease& lease = leases_[pool];
    if (now < lease.renew_at) continue;
    const std::optional<absl::Duration> hold = WantedHold(pool, lease, now);
    lease.seen = true;
    if (!hold.has_value()) continue;
    const auto answer = queue_.Lease(QueueDeadline(), pool, owner_, *hold);
    const bool giving = *hold == absl::ZeroDuration();
    if (!QueueOk(answer.status()) || !Follow(pool, lease, *answer, giving)) {
      lease.renew_at = absl::InfinitePast();
      return;
    }
  }
}

bool Matcher::Follow(const PoolKey& pool, PoolLease& lease, LeaseAnswer answer, bool giving) {
  // Another leads the pool, and perhaps has for a while.
  if (lease.mine && answer == LeaseAnswer::kNotYours && !SayUnsaid(pool, lease)) return false;
  lease.unsaid_tickets.clear();
  lease.unsaid_sponsors.clear();
  // Redis was emptied: another may have led in between, and what it said is gone too.
  const bool missed =
      answer == LeaseAnswer::kTaken && clock_.Now() - others_seen_at_ < kOthersRemembered;
  const bool begins = !lease.mine || missed;
  lease.mine = answer != LeaseAnswer::kNotYours && !giving;
  return !lease.mine || !begins || BeginToLead(pool, lease);
}

bool Matcher::BeginToLead(const PoolKey& pool, PoolLease& lease) {
  // What others did while the pool was theirs is in the ledger, and from here on in the stream.
  auto events = queue_.ReadEvents(QueueDeadline(), pool, "", 1);
  if (!QueueOk(events.status())) {
    lease.mine = false;
    return false;
  }
  lease.cursor = std::move(events->cursor);
  lease.poll_at = absl::InfinitePast();
  StartLoading(pool);
  sponsors_after_ = MemberId();
  return true;
}

// A primary that fell back to an older copy may have kept the lease and lost the stream's end, and
// its stream may count from an earlier hour.
void Matcher::ReadAnew(const PoolKey& pool) {
  const auto lease = leases_.find(pool);
  if (lease == leases_.end() || !lease->second.mine) return;
  if (clock_.Now() - others_seen_at_ >= kOthersRemembered) return;  // nobody else said anything
  if (!BeginToLead(pool, lease->second)) lease->second.renew_at = absl::InfinitePast();
}

void Matcher::PollEvents() {
  const absl::Time now = clock_.Now();
  std::vector<TicketId> ticket_ids;
  std::vector<MemberId> sponsor_ids;
  std::vector<std::pair<PoolLease*, std::string>> read;
  for (auto& [pool, lease] : leases_) {
    if (!lease.mine || now < lease.poll_at || !QueueUp()) continue;
    lease.poll_at = now + options_.event_poll;
    const auto events = queue_.ReadEvents(QueueDeadline(), pool, lease.cursor, kEventsAtOnce);
    if (!QueueOk(events.status())) break;
    if (events->tickets.size() + events->sponsors.size() >= kEventsAtOnce) lease.poll_at = now;
    read.emplace_back(&lease, events->cursor);
    for (const auto& [id, version] : events->tickets) {
      const auto sent = sent_tickets_.find(id);
      if (sent == sent_tickets_.end() || sent->second < version) ticket_ids.push_back(id);
    }
    for (const auto& [id, version] : events->sponsors) {
      const auto sent = sent_sponsors_.find(id);
      if (sent == sent_sponsors_.end() || sent->second < version) sponsor_ids.push_back(id);
    }
  }
  std::vector<TicketChange> tickets;
  std::vector<SponsorSeats> sponsors;
  if (!index_.RefreshTickets(LedgerDeadline(), now, ticket_ids, &tickets).ok() ||
      !index_.RefreshSponsors(LedgerDeadline(), now, sponsor_ids, &sponsors).ok()) {
    return;  // the next poll reads them again
  }
  for (auto& [lease, cursor] : read) lease->cursor = std::move(cursor);
  for (const TicketChange& ticket : tickets) {
    if (!ticket.HasRoomForOffer()) continue;
    if (tickets_queued_.insert(ticket.ticket).second) tickets_to_match_.push_back(ticket.ticket);
  }
  for (const SponsorSeats& sponsor : sponsors) {
    LetLook(sponsor.availability.sponsor);
  }
}

void Matcher::Scrub() {
  const absl::Time now = clock_.Now();
  if (now < scrub_at_) return;
  scrub_at_ = now + options_.scrub;
  const auto sponsors =
      ledger_.ScanSponsors(LedgerDeadline(), options_.scrub_chunk, scrub_sponsor_);
  if (!sponsors.ok()) return;
  if (sponsors->empty()) index_.PrunePairs(now);  // once a round
  scrub_sponsor_ = sponsors->empty() ? MemberId() : sponsors->back().availability.sponsor;
  index_.PutSponsors(LedgerDeadline(), now, *sponsors).IgnoreError();
  // Time alone makes pairs possible again: a cooldown ends, hours change. So everybody with a free
  // seat looks again, now and then.
  for (const SponsorSeats& sponsor : *sponsors) {
    LetLook(sponsor.availability.sponsor);
  }
  const auto pools = ledger_.ListWaitingPools(LedgerDeadline());
  if (!pools.ok()) return;
  for (const PoolKey& pool : *pools) {
    PoolLease& lease = leases_[pool];
    const auto tickets =
        ledger_.LoadWaiting(LedgerDeadline(), pool, options_.scrub_chunk, lease.scrub_after);
    if (!tickets.ok()) return;
    lease.scrub_after = tickets->empty()
                            ? std::nullopt
                            : std::optional<PageStart>(
                                  PageStart{tickets->back().create_time, tickets->back().ticket});
    index_.PutTickets(LedgerDeadline(), now, *tickets).IgnoreError();
    LoadOffered(pool, options_.scrub_chunk, lease.scrub_offered);
  }
}

}  // namespace handrail::matching
