#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_CARE_STORE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_CARE_STORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/call.h"
#include "services/matching/domain/care.h"
#include "services/matching/domain/ledger.h"

// The part of the ledger that is care. What is said of every step in ledger.h holds here too: each
// is atomic, idempotent under its request id, told the time, and "not yours" is "not there". The
// sweeps may run on any number of replicas at once, as often as they like: each row is moved by
// compare-and-set.
namespace handrail::matching {

class CareStore {
 public:
  virtual ~CareStore() = default;

  // ---- Notices ----

  // The caller's notices that are of use at `now`, newest first. A reminder of an offer is of use
  // only while the offer is open, a word about a wait only while the ticket waits.
  virtual absl::StatusOr<Page<Notice>> ListNotices(const Call& call, absl::Time now,
                                                   bool include_read, int limit,
                                                   std::optional<PageStart> after) = 0;
  // Marks one as read. One that was read already stays as it is.
  virtual absl::StatusOr<Changed<Notice>> MarkNoticeRead(const Call& call, absl::Time now,
                                                         const NoticeId& id) = 0;

  // ---- Check-ins ----

  // The caller's own, of one pairing, earliest first; NOT_FOUND when the pairing is not the
  // caller's.
  virtual absl::StatusOr<std::vector<CheckIn>> ListCheckIns(const Call& call,
                                                            const PairingId& pairing) = 0;
  // Answers one that is due, or answers it anew. An answer other than "going well" offers a
  // newcomer the rematch. FAILED_PRECONDITION / CHECK_IN_NOT_DUE.
  struct AnsweredCheckIn {
    CheckIn check_in;
    bool is_newcomer = false;  // the caller
    bool has_ended = false;    // the pairing
  };
  virtual absl::StatusOr<Changed<AnsweredCheckIn>> AnswerCheckIn(const Call& call, absl::Time now,
                                                                 const PairingId& pairing, int day,
                                                                 CheckInAnswer answer) = 0;

  // ---- Rematch ----

  // Opens `ticket` in place of the one that led to an ended pairing of the calling newcomer.
  // FAILED_PRECONDITION / REMATCH_NOT_AVAILABLE when it has not ended, ended too long ago, led to a
  // rematch before, or the caller is its sponsor; else the errors of Ledger::OpenTicket.
  virtual absl::StatusOr<Changed<Ticket>> OpenRematch(const Call& call, absl::Time now,
                                                      const PairingId& pairing,
                                                      const NewTicket& ticket) = 0;
  // The first answer to this request, or nothing. For a caller whom a check outside refused.
  virtual absl::StatusOr<std::optional<Ticket>> FindRematchAnswer(const Call& call) = 0;

  // ---- Probation ----

  // Ends the probation of a sponsor before its time, as an operator who vouches for them may.
  // Nothing happens when there is none.
  virtual absl::StatusOr<Effects> EndProbation(absl::Time deadline, absl::Time now,
                                               const MemberId& sponsor) = 0;

  // ---- What others waited ----

  // How long the newest `limit` pairings of this pool and kind that were made since `since` were
  // waited for.
  virtual absl::StatusOr<std::vector<absl::Duration>> RecentWaits(
      absl::Time deadline, const PoolKey& pool, RelationshipType relationship_type,
      absl::Time since, int limit) = 0;

  // ---- Sweeps: each takes at most `limit` rows ----

  // What a sweep did. It goes on when `rows` reached the limit.
  struct Swept {
    Effects effects;
    int rows = 0;
  };
  // Reminds sponsors of offers that still wait.
  virtual absl::StatusOr<Swept> RemindOffers(absl::Time deadline, absl::Time now, int limit) = 0;
  // Tells newcomers how long they have waited and that a ticket ends soon; offers or asks for a
  // temporary contact.
  virtual absl::StatusOr<Swept> CareForTickets(absl::Time deadline, absl::Time now, int limit) = 0;
  // Asks both people of a pairing how it goes.
  virtual absl::StatusOr<Swept> CareForPairings(absl::Time deadline, absl::Time now, int limit) = 0;
  // Ends probations and pauses whose time has come; reminds of attestations.
  virtual absl::StatusOr<Swept> CareForSponsors(absl::Time deadline, absl::Time now, int limit) = 0;
  // Takes out notices that are of no use any more. The number of them.
  virtual absl::StatusOr<int64_t> TrimNotices(absl::Time deadline, absl::Time now, int limit) = 0;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_CARE_STORE_H_
