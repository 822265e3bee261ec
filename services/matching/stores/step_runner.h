#ifndef HANDRAIL_SERVICES_MATCHING_STORES_STEP_RUNNER_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_STEP_RUNNER_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/call.h"
#include "common/storage/database.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/stores/ledger_steps.h"

namespace handrail::matching {

// Runs the ledger's steps, each in one transaction. Thread-safe.
class StepRunner {
 public:
  // Both must outlive it.
  StepRunner(storage::Database& database, const LedgerContext& context)
      : database_(database), context_(context) {}

  // A step without a request id.
  absl::StatusOr<Effects> Run(absl::Time deadline, absl::Time now,
                              absl::FunctionRef<absl::Status(LedgerSteps&)> step) const;
  // A step under the call's request id: `step` gives the encoded answer; repeated, the first answer
  // is given again and nothing happens.
  struct Answered {
    std::string answer;
    Effects effects;
  };
  absl::StatusOr<Answered> RunOnce(
      const Call& call, absl::Time now,
      absl::FunctionRef<absl::StatusOr<std::string>(LedgerSteps&)> step) const;
  absl::StatusOr<storage::Rows> ReadRows(absl::Time deadline, absl::string_view sql,
                                         const storage::Args& args) const;

 private:
  storage::Database& database_;
  const LedgerContext& context_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_STEP_RUNNER_H_
