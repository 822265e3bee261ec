#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_CHOSEN_OFFERS_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_CHOSEN_OFFERS_H_

#include <functional>
#include <memory>

#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/random.h"
#include "services/matching/domain/choice.h"
#include "services/matching/domain/choice_ledger.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/queue.h"

namespace handrail::matching {

struct ChosenOffersOptions {
  // How long an offer stays open; zero leaves it to the program's policy.
  absl::Duration response_deadline = absl::ZeroDuration();
  // Every so often the ledger is asked who is due: what a lost event left behind.
  absl::Duration sweep = absl::Seconds(2);
  int sweep_limit = 200;
  int threads = 1;
  absl::Duration timeout = absl::Seconds(10);
  absl::Duration redis_timeout = absl::Seconds(1);
};

// Puts the tickets of newcomers who choose before those whom they chose, one after another: when
// they have chosen, and whenever an offer of theirs ends without a pairing. Whoever breaks a rule
// or has no seat when their turn comes is passed over; while a pool is drained everybody keeps
// their turn. Any number of replicas may do this at once: the ledger makes one offer of it. While
// the queue is up each offer is claimed there first, like every other; while it is down the ledger
// decides alone.
class ChosenOffers {
 public:
  using Sink = std::function<void(const Effects&)>;

  // Everything must outlive it. `sink` hears of what was changed.
  ChosenOffers(Ledger& ledger, ChoiceLedger& choices, Queue& queue, const Chooser& chooser,
               const ProgramPolicies& policies, const Clock& clock, Random& random,
               const ChosenOffersOptions& options, Sink sink);

  void Start();
  void Stop();
  // Never blocks; what is dropped when too much waits is found by the sweep. Thread-safe.
  void Notify(const Effects& effects);
  // Offers every due ticket to whoever is next. Goes on when one failed.
  void Sweep();
  // The same for one ticket. OK when an offer was made, or nobody is left.
  absl::Status OfferNext(const TicketId& id);

 private:
  enum class Outcome { kDone, kPassOver, kAgain };
  absl::StatusOr<Outcome> Try(const ChoiceLedger::Next& next);
  absl::StatusOr<Outcome> Decide(const ChoiceLedger::Next& next, const Proposal& proposal,
                                 const SponsorSeats& seats);
  // Ends the claim with what SQL says of both now. A failure leaves it to the sweeper.
  void Settle(const ChoiceLedger::Next& next);
  absl::Time Deadline() const { return clock_.Now() + options_.timeout; }
  absl::Time QueueDeadline() const { return clock_.Now() + options_.redis_timeout; }

  Ledger& ledger_;
  ChoiceLedger& choices_;
  Queue& queue_;
  const Chooser& chooser_;
  const ProgramPolicies& policies_;
  const Clock& clock_;
  Random& random_;
  const ChosenOffersOptions options_;
  const Sink sink_;
  Executor workers_;
  std::unique_ptr<PeriodicTask> task_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_CHOSEN_OFFERS_H_
