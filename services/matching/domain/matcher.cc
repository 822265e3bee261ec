#include "services/matching/domain/matcher.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"

// The rounds: what is chosen, claimed, decided and concluded. What feeds them is in
// matcher_feeds.cc.
namespace handrail::matching {
namespace {

constexpr size_t kQuestionLimit = 1000;

}  // namespace

Matcher::Matcher(Ledger& ledger, Queue& queue, MemberCache& members, const Chooser& chooser,
                 const ProgramPolicies& policies, const Clock& clock, Random& random,
                 const MatcherOptions& options, Sink sink)
    : ledger_(ledger),
      queue_(queue),
      policies_(policies),
      clock_(clock),
      random_(random),
      options_(options),
      sink_(std::move(sink)),
      owner_(absl::StrCat(absl::Hex(random.Next64(), absl::kZeroPad16))),
      index_(ledger, members, chooser, policies),
      window_(options.solver == nullptr ? absl::ZeroDuration() : options.window,
              static_cast<size_t>(options.window_limit)) {}

Matcher::~Matcher() { Stop(); }

void Matcher::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Matcher::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.SignalAll();
  if (thread_.joinable()) thread_.join();
}

void Matcher::Notify(const Effects& effects) {
  if (effects.tickets.empty() && effects.sponsors.empty()) return;
  {
    MutexLock lock(mutex_);
    if (inbox_.tickets.size() + inbox_.sponsors.size() >= options_.inbox_limit) return;
    inbox_.tickets.insert(inbox_.tickets.end(), effects.tickets.begin(), effects.tickets.end());
    inbox_.sponsors.insert(inbox_.sponsors.end(), effects.sponsors.begin(), effects.sponsors.end());
  }
  wake_.Signal();
}

void Matcher::PoolsLost(const std::vector<PoolKey>& pools) {
  {
    MutexLock lock(mutex_);
    for (const PoolKey& pool : pools) {
      if (absl::c_find(inbox_.lost, pool) == inbox_.lost.end()) inbox_.lost.push_back(pool);
    }
  }
  wake_.Signal();
}

std::vector<PoolKey> Matcher::Pools() const {
  MutexLock lock(mutex_);
  return known_pools_;
}

absl::StatusOr<std::vector<MemberId>> Matcher::SponsorsIn(absl::Time deadline,
                                                          const PoolKey& pool) {
  struct Answer {
    Mutex mutex;
    CondVar given;
    std::optional<std::vector<MemberId>> ids ABSL_GUARDED_BY(mutex);
  };
  const auto answer = std::make_shared<Answer>();
  {
    MutexLock lock(mutex_);
    if (stopping_ || inbox_.questions.size() >= kQuestionLimit) {
      return Error(absl::StatusCode::kUnavailable, reason::kOverloaded)
          .Message("the index cannot be asked now")
          .RetryAfter(absl::Seconds(1));
    }
    inbox_.questions.push_back([answer, pool](const MatchIndex& index) {
      MutexLock answered(answer->mutex);
      answer->ids = index.SponsorsIn(pool);
      answer->given.SignalAll();
    });
  }
  wake_.Signal();
  MutexLock lock(answer->mutex);
  while (!answer->ids.has_value()) {
    const absl::Duration left = deadline - clock_.Now();
    if (left <= absl::ZeroDuration() || !answer->given.WaitFor(answer->mutex, left)) break;
  }
  if (answer->ids.has_value()) return *std::move(answer->ids);
  return Error(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded)
      .Message("the index did not answer in time");
}

MatcherStats Matcher::Stats() const {
  MutexLock lock(mutex_);
  return stats_;
}

bool Matcher::WaitForWork() {
  const bool busy = !tickets_to_match_.empty() || !sponsors_to_match_.empty() ||
                    !loading_.empty() || sponsors_after_.has_value();
  const absl::Time give_up = clock_.Now() + options_.event_poll / 2;
  MutexLock lock(mutex_);
  if (busy) {
    // Without Redis the rate is bounded by the pause between rounds.
    if (!QueueUp() && !stopping_) wake_.WaitFor(mutex_, options_.pause_without_redis);
    return !stopping_;
  }
  while (inbox_.empty() && !stopping_) {
    if (!wake_.WaitFor(mutex_, options_.event_poll / 2) || clock_.Now() >= give_up) break;
  }
  if (!inbox_.empty() && !stopping_ && options_.coalesce > absl::ZeroDuration()) {
    wake_.WaitFor(mutex_, options_.coalesce);
  }
  return !stopping_;
}

void Matcher::Loop() {
  while (WaitForWork()) Round();
  if (!QueueUp()) return;
  queue_.Replicas(QueueDeadline(), clock_.Now(), owner_, absl::ZeroDuration()).IgnoreError();
  for (const auto& [pool, lease] : leases_) {
    if (!lease.mine) continue;
    const auto answer = queue_.Lease(QueueDeadline(), pool, owner_, absl::ZeroDuration());
    if (answer.ok() && *answer == LeaseAnswer::kNotYours) SayUnsaid(pool, lease);
  }
}

void Matcher::RunRoundForTest() {
  Round();
  while (!tickets_to_match_.empty() || !sponsors_to_match_.empty() || !loading_.empty() ||
         sponsors_after_.has_value()) {
    Round();
  }
}

void Matcher::Round() {
  if (!sponsors_loaded_) {
    if (const absl::Status status = LoadSponsors(); !status.ok()) {
      Log(Severity::kWarning, "index_not_loaded", {{LogField::kReason, ReasonOf(status)}});
      MutexLock lock(mutex_);
      if (!stopping_) wake_.WaitFor(mutex_, absl::Milliseconds(500));
      return;
    }
    sponsors_loaded_ = true;
  }
  LoadSomeSponsors();
  LoadSome();
  KeepLeases();
  PollEvents();
  Scrub();
  Inbox inbox;
  {
    MutexLock lock(mutex_);
    std::swap(inbox, inbox_);
  }
  for (const Question& question : inbox.questions) question(index_);
  for (const PoolKey& pool : inbox.lost) ReadAnew(pool);
  Absorb(std::move(inbox));
  while (!resting_.empty() && resting_.begin()->first <= clock_.Now()) {
    const TicketId id = resting_.begin()->second;
    resting_.erase(resting_.begin());
    if (tickets_queued_.insert(id).second) tickets_to_match_.push_back(id);
  }
  MatchOnce();
  MutexLock lock(mutex_);
  ++stats_.rounds;
  stats_.waiting = static_cast<int64_t>(index_.TicketCount());
  stats_.sponsors = static_cast<int64_t>(index_.SponsorCount());
  stats_.pairs = static_cast<int64_t>(index_.PairCount());
  stats_.redis_up = QueueUp();
  stats_.pools_led = std::count_if(leases_.begin(), leases_.end(),
                                   [](const auto& entry) { return entry.second.mine; });
  known_pools_ = index_.Pools();
}

bool Matcher::QueueOk(const absl::Status& status) {
  if (status.ok()) return true;
  if (QueueUp()) {
    Log(Severity::kWarning, "queue_failed",
        {{LogField::kComponent, "matcher"}, {LogField::kReason, ReasonOf(status)}});
  }
  queue_rest_until_ = clock_.Now() + options_.redis_rest;
  return false;
}

bool Matcher::MayMatch(const PoolKey& pool) const {
  if (options_.is_drained && options_.is_drained(pool)) return false;
  if (!QueueUp()) return true;  // two matchers at once are harmless, none is not
  const auto lease = leases_.find(pool);
  return lease != leases_.end() && lease->second.mine;
}

std::vector<Matcher::Attempt> Matcher::Choose() {
  const absl::Time now = clock_.Now();
  const size_t limit =
      static_cast<size_t>(QueueUp() ? options_.batch : options_.batch_without_redis);
  std::vector<Attempt> attempts;
  MatchIndex::Taken taken;
  absl::flat_hash_set<TicketId> busy;
  const auto add = [&](Match match) {
    ++taken[match.sponsor];
    busy.insert(match.ticket.ticket);
    attempts.push_back({std::move(match)});
  };
  const auto is_ours = [this](const PoolKey& pool) { return MayMatch(pool); };
  for (Match& match : CloseWindow(is_ours, now)) add(std::move(match));
  std::vector<TicketId> again;
  size_t looked_at = 0;
  while (!tickets_to_match_.empty() && attempts.size() < limit && looked_at++ < 4 * limit) {
    const TicketId id = tickets_to_match_.front();
    tickets_to_match_.pop_front();
    tickets_queued_.erase(id);
    const std::optional<TicketChange> ticket = index_.FindTicket(id);
    if (!ticket.has_value() || !MayMatch(ticket->pool) || busy.contains(id)) continue;
    const bool waits = policies_.Of(ticket->relationship_type).parallel_offers == 1;
    if (auto match = index_.FindForTicket(id, taken, now); match.has_value()) {
      if (waits && window_.Holds(match->sponsor)) continue;  // the window will see to it
      add(*std::move(match));
    } else if (!taken.empty()) {
      again.push_back(id);  // its sponsors may only be busy with this round
    }
  }
  std::vector<MemberId> sponsors_again;
  while (!sponsors_to_match_.empty() && attempts.size() < limit) {
    const MemberId id = sponsors_to_match_.front();
    if (!taken.contains(id) && HoldForWindow(id, is_ours, now)) {
      sponsors_to_match_.pop_front();
      sponsors_queued_.erase(id);
      continue;
    }
    if (auto match = index_.FindForSponsor(id, taken, busy, now, is_ours); match.has_value()) {
      add(*std::move(match));
      continue;  // the next free seat of the same sponsor
    }
    sponsors_to_match_.pop_front();
    sponsors_queued_.erase(id);
    const auto used = taken.find(id);
    const int wanted = used == taken.end() ? 0 : used->second;
    // Its best tickets may only be busy with this round.
    if (!busy.empty() && index_.FreeSeats(id) > wanted) sponsors_again.push_back(id);
  }
  // Once more, but not for ever: without an attempt there is nothing to wait for.
  for (const TicketId& id : again) {
    if (attempts.empty()) break;
    if (tickets_queued_.insert(id).second) tickets_to_match_.push_back(id);
  }
  for (const MemberId& id : sponsors_again) {
    if (attempts.empty()) break;
    if (sponsors_queued_.insert(id).second) sponsors_to_match_.push_back(id);
  }
  return attempts;
}

std::vector<Matcher::Attempt> Matcher::ClaimAll(std::vector<Attempt> attempts) {
  if (!QueueUp()) return attempts;
  std::map<PoolKey, std::vector<size_t>> by_pool;
  for (size_t i = 0; i < attempts.size(); ++i) by_pool[attempts[i].match.pool].push_back(i);
  std::vector<Attempt> claimed;
  std::vector<Attempt> refused;
  for (const auto& [pool, places] : by_pool) {
    std::vector<Claim> claims;
    for (const size_t i : places) {
      const Match& match = attempts[i].match;
      claims.push_back(
          {match.ticket.ticket, match.ticket.version, match.sponsor, match.sponsor_version});
    }
    const auto results = queue_.TakeClaims(QueueDeadline(), pool, clock_.Now(), claims);
    const bool up = QueueOk(results.status());
    for (size_t k = 0; k < places.size(); ++k) {
      Attempt& attempt = attempts[places[k]];
      // While Redis is down SQL decides alone.
      const bool taken = !up || (*results)[k] == ClaimResult::kClaimed;
      (taken ? claimed : refused).push_back(std::move(attempt));
    }
  }
  if (!refused.empty()) {
    {
      MutexLock lock(mutex_);
      stats_.claims_refused += static_cast<int64_t>(refused.size());
    }
    Repair(refused);
    for (const Attempt& attempt : refused) {
      RestTicket(attempt.match.ticket.ticket, options_.claim_rest);
    }
  }
  return claimed;
}

void Matcher::Decide(std::vector<Attempt>& attempts) {
  const absl::Time now = clock_.Now();
  std::vector<Proposal> proposals;
  proposals.reserve(attempts.size());
  for (const Attempt& attempt : attempts) {
    const Match& match = attempt.match;
    Proposal proposal;
    proposal.offer = OfferId::Random(random_);
    proposal.ticket = match.ticket.ticket;
    proposal.ticket_version = match.ticket.version;
    proposal.newcomer = match.ticket.newcomer;
    proposal.newcomer_version = match.newcomer_version;
    proposal.sponsor = match.sponsor;
    proposal.sponsor_version = match.sponsor_member_version;
    proposal.expire_time = now + (options_.response_deadline > absl::ZeroDuration()
                                      ? options_.response_deadline
                                      : policies_.ResponseDeadline(match.pool.philosophy,
                                                                   match.ticket.relationship_type));
    proposal.parallel_limit = policies_.Of(match.ticket.relationship_type).parallel_offers;
    proposal.explanation = match.explanation;
    proposals.push_back(std::move(proposal));
  }
  auto outcomes = ledger_.MakeOffers(LedgerDeadline(), now, proposals);
  for (size_t i = 0; i < attempts.size(); ++i) attempts[i].outcome = std::move(outcomes[i]);
}

bool Matcher::MatchOnce() {
  std::vector<Attempt> attempts = Choose();
  if (attempts.empty()) return false;
  attempts = ClaimAll(std::move(attempts));
  if (attempts.empty()) return true;
  Decide(attempts);
  Conclude(std::move(attempts));
  return true;
}

void Matcher::Conclude(std::vector<Attempt> attempts) {
  const absl::Time now = clock_.Now();
  std::vector<TicketChange> tickets;
  std::vector<MemberId> sponsors;
  std::vector<Attempt> refused;
  std::vector<Attempt> made;
  Effects all;
  for (Attempt& attempt : attempts) {
    if (!attempt.outcome.ok()) {
      refused.push_back(std::move(attempt));
      continue;
    }
    Effects& effects = attempt.outcome->effects;
    tickets.insert(tickets.end(), effects.tickets.begin(), effects.tickets.end());
    sponsors.push_back(attempt.match.sponsor);
    all.Append(effects);
    made.push_back(std::move(attempt));
  }
  if (!made.empty()) {
    // A failure here leaves the index behind, and the next attempt is refused and repaired.
    index_.PutTickets(LedgerDeadline(), now, tickets).IgnoreError();
    index_.RefreshSponsors(LedgerDeadline(), now, sponsors, nullptr).IgnoreError();
    SettleAll(made);
    if (sink_) sink_(all);
    // Where offers run in parallel the ticket looks on, for somebody else.
    for (const Attempt& attempt : made) {
      const Offer& offer = attempt.outcome->value;
      if (policies_.Of(offer.relationship_type).parallel_offers == 1) continue;
      index_.PutOffered(attempt.outcome->effects.tickets.front(), offer.sponsor, offer.expire_time);
    }
    for (const TicketChange& ticket : tickets) {
      if (ticket.HasRoomForOffer() && tickets_queued_.insert(ticket.ticket).second) {
        tickets_to_match_.push_back(ticket.ticket);
      }
    }
  }
  if (!refused.empty()) {
    Repair(refused);
    for (const Attempt& attempt : refused) {
      const absl::Status status = attempt.outcome.status();
      if (HasReason(status, reason::kRelationshipNotOffered)) {
        index_.Rest(attempt.match.ticket.newcomer, attempt.match.sponsor, now + absl::Minutes(1));
        // The seat is still free, for others.
        LetLook(attempt.match.sponsor);
      }
      RestTicket(attempt.match.ticket.ticket, options_.rest);
    }
  }
  MutexLock lock(mutex_);
  stats_.offers += static_cast<int64_t>(made.size());
  stats_.offers_refused += static_cast<int64_t>(refused.size());
}

void Matcher::RestTicket(const TicketId& ticket, absl::Duration about) {
  // A refused pair is not tried again at once, so that a stale head cannot keep a core busy; jitter
  // keeps two matchers from meeting again.
  const absl::Duration rest = about * (0.5 + random_.Unit());
  resting_.emplace(clock_.Now() + rest, ticket);
}

void Matcher::Repair(const std::vector<Attempt>& attempts) {
  const absl::Time now = clock_.Now();
  std::vector<TicketId> ticket_ids;
  std::vector<MemberId> sponsor_ids;
  std::vector<MemberId> newcomers;
  for (const Attempt& attempt : attempts) {
    ticket_ids.push_back(attempt.match.ticket.ticket);
    sponsor_ids.push_back(attempt.match.sponsor);
    newcomers.push_back(attempt.match.ticket.newcomer);
  }
  std::vector<TicketChange> tickets;
  std::vector<SponsorSeats> sponsors;
  absl::Status status = index_.RefreshMembers(LedgerDeadline(), now, newcomers);
  if (status.ok()) status = index_.RefreshTickets(LedgerDeadline(), now, ticket_ids, &tickets);
  if (status.ok()) status = index_.RefreshSponsors(LedgerDeadline(), now, sponsor_ids, &sponsors);
  if (!status.ok() || !QueueUp()) return;  // the claims expire, and the sweeper reads SQL
  absl::flat_hash_map<TicketId, const TicketChange*> ticket_of;
  absl::flat_hash_map<MemberId, const SponsorSeats*> sponsor_of;
  for (const TicketChange& ticket : tickets) ticket_of[ticket.ticket] = &ticket;
  for (const SponsorSeats& sponsor : sponsors) sponsor_of[sponsor.availability.sponsor] = &sponsor;
  std::map<PoolKey, std::vector<Settlement>> by_pool;
  for (const Attempt& attempt : attempts) {
    const auto ticket = ticket_of.find(attempt.match.ticket.ticket);
    const auto sponsor = sponsor_of.find(attempt.match.sponsor);
    if (ticket == ticket_of.end() || sponsor == sponsor_of.end()) continue;
    by_pool[attempt.match.pool].push_back(
        {QueueTicketOf(*ticket->second), QueueSponsorOf(*sponsor->second)});
  }
  for (const auto& [pool, settlements] : by_pool) {
    if (!QueueOk(queue_.Settle(QueueDeadline(), pool, settlements, Announce::kNo))) return;
  }
}

}  // namespace handrail::matching
