#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_ATTACHMENT_SWEEPER_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_ATTACHMENT_SWEEPER_H_

#include <memory>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "services/messaging/domain/attachment_meter.h"
#include "services/messaging/domain/attachments.h"

namespace handrail::messaging {

// Removes the bytes of attachments that nobody may have any more, a bounded number of bounded steps
// a round, so that it never stands in the way of sends for long. Nothing depends on when it runs:
// who may have what is decided by the time of each call. Any number of replicas may run it.
class AttachmentSweeper {
 public:
  struct Options {
    absl::Duration interval = absl::Minutes(1);
    int steps_a_round = 200;  // of 4 MiB
    absl::Duration step_timeout = absl::Seconds(10);
  };
  // All must outlive it.
  AttachmentSweeper(AttachmentStore& store, const Clock& clock, AttachmentMeter& meter,
                    const Options& options)
      : store_(store), clock_(clock), meter_(meter), options_(options) {}

  void Start() {
    task_ = std::make_unique<PeriodicTask>(options_.interval, [this] { RunOnce(); });
  }
  void Stop() {
    if (task_ != nullptr) task_->Stop();
  }
  // One round; the number of attachments that went. Blocks.
  int64_t RunOnce();

 private:
  AttachmentStore& store_;
  const Clock& clock_;
  AttachmentMeter& meter_;
  const Options options_;
  std::unique_ptr<PeriodicTask> task_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_ATTACHMENT_SWEEPER_H_
