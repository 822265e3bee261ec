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

}  // namespace handrail::messaging
