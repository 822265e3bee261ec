#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_QUEUE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_QUEUE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/types.h"

// The queues of a pool in Redis: who waits and who has a free seat. An index that may be lost:
// every entry can be written again from the ledger, and nothing here decides anything. Holds ids,
// scores, seats and versions, and no trait.
//
// All calls block until every command of the batch is answered or `deadline` has passed.
// UNAVAILABLE / REDIS_UNAVAILABLE or DEADLINE_EXCEEDED when Redis does not answer: any part may
// have been applied.
namespace handrail::matching {

// What SQL says of one ticket. An entry older than the one that the queue holds is ignored.
struct QueueTicket {
  TicketId ticket;
  int64_t version = 0;
  bool waiting = false;  // one more offer may be made for it
  int64_t score = 0;     // milliseconds: the lower, the earlier
};
QueueTicket QueueTicketOf(const TicketChange& ticket);
QueueTicket QueueTicketOf(const WaitingTicket& ticket);

// The version of a sponsor of whom the ledger knows nothing: no seat, and whatever comes is newer.
inline constexpr int64_t kNotInLedger = -1;

struct QueueSponsor {
  MemberId sponsor;
  int64_t version = 0;
  int free_seats = 0;
  int64_t score = 0;  // the lower, the less load and the longer idle
};
QueueSponsor QueueSponsorOf(const SponsorSeats& sponsor);

// A ticket and a seat, reserved for each other until a deadline. Versions as the caller knows them.
struct Claim {
  TicketId ticket;
  int64_t ticket_version = 0;
  MemberId sponsor;
  int64_t sponsor_version = 0;
};
enum class ClaimResult : uint8_t {
  kClaimed = 0,
  kNoTicket = 1,     // it is not queued: claimed by another, gone, or not there yet
  kNoSeat = 2,       // no free seat is queued
  kStaleTicket = 3,  // the queue knows a newer version
  kStaleSponsor = 4,
};
struct Settlement {
  QueueTicket ticket;
  QueueSponsor sponsor;
};

// What a lease was and is.
enum class LeaseAnswer : uint8_t {
  kNotYours = 0,
  kKept = 1,   // it was the owner's already
  kTaken = 2,  // it was nobody's: between this and the last time others may have held it
};

// Whether other replicas are to hear of it through the pool's stream.
enum class Announce : uint8_t { kNo = 0, kYes = 1 };

// What changed in a pool since a cursor: ids and versions only.
struct QueueEvents {
  std::string cursor;
  std::vector<std::pair<TicketId, int64_t>> tickets;
  std::vector<std::pair<MemberId, int64_t>> sponsors;
};

class Queue {
 public:
  static constexpr absl::Duration kClaimLifetime = absl::Seconds(5);
  static constexpr size_t kRebuildChunk = 500;

  virtual ~Queue() = default;

  virtual absl::Status PutTickets(absl::Time deadline, const PoolKey& pool,
                                  absl::Span<const QueueTicket> tickets, Announce announce) = 0;
  virtual absl::Status PutSponsors(absl::Time deadline, const PoolKey& pool,
                                   absl::Span<const QueueSponsor> sponsors, Announce announce) = 0;
  // Each claim takes its ticket and a seat of its sponsor, or nothing. One result a claim.
  virtual absl::StatusOr<std::vector<ClaimResult>> TakeClaims(absl::Time deadline,
                                                              const PoolKey& pool, absl::Time now,
                                                              absl::Span<const Claim> claims) = 0;
  // Ends claims and writes what SQL says of both. Harmless for a claim that is gone.
  virtual absl::Status Settle(absl::Time deadline, const PoolKey& pool,
                              absl::Span<const Settlement> settlements, Announce announce) = 0;
  // Claims past their deadline, oldest first; they stay until they are settled.
  virtual absl::StatusOr<std::vector<Claim>> ExpiredClaims(absl::Time deadline, const PoolKey& pool,
                                                           absl::Time now, int limit) = 0;
  // Takes or keeps the pool's lease. A zero `hold` gives it back, and tells whether it was
  // `owner`'s until then.
  virtual absl::StatusOr<LeaseAnswer> Lease(absl::Time deadline, const PoolKey& pool,
                                            const std::string& owner, absl::Duration hold) = 0;
  // Says that this replica is there for `hold` from `now`, or with a zero `hold` that it goes, and
  // gives the names of all who are there, in no order that means anything; at most 1,000. Nothing
  // may be decided by them: they spread work.
  virtual absl::StatusOr<std::vector<std::string>> Replicas(absl::Time deadline, absl::Time now,
                                                            const std::string& replica,
                                                            absl::Duration hold) = 0;
  // Waiting tickets or sponsors, kRebuildChunk of them at once, without a word in the stream.
  virtual absl::Status RebuildTickets(absl::Time deadline, const PoolKey& pool,
                                      absl::Span<const QueueTicket> tickets) = 0;
  virtual absl::Status RebuildSponsors(absl::Time deadline, const PoolKey& pool,
                                       absl::Span<const QueueSponsor> sponsors) = 0;
  // An empty cursor means the end of the stream.
  virtual absl::StatusOr<QueueEvents> ReadEvents(absl::Time deadline, const PoolKey& pool,
                                                 const std::string& cursor, int limit) = 0;
  // The mark that a pool was built, and in which run of the server, or that somebody builds it; it
  // lies among the pool's data and is lost with them. Empty when there is none.
  virtual absl::StatusOr<std::string> ReadEpoch(absl::Time deadline, const PoolKey& pool) = 0;
  // Sets the mark to `next` if it is still `expected`; false when it is not.
  virtual absl::StatusOr<bool> ReplaceEpoch(absl::Time deadline, const PoolKey& pool,
                                            const std::string& expected,
                                            const std::string& next) = 0;
  // Names, for each pool, the run of the server that holds it: another run may have lost recent
  // writes, or have loaded an old copy of its data. Never an empty name. Without those pools whose
  // server does not answer; UNAVAILABLE when none does. The servers of a cluster restart and fail
  // over one by one, and with each only its own pools are lost.
  virtual absl::StatusOr<std::map<PoolKey, std::string>> ServerRuns(
      absl::Time deadline, absl::Span<const PoolKey> pools) = 0;
  // Who is queued, in parts of some hundreds, for a look at what should not be there. An empty
  // cursor begins, an empty one in the answer ends. Whoever is queued from beginning to end is seen
  // at least once.
  struct Part {
    std::string cursor;
    std::vector<TicketId> tickets;
    std::vector<MemberId> sponsors;
  };
  virtual absl::StatusOr<Part> ScanTickets(absl::Time deadline, const PoolKey& pool,
                                           const std::string& cursor) = 0;
  virtual absl::StatusOr<Part> ScanSponsors(absl::Time deadline, const PoolKey& pool,
                                            const std::string& cursor) = 0;
  // How many wait and how many sponsors have a free seat.
  struct Depth {
    int64_t waiting = 0;
    int64_t available = 0;
    int64_t claimed = 0;
  };
  virtual absl::StatusOr<Depth> ReadDepth(absl::Time deadline, const PoolKey& pool) = 0;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_QUEUE_H_
