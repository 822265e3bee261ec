#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_LEDGER_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_LEDGER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/call.h"
#include "common/base/ids.h"
#include "services/matching/domain/care.h"
#include "services/matching/domain/traits.h"
#include "services/matching/domain/types.h"

// The truth about tickets, offers, pairings and seats. Every method is one atomic step: its effects
// are all on disk when it returns OK, and none is otherwise.
//
// A step that takes a Call is idempotent under the call's request id: repeated, it gives its first
// answer again and no effects; the id with another request is FAILED_PRECONDITION /
// REQUEST_ID_REUSED. "Not yours" and "not there" are both NOT_FOUND / NOT_FOUND. Every step may
// also give UNAVAILABLE / DATABASE_UNAVAILABLE or OUTCOME_UNKNOWN, RESOURCE_EXHAUSTED and
// DEADLINE_EXCEEDED.
//
// What may change by itself is checked again in the deciding transaction: blocks, consents,
// standing, attestation, capacity and cooldowns (M5). Time is an argument.
//
// A step ends at its call's deadline, or at `deadline`: with DEADLINE_EXCEEDED, and then it has
// done nothing. Production code never passes one that lies infinitely far.
namespace handrail::matching {

// What the index in Redis must hear of one ticket.
struct TicketChange {
  TicketId ticket;
  MemberId newcomer;
  RelationshipType relationship_type = RelationshipType::kUnspecified;
  PoolKey pool;
  TicketState state = TicketState::kWaiting;
  absl::Time create_time;
  absl::Time expire_time;
  double boost = 0;
  Importance importance;
  bool choosing = false;   // no search puts it before anybody: the newcomer chose, or is to choose
  int chosen_left = 0;     // of those whom the newcomer chose, how many have not been asked yet
  int open_offers = 0;     // while OFFERED
  int parallel_limit = 1;  // how many may be open at once
  int offer_count = 0;
  int64_t version = 0;

  // One more offer may be made for it.
  bool HasRoomForOffer() const {
    return state == TicketState::kWaiting ||
           (state == TicketState::kOffered && open_offers < parallel_limit);
  }
};

// What it says of the ticket itself: all but how many offers may be open at once.
Ticket TicketOf(const TicketChange& change);

// What a queue is built from: as much of a waiting ticket as its entry needs.
struct WaitingTicket {
  TicketId ticket;
  absl::Time create_time;
  double boost = 0;
  int64_t version = 0;
};

// Whom to wake when one offer changed.
struct OfferChange {
  OfferId offer;
  TicketId ticket;
  MemberId newcomer;
  MemberId sponsor;
};

// Whom to wake when there is something to know.
struct NoticeChange {
  MemberId member;
  NoticeKind kind = NoticeKind::kUnspecified;
  bool is_new = true;  // false when it was read
};

// What a step changed, for hints and wake-ups. They may be lost: the rows themselves are marked.
struct Effects {
  std::vector<TicketChange> tickets;
  std::vector<MemberId> sponsors;  // whose free seats changed
  std::vector<OfferChange> offers;
  std::vector<NoticeChange> notices;
  std::vector<std::string> topics;  // further watches to wake (WatchHub)
  bool outbox = false;              // something is to be told to messaging

  bool empty() const {
    return tickets.empty() && sponsors.empty() && offers.empty() && notices.empty() &&
           topics.empty() && !outbox;
  }
  void Append(Effects other);
};

template <typename T>
struct Changed {
  T value;
  Effects effects;
};

// What was decided outside the transaction about a new ticket, and from which copy of the member.
struct NewTicket {
  TicketId id;
  RelationshipType relationship_type = RelationshipType::kUnspecified;
  PoolKey pool;
  bool choosing = false;  // the newcomer chooses
  Importance importance;
  int64_t member_version = 0;
  // After a while of waiting a temporary contact is asked for too.
  bool temporary_contact_while_waiting = false;
};

// What a sponsor says of their seats.
struct AvailabilityWish {
  int capacity = 0;  // 0..kMaxCapacity
  bool accepting = false;
  absl::Time resume_time = absl::InfiniteFuture();  // of a pause that ends by itself
};

// One ticket to be put before one sponsor, and what that was decided from.
struct Proposal {
  OfferId offer;
  TicketId ticket;
  int64_t ticket_version = 0;
  MemberId newcomer;
  int64_t newcomer_version = 0;  // of the copy of the member
  MemberId sponsor;
  int64_t sponsor_version = 0;  // of the copy of the member
  absl::Time expire_time;
  int parallel_limit = 1;  // how many offers of a ticket may be open at once
  Explanation explanation;
};

// A sponsor as the index needs them.
struct SponsorSeats {
  Availability availability;
  bool may_be_offered = false;  // standing, consents and a sponsor's side
  int64_t member_version = 0;
};

// A page of a list, newest first. `after` is the last element of the page before.
struct PageStart {
  absl::Time create_time;
  RawId id;
};
template <typename T>
struct Page {
  std::vector<T> items;
  bool more = false;
};

// One thing that messaging must hear. Of a pairing, an open comes before a close.
struct OutboxEntry {
  enum class Step : uint8_t { kOpen = 1, kClose = 2 };
  OutboxId id;
  PairingId pairing;
  Step step = Step::kOpen;
  MemberId newcomer;
  MemberId sponsor;
  int attempts = 0;
};

// How long a pair is not suggested again.
struct CooldownPolicy {
  absl::Duration after_timeout = absl::Hours(24);
  absl::Duration after_decline = absl::Hours(24 * 30);
  absl::Duration after_end = absl::Hours(24 * 90);
};

// An offer as a watch of offers looks at it first.
struct OfferVersion {
  OfferId offer;
  OfferState state = OfferState::kOpen;
  int64_t version = 0;
};
struct OfferChanges {
  std::vector<OfferVersion> all;
  std::vector<Offer> wanted;
};

class Ledger {
 public:
  virtual ~Ledger() = default;

  // ---- Tickets ----

  using TicketDone = std::function<void(absl::StatusOr<Changed<Ticket>>)>;
  // Opens a ticket. `done` runs once, on a thread that must not be blocked. ALREADY_EXISTS /
  // TICKET_ALREADY_OPEN (detail `ticket`); FAILED_PRECONDITION / CONSENT_REQUIRED,
  // MEMBER_SUSPENDED, PROFILE_INCOMPLETE; ABORTED / ETAG_MISMATCH when the member's copy has
  // another version than `ticket.member_version`: read it again and decide again.
  virtual void OpenTicket(const Call& call, absl::Time now, const NewTicket& ticket,
                          TicketDone done) = 0;
  // The first answer to this request, or nothing. For a caller whom a check outside refused.
  virtual absl::StatusOr<std::optional<Ticket>> FindOpenTicketAnswer(const Call& call) = 0;
  virtual absl::StatusOr<Ticket> GetTicket(const Call& call, const TicketId& id) = 0;
  virtual absl::StatusOr<Page<Ticket>> ListTickets(const Call& call, int limit,
                                                   std::optional<PageStart> after) = 0;
  // FAILED_PRECONDITION / TICKET_NOT_OPEN when it is paired or expired; stays when cancelled.
  virtual absl::StatusOr<Changed<Ticket>> CancelTicket(const Call& call, absl::Time now,
                                                       const TicketId& id) = 0;
  // Expires at most `limit` waiting tickets whose time has passed.
  virtual absl::StatusOr<Effects> ExpireTickets(absl::Time deadline, absl::Time now, int limit) = 0;

  // ---- Offers ----

  // Puts a ticket before a sponsor. Refused, changing nothing:
  //   ABORTED / ETAG_MISMATCH          the ticket or a member is not as the proposal knew them
  //   FAILED_PRECONDITION / POOL_FULL  the sponsor has no free seat or takes no offers
  //   FAILED_PRECONDITION / RELATIONSHIP_NOT_OFFERED  a block, a cooldown, a lapsed attestation,
  //                                    a consent or the standing forbids it
  //   FAILED_PRECONDITION / TICKET_NOT_OPEN  the ticket no longer waits
  //   FAILED_PRECONDITION / POOL_DRAINED     nothing is offered in the pool now but what an
  //                                    operator's batch wrote down within the last hour
  virtual absl::StatusOr<Changed<Offer>> MakeOffer(absl::Time deadline, absl::Time now,
                                                   const Proposal& proposal) = 0;
  // The same for a round of them, each made or refused by itself: the outcomes in their order.
  virtual std::vector<absl::StatusOr<Changed<Offer>>> MakeOffers(
      absl::Time deadline, absl::Time now, absl::Span<const Proposal> proposals) = 0;
  // FAILED_PRECONDITION / OFFER_NOT_OPEN. An offer that two members may no longer have between them
  // is not open either, whatever its row says.
  virtual absl::StatusOr<Changed<Pairing>> AcceptOffer(const Call& call, absl::Time now,
                                                       const OfferId& id) = 0;
  virtual absl::StatusOr<Changed<Offer>> DeclineOffer(const Call& call, absl::Time now,
                                                      const OfferId& id) = 0;
  // Offers past their deadline: at most `limit`.
  virtual absl::StatusOr<Effects> TimeOutOffers(absl::Time deadline, absl::Time now, int limit) = 0;
  // Withdraws one offer if it is open; its ticket keeps its place.
  virtual absl::StatusOr<Effects> RescindOffer(absl::Time deadline, absl::Time now,
                                               const OfferId& id) = 0;
  // Open offers whose sponsor has not confirmed since `attested_before`: at most `limit`.
  virtual absl::StatusOr<Effects> RescindLapsed(absl::Time deadline, absl::Time now,
                                                absl::Time attested_before, int limit) = 0;
  // PERMISSION_DENIED / SPONSOR_PROFILE_REQUIRED when the caller has no sponsor's side.
  virtual absl::StatusOr<Page<Offer>> ListOffers(const Call& call, bool include_closed, int limit,
                                                 std::optional<PageStart> after) = 0;
  // The caller's offers that are open, and the 200 newest of those that changed at or after
  // `since`; the earliest change first. `wants` says which are read whole: a watch has seen most of
  // them. It must not call the ledger. PERMISSION_DENIED as ListOffers.
  virtual absl::StatusOr<OfferChanges> ReadOfferChanges(
      const Call& call, absl::Time since, absl::FunctionRef<bool(const OfferVersion&)> wants) = 0;
  // The open offer of a ticket of the caller, if there is one: the one that ends last. While the
  // newcomer chooses for the ticket it has those reasons only that they were told of the candidate;
  // the rest of its explanation is for its sponsor alone.
  virtual absl::StatusOr<std::optional<Offer>> FindOpenOffer(const Call& call,
                                                             const TicketId& id) = 0;
  // Open offers of which the member is a part.
  virtual absl::StatusOr<std::vector<Offer>> OpenOffersOf(absl::Time deadline,
                                                          const MemberId& member) = 0;

  // ---- Sponsors ----

  virtual absl::StatusOr<Availability> GetAvailability(const Call& call) = 0;
  // Brings a paused sponsor back, or pauses one. PERMISSION_DENIED / SPONSOR_PROFILE_REQUIRED;
  // FAILED_PRECONDITION / CONSENT_REQUIRED.
  virtual absl::StatusOr<Changed<Availability>> SetAvailability(const Call& call, absl::Time now,
                                                                const AvailabilityWish& wish) = 0;
  absl::StatusOr<Changed<Availability>> SetAvailability(const Call& call, absl::Time now,
                                                        int capacity, bool accepting) {
    return SetAvailability(call, now, {capacity, accepting, absl::InfiniteFuture()});
  }

  // ---- Pairings ----

  virtual absl::StatusOr<Pairing> GetPairing(const Call& call, const PairingId& id) = 0;
  virtual absl::StatusOr<Page<Pairing>> ListPairings(const Call& call, int limit,
                                                     std::optional<PageStart> after) = 0;
  // FAILED_PRECONDITION / PAIRING_ENDED or PAIRING_STATE_INVALID, as the table of states says.
  virtual absl::StatusOr<Changed<Pairing>> ConfirmContact(const Call& call, absl::Time now,
                                                          const PairingId& id) = 0;
  virtual absl::StatusOr<Changed<Pairing>> PausePairing(const Call& call, absl::Time now,
                                                        const PairingId& id) = 0;
  virtual absl::StatusOr<Changed<Pairing>> ResumePairing(const Call& call, absl::Time now,
                                                         const PairingId& id) = 0;
  // A reason that forbids a rematch does so whenever it is said, also of a pairing that has ended;
  // the two never meet again, open offers between them are rescinded, and nothing of the pairing
  // shows it. Otherwise an ended pairing is returned as it is.
  virtual absl::StatusOr<Changed<Pairing>> EndPairing(const Call& call, absl::Time now,
                                                      const PairingId& id, EndReason reason) = 0;
  // Trials whose length has passed become active: at most `limit`. The number moved.
  virtual absl::StatusOr<int64_t> PassTrials(absl::Time deadline, absl::Time now, int limit) = 0;

  // ---- Members ----

  // Empty when there is no copy.
  virtual absl::StatusOr<std::optional<MemberTraits>> LoadMember(absl::Time deadline,
                                                                 const MemberId& id) = 0;
  // Those of `ids` of whom there is a copy, in no order.
  virtual absl::StatusOr<std::vector<MemberTraits>> LoadMembers(absl::Time deadline,
                                                                absl::Span<const MemberId> ids) = 0;
  // Replaces the copy unless a version as new is held. When the member may no longer take part,
  // their open offers are rescinded and their tickets cancelled; when they asked to be forgotten,
  // their pairings end and the key is destroyed.
  virtual absl::StatusOr<Effects> ApplyMember(absl::Time deadline, absl::Time now,
                                              const MemberTraits& member) = 0;
  // Open offers between the two are rescinded, their pairings end.
  virtual absl::StatusOr<Effects> ApplyBlock(absl::Time deadline, absl::Time now, const BlockId& id,
                                             const MemberId& blocker, const MemberId& blocked) = 0;
  // What stands at `now` between each of these newcomers and whatever sponsors. Pairs with nothing
  // between them are left out.
  struct PairRecord {
    MemberId newcomer;
    MemberId sponsor;
    PairFacts facts;
  };
  virtual absl::StatusOr<std::vector<PairRecord>> LoadPairFacts(
      absl::Time deadline, absl::Time now, absl::Span<const MemberId> newcomers) = 0;

  // ---- For the index ----

  // Pools with tickets that wait, or that are offered side by side; each once.
  virtual absl::StatusOr<std::vector<PoolKey>> ListWaitingPools(absl::Time deadline) = 0;
  // Waiting tickets of a pool, longest waiting first, after (create_time, id).
  virtual absl::StatusOr<std::vector<TicketChange>> LoadWaiting(absl::Time deadline,
                                                                const PoolKey& pool, int limit,
                                                                std::optional<PageStart> after) = 0;
  // Tickets of a pool that are OFFERED with offers side by side, by id, after `after`. Those with
  // room for one more are to be queued like waiting ones (TicketChange::HasRoomForOffer).
  virtual absl::StatusOr<std::vector<TicketChange>> LoadOfferedInParallel(
      absl::Time deadline, const PoolKey& pool, int limit, const TicketId& after) = 0;
  // The same tickets as LoadWaiting in the same order, and as little of each as can be: for whole
  // pools.
  virtual absl::StatusOr<std::vector<WaitingTicket>> ScanWaiting(
      absl::Time deadline, const PoolKey& pool, int limit, std::optional<PageStart> after) = 0;
  // Tickets by id, in whatever state; those that are not there are left out.
  virtual absl::StatusOr<std::vector<TicketChange>> LoadTickets(absl::Time deadline,
                                                                absl::Span<const TicketId> ids) = 0;
  // Sponsors who have ever set their availability, by id, after `after`.
  virtual absl::StatusOr<std::vector<SponsorSeats>> ScanSponsors(absl::Time deadline, int limit,
                                                                 const MemberId& after) = 0;
  virtual absl::StatusOr<std::vector<SponsorSeats>> LoadSponsors(
      absl::Time deadline, absl::Span<const MemberId> ids) = 0;
  // Rows whose hint became due before `before` and was never confirmed.
  struct Marks {
    std::vector<TicketChange> tickets;
    std::vector<MemberId> sponsors;
  };
  virtual absl::StatusOr<Marks> LoadMarks(absl::Time deadline, absl::Time before, int limit) = 0;
  // The hints for these versions have arrived. A row that has changed since keeps its mark. Does
  // not wait; a failure, or a `deadline` that passes, leaves the marks, which the sweeper finds.
  virtual void ClearMarks(absl::Time deadline, std::vector<std::pair<TicketId, int64_t>> tickets,
                          std::vector<std::pair<MemberId, int64_t>> sponsors) = 0;
  // How many tickets of the pool wait since before `create_time`; counts at most `limit`.
  virtual absl::StatusOr<int64_t> CountWaitingBefore(absl::Time deadline, const PoolKey& pool,
                                                     absl::Time create_time, int limit) = 0;

  // ---- Outbox and upkeep ----

  virtual absl::StatusOr<std::vector<OutboxEntry>> DueOutbox(absl::Time deadline, absl::Time now,
                                                             int limit) = 0;
  // Removes the entry; an open stores the conversation with its pairing. The ticket's and the
  // pairing's people to wake are in the effects.
  virtual absl::StatusOr<Effects> OutboxDelivered(absl::Time deadline, const OutboxEntry& entry,
                                                  std::optional<ConversationId> conversation) = 0;
  virtual absl::Status OutboxDelayed(absl::Time deadline, const OutboxEntry& entry,
                                     absl::Time due) = 0;
  virtual absl::StatusOr<int64_t> TrimRequests(absl::Time deadline, absl::Time now, int limit) = 0;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_LEDGER_H_
