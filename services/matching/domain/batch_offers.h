#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_BATCH_OFFERS_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_BATCH_OFFERS_H_

#include <functional>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/clock.h"
#include "services/matching/domain/batch_store.h"
#include "services/matching/domain/choice.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/program_policy.h"
#include "services/matching/domain/queue.h"

namespace handrail::matching {

struct BatchOffersOptions {
  // How long an offer stays open; zero leaves it to the program's policy.
  absl::Duration response_deadline = absl::ZeroDuration();
  // Offers that are made side by side: no more than the matcher's own, which wait no longer for it.
  size_t at_once = 32;
  absl::Duration redis_timeout = absl::Seconds(1);
};

// Turns pairs into offers like every other: each pair is looked at again as the ledger has it now,
// claimed in the queue while that is up, and decided by a transaction of its own. Thread-safe;
// everything handed in must outlive it.
class BatchOffers {
 public:
  using Sink = std::function<void(const Effects&)>;

  BatchOffers(Ledger& ledger, BatchStore& runs, Queue& queue, const Chooser& chooser,
              const ProgramPolicies& policies, const Clock& clock,
              const BatchOffersOptions& options, Sink sink)
      : ledger_(ledger),
        runs_(runs),
        queue_(queue),
        chooser_(chooser),
        policies_(policies),
        clock_(clock),
        options_(options),
        sink_(std::move(sink)) {}

  // How many of these offers there are in the end, those from before included. A pair that is
  // refused is passed over. Any other error, and the deadline, ends it early; called again, it goes
  // on.
  absl::StatusOr<int64_t> MakeAll(absl::Time deadline, const PoolKey& pool,
                                  absl::Span<const BatchOffer> offers);

 private:
  struct Attempt {
    Proposal proposal;
    int64_t seats_version = 0;
    absl::StatusOr<Changed<Offer>> outcome = absl::UnknownError("");
  };

  absl::Status MakeSome(absl::Time deadline, const PoolKey& pool,
                        absl::Span<const BatchOffer> offers);
  // Those that break no rule as everybody is now.
  absl::StatusOr<std::vector<Attempt>> Prepare(absl::Time deadline, const PoolKey& pool,
                                               absl::Span<const BatchOffer> offers);
  // Those that may be decided: claimed, or all while the queue does not answer.
  std::vector<Attempt> Claimed(absl::Time deadline, const PoolKey& pool,
                               std::vector<Attempt> attempts);
  void Decide(absl::Time deadline, std::vector<Attempt>& attempts);
  // Ends the claims with what SQL says of everybody. A failure leaves them to the sweeper.
  void Settle(absl::Time deadline, const PoolKey& pool, absl::Span<const Attempt> attempts);
  absl::Time QueueDeadline() const { return clock_.Now() + options_.redis_timeout; }

  Ledger& ledger_;
  BatchStore& runs_;
  Queue& queue_;
  const Chooser& chooser_;
  const ProgramPolicies& policies_;
  const Clock& clock_;
  const BatchOffersOptions options_;
  const Sink sink_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_BATCH_OFFERS_H_
