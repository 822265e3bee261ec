#include "services/messaging/domain/retention_job.h"

#include "common/base/log.h"
#include "common/base/status.h"

namespace handrail::messaging {

int64_t RetentionJob::RunOnce() {
  int64_t trimmed = 0;
  for (int step = 0; step < options_.steps_a_round; ++step) {
    const auto result = store_.TrimSome(clock_.Now() + options_.step_timeout, clock_.Now());
    if (!result.ok()) {
      Log(Severity::kWarning, "retention could not trim",
          {{LogField::kComponent, "retention"}, {LogField::kReason, ReasonOf(result.status())}});
      break;
    }
    trimmed += result->messages_trimmed;
    if (!result->more) break;
  }
  TrimKeyPackages();
  TrimRemains();
  if (trimmed > 0) {
    Log(Severity::kInfo, "messages trimmed",
        {{LogField::kComponent, "retention"}, {LogField::kCount, trimmed}});
  }
  return trimmed;
}

void RetentionJob::TrimKeyPackages() {
  for (int step = 0; step < options_.steps_a_round; ++step) {
    const auto trim = key_packages_.Trim(clock_.Now() + options_.step_timeout, clock_.Now());
    if (!trim.ok()) {
      Log(Severity::kWarning, "key packages could not be trimmed",
          {{LogField::kComponent, "retention"}, {LogField::kReason, ReasonOf(trim.status())}});
      return;
    }
    if (trim->expired == 0 && trim->emptied == 0 && trim->removed == 0) return;
  }
}

void RetentionJob::TrimRemains() {
  for (int step = 0; step < options_.remains_steps_a_round; ++step) {
    const auto trim = remains_.TrimRemains(clock_.Now() + options_.step_timeout);
    if (!trim.ok()) {
      Log(Severity::kWarning, "what was left over could not be trimmed",
          {{LogField::kComponent, "retention"}, {LogField::kReason, ReasonOf(trim.status())}});
      return;
    }
    if (trim->tokens + trim->members > 0) {
      Log(Severity::kInfo, "what was left over is trimmed",
          {{LogField::kComponent, "retention"}, {LogField::kCount, trim->tokens + trim->members}});
    }
    if (!trim->more) return;
  }
}

}  // namespace handrail::messaging
