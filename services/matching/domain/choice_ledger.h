#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_CHOICE_LEDGER_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_CHOICE_LEDGER_H_

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/call.h"
#include "services/matching/domain/candidates.h"
#include "services/matching/domain/enum_set.h"
#include "services/matching/domain/ledger.h"

namespace handrail::matching {

// The most that a newcomer may choose at once, and be shown at once.
inline constexpr int kMaxChosen = 5;

// One of those whom a newcomer chose, and the reasons that the newcomer was told of them.
struct Chosen {
  MemberId sponsor;
  EnumSet<MatchReason> told;
};

// What a newcomer asks when they look for candidates. Everything that could change the answer and
// is in their hands: with many slightly different questions one could learn of others what no
// single answer tells.
struct Question {
  int64_t member_version = 0;
  Importance importance;
  RelationshipType relationship_type = RelationshipType::kUnspecified;
  PoolKey pool;
};

// How much a member may see in a day, over all tickets.
struct ShowBudget {
  int people = 25;    // different people
  int questions = 3;  // different questions
};

// One answer as it was given.
struct ShownPerson {
  MemberId sponsor;
  CandidateView view;
  friend bool operator==(const ShownPerson&, const ShownPerson&) = default;
};
struct ShownList {
  std::vector<ShownPerson> people;  // in the order in which they were shown
  int suitable_count = 0;           // as it was told
  friend bool operator==(const ShownList&, const ShownList&) = default;
};

// What stands of one question today.
struct Shown {
  std::optional<ShownList> answer;  // what it was answered with, if it was
  std::vector<MemberId> people;     // without an answer: whom to show
  int people_left = 0;              // of the budget
  int questions_left = 0;
};

// The truth about whom newcomers chose, what they asked and whom they were shown. Beside the
// Ledger, on the same rows and with its promises: each method is one atomic step, one with a Call
// is idempotent under the call's request id. That an offer of a ticket goes to the chosen only, and
// in their order, the ledger holds when the offer is made.
class ChoiceLedger {
 public:
  virtual ~ChoiceLedger() = default;

  // Replaces those of a ticket of the caller who were chosen and not asked yet; `sponsors` are at
  // most kMaxChosen different people, the first to be asked first. With nobody and
  // `then_handrail` the ticket passes to Handrail at once. An open offer stays as it is.
  // NOT_FOUND; FAILED_PRECONDITION / TICKET_NOT_OPEN, or CHOICE_NOT_EXPECTED when the ticket is not
  // the newcomer's to choose for. While the ticket is the newcomer's to choose for, they are told
  // no other reasons of an offer than those here (Ledger::FindOpenOffer).
  virtual absl::StatusOr<Changed<Ticket>> SetChoice(const Call& call, absl::Time now,
                                                    const TicketId& id,
                                                    absl::Span<const Chosen> sponsors,
                                                    bool then_handrail) = 0;
  // The first answer to this SetChoice, or nothing.
  virtual absl::StatusOr<std::optional<Ticket>> FindSetChoiceAnswer(const Call& call) = 0;

  // Who is to be asked next, of a ticket that waits for the newcomer's choice; nothing when nobody
  // is, the ticket does not wait, or its pool is drained at `now`.
  struct Next {
    TicketChange ticket;
    MemberId sponsor;
  };
  virtual absl::StatusOr<std::optional<Next>> FindNext(absl::Time deadline, absl::Time now,
                                                       const TicketId& id) = 0;
  // Passes over whoever is next, if it is this sponsor and the ticket waits. When nobody is left
  // and the newcomer allowed it the ticket passes to Handrail.
  virtual absl::StatusOr<Effects> PassOver(absl::Time deadline, absl::Time now, const TicketId& id,
                                           const MemberId& sponsor) = 0;
  // Waiting tickets with somebody to be asked, by id, after `after`: at most `limit`. Without those
  // of pools that are drained at `now`.
  virtual absl::StatusOr<std::vector<TicketId>> ListDue(absl::Time deadline, absl::Time now,
                                                        int limit, const TicketId& after) = 0;

  // What was answered to this question today. RESOURCE_EXHAUSTED / CANDIDATES_SPENT, with the time
  // until the next day, for a new question when as many as the budget has were asked today.
  virtual absl::StatusOr<Shown> FindShown(const Call& call, absl::Time now,
                                          const Question& question, const ShowBudget& budget) = 0;
  // Of `candidates`, the best first, those whom the caller may be shown today: at most `limit`. The
  // question counts as asked and they as seen. Two calls at once do not see more together. Errors
  // as of FindShown.
  virtual absl::StatusOr<Shown> Show(const Call& call, absl::Time now, const Question& question,
                                     absl::Span<const MemberId> candidates, int limit,
                                     const ShowBudget& budget) = 0;
  // Keeps the answer to a question that was asked today, enciphered for the caller, unless there is
  // one. The one that stands.
  virtual absl::StatusOr<ShownList> KeepShown(const Call& call, absl::Time now,
                                              const Question& question, const ShownList& list) = 0;
  // Forgets what was seen and asked before yesterday, and choices of tickets that are closed. The
  // number of rows gone, at most about `limit`.
  virtual absl::StatusOr<int64_t> Trim(absl::Time deadline, absl::Time now, int limit) = 0;
};

// Days since 1970-01-01, UTC.
int64_t DayOf(absl::Time now);
// When the day after the one of `now` begins.
absl::Time NextDay(absl::Time now);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_CHOICE_LEDGER_H_
