#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_RETENTION_JOB_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_RETENTION_JOB_H_

#include <memory>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "services/messaging/domain/key_packages.h"
#include "services/messaging/domain/message_store.h"

namespace handrail::messaging {

// Trims what is due of messages and key packages, a bounded number of bounded steps a round, so
// that it never stands in the way of sends for long. Any number of replicas may run it.
class RetentionJob {
 public:
  struct Options {
    absl::Duration interval = absl::Minutes(1);
    int steps_a_round = 200;
    absl::Duration step_timeout = absl::Seconds(10);
  };
  RetentionJob(MessageStore& store, KeyPackageStore& key_packages, const Clock& clock,
               const Options& options)
      : store_(store), key_packages_(key_packages), clock_(clock), options_(options) {}

  void Start() {
    task_ = std::make_unique<PeriodicTask>(options_.interval, [this] { RunOnce(); });
  }
  void Stop() {
    if (task_ != nullptr) task_->Stop();
  }
  // One round; the number of messages that went. Blocks.
  int64_t RunOnce();

 private:
  void TrimKeyPackages();

  MessageStore& store_;
  KeyPackageStore& key_packages_;
  const Clock& clock_;
  const Options options_;
  std::unique_ptr<PeriodicTask> task_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_RETENTION_JOB_H_
