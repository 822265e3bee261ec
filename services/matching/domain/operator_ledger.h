#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_OPERATOR_LEDGER_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_OPERATOR_LEDGER_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/call.h"
#include "common/base/ids.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/types.h"

// What operators read of the ledger, the few things that they may change, and the record of both.
//
// Every write is one atomic step with its row in the record, idempotent under the call's request
// id; a repeated one is recorded again. Errors as of Ledger. "Not there" is NOT_FOUND / NOT_FOUND.
namespace handrail::matching {

struct PoolIdTag {
  static constexpr absl::string_view kCollection = "pools";
};
// The opaque name of a pool, which says nothing of its program.
using PoolId = Id<PoolIdTag>;

// Upper ends of the bands of waiting; the last band is open.
inline constexpr std::array<int, 4> kWaitingBandHours = {1, 24, 48, 72};
inline constexpr size_t kWaitingBands = kWaitingBandHours.size() + 1;

struct PoolReport {
  PoolId id;
  PoolKey key;
  std::array<int64_t, kWaitingBands> waiting{};
  absl::Time oldest = absl::InfiniteFuture();  // InfiniteFuture when nobody waits
  int64_t open_offers = 0;
  absl::Time drained_until = absl::InfinitePast();
};

struct OpenTicketReport {
  TicketChange ticket;
  PoolId pool;
  absl::Time hint_due = absl::InfinitePast();  // InfinitePast when the hint was confirmed
};

struct OpenOfferReport {
  OfferId id;
  TicketId ticket;
  PoolId pool;
  absl::Time create_time;
  absl::Time expire_time;
};

struct SponsorReport {
  SponsorSeats seats;
  absl::Time attest_time = absl::InfinitePast();
};

// Same numbers as matching.v1.BoostReason.
enum class BoostReason : uint8_t {
  kUnspecified = 0,
  kLongWait = 1,
  kRepeatedTimeouts = 2,
  kPairingEnded = 3,
  kServiceFault = 4,
  kTakenBack = 5,
};
absl::string_view CodeOf(BoostReason reason);  // "LONG_WAIT"

// Same numbers as matching.v1.ProbationEndReason.
enum class ProbationEndReason : uint8_t {
  kUnspecified = 0,
  kVouched = 1,
  kExperienced = 2,
  kTrained = 3,
  kServiceFault = 4,
};
absl::string_view CodeOf(ProbationEndReason reason);  // "VOUCHED"

// One row of the record. Texts are ours: names of resources and methods, codes, a few fixed words.
struct OperatorAction {
  int64_t sequence = 0;
  absl::Time time;
  MemberId who;
  std::string method;
  std::string subject;
  std::string request_id;
  std::string outcome;
  std::string detail;
};

// How long the record of what operators did is kept (domain.md 4.2).
inline constexpr absl::Duration kOperatorRecordKept = absl::Hours(24 * 365);

struct AuditReport {
  bool whole = true;
  int64_t last_sequence = 0;
  std::string last_seal;     // 32 bytes; empty while the record is
  int64_t first_broken = 0;  // 0 when whole
  bool known_found = true;   // the known row is there with its seal; true when none was given
};

// A row of the record as it was seen before; sequence 0 for none.
struct KnownSeal {
  int64_t sequence = 0;
  std::string seal;  // 32 bytes
};

struct PoolDrain {
  PoolKey pool;
  absl::Time until;
};

class OperatorLedger {
 public:
  virtual ~OperatorLedger() = default;

  virtual PoolId IdOf(const PoolKey& pool) const = 0;
  // NOT_FOUND for a name that this deployment did not make.
  virtual absl::StatusOr<PoolKey> KeyOf(const PoolId& pool) const = 0;

  // ---- Reads. None is recorded by itself: see Record. ----

  // Pools where somebody waits, is offered, or that are drained; in the order of their names.
  virtual absl::StatusOr<std::vector<PoolReport>> ReportPools(absl::Time deadline,
                                                              absl::Time now) = 0;
  virtual absl::StatusOr<PoolReport> ReportPool(absl::Time deadline, absl::Time now,
                                                const PoolKey& pool) = 0;
  // `state` is WAITING or OFFERED. Oldest first, after `after`.
  virtual absl::StatusOr<Page<OpenTicketReport>> ListOpenTickets(
      absl::Time deadline, const PoolKey& pool, TicketState state, int limit,
      std::optional<PageStart> after) = 0;
  virtual absl::StatusOr<Page<OpenOfferReport>> ListOpenOffers(absl::Time deadline,
                                                               const PoolKey& pool, int limit,
                                                               std::optional<PageStart> after) = 0;
  // By id.
  virtual absl::StatusOr<Page<SponsorReport>> ListSponsors(absl::Time deadline, int limit,
                                                           std::optional<PageStart> after) = 0;
  virtual absl::StatusOr<OpenTicketReport> FindOpenTicket(absl::Time deadline,
                                                          const TicketId& id) = 0;
  // Open offers of one ticket.
  virtual absl::StatusOr<int64_t> CountOpenOffers(absl::Time deadline, const TicketId& id) = 0;
  // Pools in which nothing is offered at `now`.
  virtual absl::StatusOr<std::vector<PoolDrain>> ListDrains(absl::Time deadline,
                                                            absl::Time now) = 0;

  // ---- Writes ----

  // FAILED_PRECONDITION / TICKET_NOT_OPEN unless it waits.
  virtual absl::StatusOr<Changed<OpenTicketReport>> Requeue(const Call& call, absl::Time now,
                                                            const TicketId& id) = 0;
  // `percent` of kMaxBoost, 0..100. FAILED_PRECONDITION / TICKET_NOT_OPEN when it is closed.
  virtual absl::StatusOr<Changed<OpenTicketReport>> Boost(const Call& call, absl::Time now,
                                                          const TicketId& id, int percent,
                                                          BoostReason why) = 0;
  enum class OpenOffers : uint8_t { kKeep = 0, kWithdraw = 1 };
  virtual absl::StatusOr<Changed<SponsorReport>> DrainSponsor(const Call& call, absl::Time now,
                                                              const MemberId& sponsor,
                                                              OpenOffers offers) = 0;
  // Ends the probation of a new sponsor before its time; the sponsor is told.
  // FAILED_PRECONDITION / NOT_ON_PROBATION when there is none.
  virtual absl::StatusOr<Changed<SponsorReport>> EndProbation(const Call& call, absl::Time now,
                                                              const MemberId& sponsor,
                                                              ProbationEndReason why) = 0;
  // Withdraws at most kDrainBatch open offers; the number is the value. Whoever was chosen by the
  // newcomer of a withdrawn one counts as not asked yet. From its commit on no step makes an offer
  // in the pool but a batch of an operator's.
  static constexpr int kDrainBatch = 200;
  virtual absl::StatusOr<Changed<int64_t>> DrainPool(const Call& call, absl::Time now,
                                                     const PoolKey& pool,
                                                     absl::Duration how_long) = 0;
  // Forgets the drain. Whoever watches the drains (PoolDrains) sets the pool going again.
  virtual absl::StatusOr<Effects> ResumePool(const Call& call, absl::Time now,
                                             const PoolKey& pool) = 0;

  // ---- The record ----

  // One more row, for a read that succeeded or anything that was refused.
  virtual absl::Status Record(const Call& call, absl::Time now, absl::string_view subject,
                              absl::string_view outcome, absl::string_view detail) = 0;
  // Newest first, with a sequence below `before`; of one operator, or of all.
  virtual absl::StatusOr<Page<OperatorAction>> ListActions(absl::Time deadline,
                                                           std::optional<MemberId> who, int limit,
                                                           int64_t before) = 0;
  // Reads the whole record as it is when the call begins, in parts.
  // INVALID_ARGUMENT / FIELD_INVALID when the known row is older than what is kept.
  virtual absl::StatusOr<AuditReport> VerifyActions(absl::Time deadline,
                                                    const KnownSeal& known) = 0;
  // Forgets rows from before `before`, the oldest first, at most `limit`, and never the newest;
  // what is left verifies as before. How many there were. DATA_LOSS / DATA_CORRUPT, and nothing is
  // forgotten, when one of them is not as it was written.
  virtual absl::StatusOr<int64_t> TrimActions(absl::Time deadline, absl::Time before,
                                              int limit) = 0;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_OPERATOR_LEDGER_H_
