#include "services/matching/stores/step_runner.h"

#include <optional>
#include <utility>

#include "common/base/status.h"
#include "common/storage/request_log.h"

namespace handrail::matching {

using storage::Rows;
using storage::Transaction;

absl::StatusOr<Effects> StepRunner::Run(absl::Time deadline, absl::Time now,
                                        absl::FunctionRef<absl::Status(LedgerSteps&)> step) const {
  Effects effects;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) {
    effects = Effects();
    LedgerSteps steps(tx, context_, now, effects);
    return step(steps);
  }));
  return effects;
}

absl::StatusOr<StepRunner::Answered> StepRunner::RunOnce(
    const Call& call, absl::Time now,
    absl::FunctionRef<absl::StatusOr<std::string>(LedgerSteps&)> step) const {
  Answered answered;
  RETURN_IF_ERROR(database_.Write(call.deadline, [&](Transaction& tx) -> absl::Status {
    answered = Answered();
    ASSIGN_OR_RETURN(std::optional<std::string> replay, storage::FindAnswer(tx, call));
    if (replay.has_value()) {
      answered.answer = *std::move(replay);
      return absl::OkStatus();
    }
    LedgerSteps steps(tx, context_, now, answered.effects);
    ASSIGN_OR_RETURN(answered.answer, step(steps));
    return storage::RecordAnswer(tx, call, now, answered.answer);
  }));
  return answered;
}

absl::StatusOr<Rows> StepRunner::ReadRows(absl::Time deadline, absl::string_view sql,
                                          const storage::Args& args) const {
  Rows rows;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(rows, tx.Query(sql, args));
    return absl::OkStatus();
  }));
  return rows;
}

}  // namespace handrail::matching
