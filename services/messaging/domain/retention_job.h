#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_RETENTION_JOB_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_RETENTION_JOB_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "services/messaging/domain/key_packages.h"
#include "services/messaging/domain/message_store.h"

namespace handrail::messaging {

struct RemainsTrim {
  int64_t tokens = 0;   // of devices that are revoked or gone
  int64_t members = 0;  // who are erased, and whose device logs and reports went
  bool more = false;    // the walk has not come to its end
};

// Rows that a process of an older version left beside tables that it did not know. For one thread.
class RemainsStore {
 public:
  virtual ~RemainsStore() = default;
  // One bounded step of a walk over all rows that may be such. Errors of storage::Database.
  virtual absl::StatusOr<RemainsTrim> TrimRemains(absl::Time deadline) = 0;
};

// Trims what is due of messages and key packages, and what was left over, a bounded number of
// bounded steps a round, so that it never stands in the way of sends for long. Any number of
// replicas may run it.
class RetentionJob {
 public:
  struct Options {
    absl::Duration interval = absl::Minutes(1);
    int steps_a_round = 1000;
    int remains_steps_a_round = 4;  // they find something after an upgrade, and hardly ever else
    absl::Duration step_timeout = absl::Seconds(10);
  };
  RetentionJob(MessageStore& store, KeyPackageStore& key_packages, RemainsStore& remains,
               const Clock& clock, const Options& options)
      : store_(store),
        key_packages_(key_packages),
        remains_(remains),
        clock_(clock),
        options_(options) {}

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
  void TrimRemains();

  MessageStore& store_;
  KeyPackageStore& key_packages_;
  RemainsStore& remains_;
  const Clock& clock_;
  const Options options_;
  std::unique_ptr<PeriodicTask> task_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_RETENTION_JOB_H_
