#ifndef HANDRAIL_SERVICES_MATCHING_STORES_LEDGER_STEPS_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_LEDGER_STEPS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/random.h"
#include "common/storage/database.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/program_policy.h"
#include "services/matching/domain/state_machine.h"
#include "services/matching/stores/seal.h"

namespace handrail::matching {

struct LedgerOptions {
  CooldownPolicy cooldowns;
  // A sponsor who has not confirmed for longer is not offered anybody (domain.md H12).
  absl::Duration attestation_lifetime = absl::Hours(24 * 30);
  absl::Duration ticket_lifetime = kTicketLifetime;
  CarePolicy care;
};

// What every step may use.
struct LedgerContext {
  MemberVault& vault;
  const PoolNames& pools;
  Random& random;
  const ProgramPolicies& policies;
  LedgerOptions options;
  bool locks_rows;  // false where there is one writer (SQLite)
};

// The pieces that the ledger's steps are made of, inside one transaction. A fresh one is made for
// each run of a unit of work, with fresh effects.
//
// The order of locks. A step locks rows in this order and never goes back, so that no two steps
// wait for each other:
//   1 members by id  2 sponsors by id  3 tickets by id  4 offers and pairings, by compare-and-set
// A step that will touch several sponsors or tickets therefore finds out first which they are, and
// locks them all before it changes any (LockFor). What it found without a lock is read again, or
// changed by compare-and-set. Seats, exclusions and the outbox belong to a row that is locked
// already. Only a first INSERT of a row locks it out of turn: nobody else can hold that row.
class LedgerSteps {
 public:
  LedgerSteps(storage::Transaction& tx, const LedgerContext& context, absl::Time now,
              Effects& effects)
      : tx_(tx), context_(context), now_(now), effects_(effects) {}

  struct MemberRow {
    int64_t version = 0;
    Standing standing = Standing::kUnspecified;
    bool may_match = false;
    bool has_newcomer = false;
    bool has_sponsor = false;
    absl::Time attested_at;
    std::string wrapped_key;  // empty when there is none
    bool MayTakePart() const { return may_match && standing == Standing::kGood; }
  };
  // Locks it. Empty when there is no copy.
  absl::StatusOr<std::optional<MemberRow>> LockMember(const MemberId& id);
  // Both, in the order of their ids.
  struct Two {
    std::optional<MemberRow> newcomer;
    std::optional<MemberRow> sponsor;
  };
  absl::StatusOr<Two> LockTwo(const MemberId& newcomer, const MemberId& sponsor);
  // True when nothing that may change by itself forbids an offer between these two.
  absl::StatusOr<bool> MayMeet(const MemberId& newcomer, const MemberId& sponsor, const Two& rows);
  absl::StatusOr<bool> IsBlocked(const MemberId& a, const MemberId& b);
  // Either does not wish to be matched with the other.
  absl::StatusOr<bool> IsAvoided(const MemberId& a, const MemberId& b);

  absl::Status LockSponsors(std::vector<MemberId> ids);
  absl::Status LockTickets(std::vector<TicketId> ids);

  // The lowest free slot, or nothing when as many are held as `capacity`.
  absl::StatusOr<std::optional<int64_t>> FindFreeSlot(const MemberId& sponsor, int64_t capacity);
  // Raises the sponsor's version and marks the row for the index.
  absl::Status TouchSponsor(const MemberId& sponsor);
  absl::Status Exclude(const MemberId& newcomer, const MemberId& sponsor, absl::Duration how_long,
                       int64_t kind);
  // Both ways: who was the sponsor may ask as a newcomer one day, and the other one give.
  absl::Status ExcludeForEver(const MemberId& a, const MemberId& b);

  // Open offers, by the given SQL condition over `offers` with $1, at most `limit`.
  absl::StatusOr<std::vector<Offer>> OpenOffersWhere(absl::string_view condition,
                                                     const storage::Value& argument, int64_t limit);
  // Those of either to the other. With both members locked none can join them.
  absl::StatusOr<std::vector<Offer>> OpenOffersBetween(const MemberId& a, const MemberId& b);
  // Locks the sponsors and tickets of these offers, and those named beside them.
  absl::Status LockFor(const std::vector<Offer>& offers, std::vector<MemberId> sponsors = {},
                       std::vector<TicketId> tickets = {});
  // OPEN → the state that `event` gives; the seat is freed. False when the offer was not open (any
  // more). The ticket is left as it is.
  absl::StatusOr<bool> CloseOffer(const Offer& offer, OfferEvent event);
  // Closes each and lets its ticket wait again, in its old place, when no other offer is open for
  // it; a ticket whose newcomer's choice has ended passes to Handrail if that was allowed.
  absl::Status CloseAndReturn(const std::vector<Offer>& offers, OfferEvent event);
  absl::Status ReturnTicket(const TicketId& id);
  // FAILED_PRECONDITION / POOL_DRAINED while operators let nothing be offered in the pool.
  absl::Status RequireNotDrained(const PoolKey& pool);
  // The sponsor is whom the newcomer chose next, and is done with. FAILED_PRECONDITION /
  // TICKET_NOT_OPEN when somebody else is next, or nobody.
  absl::Status TakeChoice(const TicketId& id, const MemberId& sponsor);
  // Whom the newcomer chose counts as not asked yet, in the old place; for an offer that was taken
  // back for a reason that lies in neither of the two. Nothing when they chose anew meanwhile, or
  // when the choice had ended and the offer was Handrail's own. The ticket must be locked.
  absl::Status ReturnChoice(const TicketId& id, const MemberId& sponsor);
  // WAITING or OFFERED → the state that `event` gives, its open offers rescinded.
  absl::Status WithdrawTicket(const TicketId& id);

  // Ends it unless it has ended: the seat is freed, the pair excluded for the cooldown, messaging
  // told.
  absl::StatusOr<bool> EndPairing(const Pairing& pairing, EndReason reason);
  // `by`, one of the two, said that it ended for a reason which forbids a rematch, now or after it
  // had ended otherwise: they are excluded from each other for good and kept apart in calls for
  // help. Nothing of it can be seen in the pairing. Saying it twice changes nothing. Both members
  // must be locked; open offers between them are the caller's.
  absl::Status SayUnsafe(const Pairing& pairing, const MemberId& by, EndReason reason);
  absl::Status PutOutbox(const Pairing& pairing, OutboxEntry::Step step);

  // ---- Care (care_steps.cc) ----

  // Tells a member something, once for each (kind, subject, `once`). The oldest give way when there
  // are too many.
  struct NoticeText {
    NoticeKind kind = NoticeKind::kUnspecified;
    RawId subject;
    int64_t step = 0;
    int64_t once = 0;  // tells apart what may come up again for the same subject
    absl::Time due = absl::InfinitePast();
    // After that it is of no use to anybody; InfinitePast leaves it to the policy.
    absl::Time useless = absl::InfinitePast();
  };
  absl::Status Notify(const MemberId& member, const NoticeText& text);
  // One more offer passed on unanswered. Too many in a row pause the sponsor, who must be locked.
  absl::Status RecordSilence(const MemberId& sponsor);
  // An answer of any kind: offers missed before do not count any more, and the time that it took
  // counts for how soon the sponsor, who must be locked, tends to answer. An index hears of that
  // with the next change of the sponsor's seats.
  absl::Status RecordAnswer(const Offer& offer);
  // A new ticket that waits; false when one of this kind is open. `change` says all but the
  // version.
  absl::StatusOr<bool> InsertTicket(TicketChange& change);
  // When the care for a ticket that is asked for now begins.
  absl::Time FirstTicketCare(absl::Time expires) const;

  // Puts the new state of a row of `tickets` among the effects.
  absl::Status NoteTicket(const storage::Row& row);

  storage::Transaction& tx() { return tx_; }
  absl::Time now() const { return now_; }
  Effects& effects() { return effects_; }

 private:
  storage::Transaction& tx_;
  const LedgerContext& context_;
  const absl::Time now_;
  Effects& effects_;
};

// NOT_FOUND / NOT_FOUND, for what is not there and for what is not yours.
absl::Status NotFoundError();
// ALREADY_EXISTS / TICKET_ALREADY_OPEN, naming it.
absl::Status TicketAlreadyOpenError(const TicketId& open);
// FAILED_PRECONDITION with the reason of a refused step.
absl::Status RefusedError(absl::string_view reason);
// The row is not as the caller knew it: ABORTED / ETAG_MISMATCH.
absl::Status ChangedMeanwhileError();
// A row moved under a lock-free read: the unit is run again (ABORTED / DATABASE_CONFLICT).
absl::Status RunAgainError();

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_LEDGER_STEPS_H_
