#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_REPORT_SENDER_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_REPORT_SENDER_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
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

struct ReportSenderOptions {
  int batch_limit = 16;
  absl::Duration send_timeout = absl::Seconds(5);
  absl::Duration first_backoff = absl::Milliseconds(100);
  absl::Duration longest_backoff = absl::Seconds(10);
  // How long a report that is refused waits, doubled with each attempt up to the longest.
  absl::Duration first_deferral = absl::Seconds(1);
  absl::Duration longest_deferral = absl::Minutes(10);
};

// Delivers reports to the case desk, at least once; what is kept of one goes when it is confirmed.
// A desk that is down is tried again with jittered, growing pauses; a report that is refused is set
// aside for a while, alone, and never dropped. Any number of replicas may run it. Run() is for one
// thread; the counters may be read on any.
class ReportSender {
 public:
  // All must outlive it.
  ReportSender(ReportStore& store, CaseDesk& desk, const Clock& clock, Random& random,
               ReportSenderOptions options)
      : store_(store), desk_(desk), clock_(clock), random_(random), options_(options) {}

  // Sends what is due until nothing is left, or the desk or the store fails. Returns at once during
  // a pause.
  void Run();
  // Makes Run return after the report in hand.
  void Stop() { stopping_ = true; }

  int64_t delivered() const { return delivered_; }
  int64_t failures() const { return failures_; }

 private:
  absl::Status Settle(const QueuedReport& report);
  void Pause(const absl::Status& cause);
  absl::Time Deadline() const { return clock_.Now() + options_.send_timeout; }

  ReportStore& store_;
  CaseDesk& desk_;
  const Clock& clock_;
  Random& random_;
  const ReportSenderOptions options_;

  int failures_in_a_row_ = 0;
  absl::Time paused_until_ = absl::InfinitePast();
  std::atomic<bool> stopping_ = false;
  std::atomic<int64_t> delivered_ = 0;
  std::atomic<int64_t> failures_ = 0;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_REPORT_SENDER_H_
