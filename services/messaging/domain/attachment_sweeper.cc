#include "services/messaging/domain/attachment_sweeper.h"

#include "common/base/log.h"
#include "common/base/status.h"

namespace handrail::messaging {

int64_t AttachmentSweeper::RunOnce() {
  int64_t swept = 0;
  for (int step = 0; step < options_.steps_a_round; ++step) {
    const auto sweep = store_.SweepSome(clock_.Now() + options_.step_timeout, clock_.Now());
    if (!sweep.ok()) {
      Log(Severity::kWarning, "attachments could not be swept",
          {{LogField::kComponent, "attachments"}, {LogField::kReason, ReasonOf(sweep.status())}});
      break;
    }
    swept += sweep->attachments;
    if (!sweep->more) break;
  }
  meter_.OnSwept(swept);
  if (swept > 0) {
    Log(Severity::kInfo, "attachments swept",
        {{LogField::kComponent, "attachments"}, {LogField::kCount, swept}});
  }
  return swept;
}

}  // namespace handrail::messaging
