#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_BATCH_DESK_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_BATCH_DESK_H_

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "services/matching/domain/batch_market.h"
#include "services/matching/domain/batch_offers.h"
#include "services/matching/domain/batch_plan.h"
#include "services/matching/domain/batch_store.h"
#include "services/matching/domain/operator_ledger.h"

namespace handrail::matching {

// What a dry run found.
struct BatchReport {
  std::string name;  // of the plan, for Run; at most 64 characters
  absl::Time create_time;
  absl::Time expire_time;
  BatchPlan plan;
  int looked_at = 0;
  bool complete = true;
  bool drained = false;
};

// The batch of operators: a dry run, and then the offers of exactly that dry run. Nothing is kept
// between the two: the plan's name holds when it was made and a code over its pairs, and a run
// plans again as of that time. Thread-safe; everything handed in must outlive it.
class BatchDesk {
 public:
  // 16 bytes or more for any bytes, under a secret key: who is in a plan cannot be guessed from its
  // name.
  using Mac = std::function<std::string(absl::string_view)>;
  // The sponsors of a pool, in any order.
  using SponsorList =
      std::function<absl::StatusOr<std::vector<MemberId>>(absl::Time deadline, const PoolKey&)>;

  struct Options {
    BatchLimits limits;
    absl::Duration plan_lifetime = absl::Minutes(10);
  };

  BatchDesk(Ledger& ledger, OperatorLedger& operators, BatchStore& runs, BatchOffers& offers,
            const Chooser& chooser, const ProgramPolicies& policies, const Clock& clock,
            Random& random, Mac mac, SponsorList sponsors, const Options& options)
      : ledger_(ledger),
        operators_(operators),
        runs_(runs),
        offers_(offers),
        chooser_(chooser),
        policies_(policies),
        clock_(clock),
        random_(random),
        mac_(std::move(mac)),
        sponsors_(std::move(sponsors)),
        options_(options) {}

  // `max_tickets` 0 means as many as may be. FAILED_PRECONDITION / BATCH_TOO_LARGE;
  // RESOURCE_EXHAUSTED / OVERLOADED while another plan is made.
  absl::StatusOr<BatchReport> Plan(const Call& call, const PoolKey& pool, int max_tickets);
  // Idempotent under the call's request id, and on record. FAILED_PRECONDITION /
  // BATCH_PLAN_OUTDATED; INVALID_ARGUMENT / FIELD_INVALID for what is no name of a plan; as of
  // Plan.
  absl::StatusOr<BatchRun> Run(const Call& call, const PoolKey& pool, absl::string_view plan);

 private:
  // What a plan's name says.
  struct PlanName {
    absl::Time create_time;
    int max_tickets = 0;
    std::string code;  // 32 hexadecimal digits
  };
  static std::optional<PlanName> ParseName(absl::string_view name);
  std::string NameOf(const PoolKey& pool, absl::Time as_of, int max_tickets,
                     const BatchPlan& plan) const;
  absl::StatusOr<BatchReport> PlanAsOf(const Call& call, const PoolKey& pool, absl::Time as_of,
                                       int max_tickets);
  // The offers of a plan that holds.
  absl::StatusOr<std::vector<BatchOffer>> CheckPlan(const Call& call, const PoolKey& pool,
                                                    absl::string_view name);

  Ledger& ledger_;
  OperatorLedger& operators_;
  BatchStore& runs_;
  BatchOffers& offers_;
  const Chooser& chooser_;
  const ProgramPolicies& policies_;
  const Clock& clock_;
  Random& random_;
  const Mac mac_;
  const SponsorList sponsors_;
  const Options options_;
  std::atomic<bool> planning_ = false;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_BATCH_DESK_H_
