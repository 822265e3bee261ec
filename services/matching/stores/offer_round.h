#ifndef HANDRAIL_SERVICES_MATCHING_STORES_OFFER_ROUND_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_OFFER_ROUND_H_

#include <cstddef>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/mutex.h"
#include "common/storage/database.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/stores/ledger_steps.h"

namespace handrail::matching {

// Makes the offers of one round, those to one sponsor in one unit of work: they would only wait for
// one another's rows, each with a connection in its hands. A unit in which one offer is refused
// undoes all of its offers, and each is then made or refused by itself. For one run.
class OfferRound {
 public:
  using Step = std::function<absl::Status(LedgerSteps&, const Proposal&, Offer&)>;
  using Outcome = absl::StatusOr<Changed<Offer>>;

  // All of it must outlive the round.
  OfferRound(storage::Database& database, const LedgerContext& context,
             absl::Span<const Proposal> proposals, Step step);

  // Blocks until each is made or refused.
  std::vector<Outcome> Run(absl::Time deadline, absl::Time now);

 private:
  using Places = std::vector<size_t>;  // in `proposals_`

  void Start(Places places);
  absl::Status MakeAll(storage::Transaction& tx, const Places& places);
  absl::Status LockMembers(storage::Transaction& tx, const Places& places) const;
  void Finish(const Places& places, const absl::Status& status);

  storage::Database& database_;
  const LedgerContext& context_;
  const absl::Span<const Proposal> proposals_;
  const Step step_;
  absl::Time deadline_;
  absl::Time now_;
  std::vector<Changed<Offer>> made_;  // each written by one unit at a time

  Mutex mutex_;
  CondVar answered_;
  std::vector<Outcome> outcomes_ ABSL_GUARDED_BY(mutex_);
  size_t missing_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_OFFER_ROUND_H_
