#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_REPORT_SENDER_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_REPORT_SENDER_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/outbox_loop.h"
#include "common/base/random.h"
#include "services/messaging/domain/reports.h"

namespace handrail::messaging {

// Whoever keeps the cases. Idempotent there by the report's id. Thread-safe.
class CaseDesk {
 public:
  virtual ~CaseDesk() = default;
  // OK means that the case is committed there. May block until `deadline`.
  virtual absl::Status OpenCase(absl::Time deadline, const QueuedReport& report) = 0;
};

// Delivers reports to the case desk, at least once, as every outbox is delivered; what is kept of
// one goes when it is confirmed. Run() is for one thread; counters may be read on any.
class ReportSender final : private OutboxQueue {
 public:
  // All must outlive it.
  ReportSender(ReportStore& store, CaseDesk& desk, const Clock& clock, Random& random,
               const OutboxLoopOptions& options)
      : store_(store), desk_(desk), loop_(*this, "reports to profiles", clock, random, options) {}

  void Run() { loop_.Run(); }
  void Stop() { loop_.Stop(); }
  const OutboxLoop& loop() const { return loop_; }

 private:
  absl::StatusOr<size_t> TakeDue(absl::Time deadline, absl::Time now, int limit) override;
  size_t CountTogether(size_t) const override { return 1; }
  absl::Status Send(absl::Time deadline, size_t first, size_t count) override;
  absl::Status Remove(absl::Time deadline, size_t first, size_t count) override;
  int Attempts(size_t place) const override { return in_hand_[place].attempts; }
  absl::Status Defer(absl::Time deadline, size_t place, absl::Time due, int attempts) override;

  ReportStore& store_;
  CaseDesk& desk_;
  std::vector<QueuedReport> in_hand_;
  OutboxLoop loop_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_REPORT_SENDER_H_
