#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_MATCHER_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_MATCHER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/match_index.h"
#include "services/matching/domain/queue.h"
#include "services/matching/domain/seat_window.h"

namespace handrail::matching {

struct MatcherOptions {
  // How long events are collected before a round; what arrives during a round joins the next.
  absl::Duration coalesce = absl::Milliseconds(2);
  // How long an offer stays open; zero leaves it to the program's policy.
  absl::Duration response_deadline = absl::ZeroDuration();
  // Offers that are made side by side in one round.
  int batch = 64;
  // The same while Redis is down.
  int batch_without_redis = 16;
  absl::Duration pause_without_redis = absl::Milliseconds(100);
  // After Redis failed, for how long it is not asked.
  absl::Duration redis_rest = absl::Seconds(1);
  absl::Duration redis_timeout = absl::Seconds(1);
  absl::Duration ledger_timeout = absl::Seconds(10);
  // How long a ticket or sponsor rests after something went wrong with it.
  absl::Duration rest = absl::Seconds(1);
  // The same after a claim was refused and what SQL says was written to the queue: it had lost the
  // entry, or another replica is at it.
  absl::Duration claim_rest = absl::Milliseconds(100);
  absl::Duration lease = absl::Seconds(10);
  absl::Duration lease_renewal = absl::Seconds(3);
  absl::Duration event_poll = absl::Milliseconds(200);
  // Every so often a chunk of SQL is read behind the index.
  absl::Duration scrub = absl::Seconds(5);
  int scrub_chunk = 500;
  size_t inbox_limit = 200'000;
  // How long a free seat that more tickets want than there are seats waits for other seats, so that
  // they are given together by `solver`; zero: each is given at once. With a window the solver is
  // needed, and must outlive the matcher.
  absl::Duration window = absl::ZeroDuration();
  const AssignmentSolver* solver = nullptr;
  // Seats that wait at most; then the window closes at once.
  int window_limit = 64;
  // When a solution takes longer, the rest of it is greedy.
  absl::Duration window_solve_limit = absl::Milliseconds(50);
  // True for pools in which nothing is to be offered now; asked on the matcher's thread.
  std::function<bool(const PoolKey&)> is_drained;
};

struct MatcherStats {
  int64_t offers = 0;
  int64_t claims_refused = 0;
  int64_t offers_refused = 0;
  int64_t rounds = 0;
  int64_t waiting = 0;
  int64_t sponsors = 0;
  int64_t pairs = 0;  // of people between whom something stands, as far as the index knows
  bool redis_up = false;
  int64_t pools_led = 0;  // whose lease this replica holds
};

// Puts tickets before sponsors: a new ticket looks for a sponsor, a freed seat looks for a ticket.
// One thread owns the index, sends every hint to the queue, claims there and asks the ledger to
// decide. Several matchers on one ledger, in as many processes, are harmless; the lease of a pool
// only spares them each other's work.
//
// With the queue down it goes on from the index and SQL alone, at a lower rate; the marks in the
// ledger remember what the queue has to hear.
class Matcher {
 public:
  // Hears of what a round changed, on the matcher's thread; must not block.
  using Sink = std::function<void(const Effects&)>;

  // Everything must outlive the matcher.
  Matcher(Ledger& ledger, Queue& queue, MemberCache& members, const Chooser& chooser,
          const ProgramPolicies& policies, const Clock& clock, Random& random,
          const MatcherOptions& options, Sink sink);
  ~Matcher();

  void Start();
  // Gives its leases back and joins. Idempotent.
  void Stop();

  // What a step changed. Never blocks; when too much waits already it is dropped, and the sweeper
  // or the scrub finds it. Thread-safe.
  void Notify(const Effects& effects);
  // Redis may have lost what other replicas said of these pools: those that are led are read anew.
  void PoolsLost(const std::vector<PoolKey>& pools);
  // The pools of this replica, for whoever sweeps. Thread-safe.
  std::vector<PoolKey> Pools() const;
  MatcherStats Stats() const;

  // The sponsors of a pool, free or not, as the index knows them. Blocks until the matcher's thread
  // answers: DEADLINE_EXCEEDED, or UNAVAILABLE when it has stopped or too many ask.
  // Thread-safe.
  absl::StatusOr<std::vector<MemberId>> SponsorsIn(absl::Time deadline, const PoolKey& pool);

  // One round without the thread, for tests: takes what has come, and matches until nothing is left
  // to do now.
  void RunRoundForTest();

 private:
  // What somebody outside wants to know of the index; run on the matcher's thread.
  using Question = std::function<void(const MatchIndex&)>;
  struct Inbox {
    std::vector<TicketChange> tickets;
    std::vector<MemberId> sponsors;
    std::vector<Question> questions;
    std::vector<PoolKey> lost;
    bool empty() const {
      return tickets.empty() && sponsors.empty() && questions.empty() && lost.empty();
    }
  };
  // What a round decided of one match.
  struct Attempt {
    Match match;
    absl::StatusOr<Changed<Offer>> outcome = absl::UnknownError("");
  };
  struct PoolLease {
    bool mine = false;
    bool seen = false;  // asked for once already
    // When one that belongs to another replica is let go, or asked for again.
    absl::Time turn_at = absl::InfiniteFuture();
    absl::Time renew_at = absl::InfinitePast();
    std::string cursor;
    absl::Time poll_at = absl::InfinitePast();
    std::optional<PageStart> scrub_after;
    TicketId scrub_offered;
    // What went into the queue without a word since the lease was last known to be ours.
    std::vector<QueueTicket> unsaid_tickets;
    std::vector<QueueSponsor> unsaid_sponsors;
  };

  // A pool whose waiting tickets are being read.
  struct Loading {
    PoolKey pool;
    std::optional<PageStart> after;
  };

  void Loop();
  bool WaitForWork();
  void Round();
  void Absorb(Inbox inbox);
  // But for those sponsors of whom a pool was told already.
  using Told = absl::flat_hash_set<std::pair<PoolKey, MemberId>>;
  void SendHints(const std::vector<TicketChange>& tickets,
                 const std::vector<SponsorSeats>& sponsors, Announce announce,
                 const Told& told = {});
  bool MatchOnce();
  // Whether the sponsor's free seats wait for others; begins to when they should.
  using IsOurs = absl::FunctionRef<bool(const PoolKey&)>;
  bool HoldForWindow(const MemberId& sponsor, const IsOurs& is_ours, absl::Time now);
  // What the window gives when it is time, else nothing.
  std::vector<Match> CloseWindow(const IsOurs& is_ours, absl::Time now);
  std::vector<Attempt> Choose();
  std::vector<Attempt> ClaimAll(std::vector<Attempt> attempts);
  void Decide(std::vector<Attempt>& attempts);
  void Conclude(std::vector<Attempt> attempts);
  void SettleAll(const std::vector<Attempt>& attempts);
  // Reads these again and writes what SQL says into index and queue.
  void Repair(const std::vector<Attempt>& attempts);
  void RestTicket(const TicketId& ticket, absl::Duration about);

  void KeepLeases();
  // Whether other replicas need to hear of these changes. The leader of a pool is who listens:
  // while that is this replica it says nothing, and remembers what it did not say.
  Announce ToldBy(const PoolKey& pool, absl::Span<const QueueTicket> tickets,
                  absl::Span<const QueueSponsor> sponsors);
  // Does what the answer to a lease asks for. False when the queue failed meanwhile: it is to be
  // asked again.
  bool Follow(const PoolKey& pool, PoolLease& lease, LeaseAnswer answer, bool giving);
  // Reads the pool's tickets and all sponsors again, and from here on the stream.
  bool BeginToLead(const PoolKey& pool, PoolLease& lease);
  void ReadAnew(const PoolKey& pool);
  // Says what was not said to whoever leads the pool now.
  bool SayUnsaid(const PoolKey& pool, const PoolLease& lease);
  // Looks who else is there.
  void MeetReplicas(absl::Time now);
  // How long to hold the pool's lease from now on: zero gives it back, nothing leaves it alone.
  std::optional<absl::Duration> WantedHold(const PoolKey& pool, PoolLease& lease, absl::Time now);
  void PollEvents();
  void Scrub();
  // Every sponsor; the pools are then loaded in the rounds that follow.
  absl::Status LoadSponsors();
  // From the beginning, whatever was read of it before.
  void StartLoading(const PoolKey& pool);
  // A page of sponsors, while they are being read again.
  void LoadSomeSponsors();
  // Some pages of waiting tickets, longest waiting first, the pools in turn.
  void LoadSome();
  // A page of those that have an offer and may have one more. False at the end, where `after`
  // begins anew, and when they cannot be read now.
  bool LoadOffered(const PoolKey& pool, int limit, TicketId& after);
  // Looks for tickets in the next round if there is a free seat.
  void LetLook(const MemberId& id);
  bool MayMatch(const PoolKey& pool) const;

  bool QueueUp() const { return clock_.Now() >= queue_rest_until_; }
  // False when it is a failure of the queue, which then rests.
  bool QueueOk(const absl::Status& status);
  absl::Time LedgerDeadline() const { return clock_.Now() + options_.ledger_timeout; }
  absl::Time QueueDeadline() const { return clock_.Now() + options_.redis_timeout; }

  Ledger& ledger_;
  Queue& queue_;
  const ProgramPolicies& policies_;
  const Clock& clock_;
  Random& random_;
  const MatcherOptions options_;
  const Sink sink_;
  const std::string owner_;

  mutable Mutex mutex_;
  CondVar wake_;
  Inbox inbox_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  MatcherStats stats_ ABSL_GUARDED_BY(mutex_);
  std::vector<PoolKey> known_pools_ ABSL_GUARDED_BY(mutex_);

  // The matcher's thread only.
  MatchIndex index_;
  bool sponsors_loaded_ = false;
  std::deque<Loading> loading_;
  std::optional<MemberId> sponsors_after_;  // how far they have been read again
  std::deque<TicketId> tickets_to_match_;
  absl::flat_hash_set<TicketId> tickets_queued_;
  std::deque<MemberId> sponsors_to_match_;
  absl::flat_hash_set<MemberId> sponsors_queued_;
  std::multimap<absl::Time, TicketId> resting_;  // until when
  SeatWindow window_;
  std::map<PoolKey, PoolLease> leases_;
  std::vector<std::string> replicas_;
  absl::Time others_seen_at_ = absl::InfinitePast();
  absl::Time meet_at_ = absl::InfinitePast();
  absl::flat_hash_map<TicketId, int64_t> sent_tickets_;  // versions that we announced ourselves
  absl::flat_hash_map<MemberId, int64_t> sent_sponsors_;
  absl::Time queue_rest_until_ = absl::InfinitePast();
  absl::Time scrub_at_ = absl::InfinitePast();
  MemberId scrub_sponsor_;
  std::thread thread_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_MATCHER_H_
