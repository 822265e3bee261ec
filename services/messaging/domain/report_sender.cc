#include "services/messaging/domain/report_sender.h"

#include <algorithm>
#include <vector>

#include "common/base/log.h"
#include "common/base/macros.h"

namespace handrail::messaging {
namespace {

// Codes that say that this very report is at fault: sending it again at once will not help, and
// those behind it must not wait for it.
bool IsRefusal(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kInternal: return true;
    default: return false;
  }
}

absl::Duration Grown(absl::Duration first, int times, absl::Duration longest) {
  absl::Duration delay = first;
  for (int i = 0; i < times && delay < longest; ++i) delay *= 2;
  return std::min(delay, longest);
}

}  // namespace

void ReportSender::Run() {
  while (!stopping_ && clock_.Now() >= paused_until_) {
    const auto due = store_.Due(Deadline(), clock_.Now(), options_.batch_limit);
    absl::Status sent = due.status();
    for (size_t i = 0; due.ok() && sent.ok() && i < due->size() && !stopping_; ++i) {
      sent = Settle((*due)[i]);
    }
    if (!sent.ok()) return Pause(sent);
    failures_in_a_row_ = 0;
    if (due->empty()) return;
  }
}

absl::Status ReportSender::Settle(const QueuedReport& report) {
  const absl::Status outcome =
      report.fault.ok() ? desk_.OpenCase(Deadline(), report) : report.fault;
  if (outcome.ok()) {
    RETURN_IF_ERROR(store_.Remove(Deadline(), report.id));
    ++delivered_;
    return absl::OkStatus();
  }
  if (!IsRefusal(outcome)) return outcome;
  const absl::Duration delay =
      Grown(options_.first_deferral, report.attempts, options_.longest_deferral);
  ++failures_;
  Log(Severity::kError, "outbox_entry_refused",
      {{LogField::kComponent, "reports to profiles"},
       {LogField::kCode, absl::StatusCodeToString(outcome.code())},
       {LogField::kAttempt, int64_t{report.attempts + 1}},
       {LogField::kDelayMs, absl::ToInt64Milliseconds(delay)}});
  return store_.Defer(Deadline(), report.id, clock_.Now() + delay);
}

void ReportSender::Pause(const absl::Status& cause) {
  ++failures_;
  const absl::Duration most =
      Grown(options_.first_backoff, failures_in_a_row_, options_.longest_backoff);
  ++failures_in_a_row_;
  // Half fixed, half drawn, so that replicas do not come back in step.
  const absl::Duration delay = most / 2 + random_.Unit() * (most / 2);
  paused_until_ = clock_.Now() + delay;
  Log(Severity::kWarning, "outbox_paused",
      {{LogField::kComponent, "reports to profiles"},
       {LogField::kCode, absl::StatusCodeToString(cause.code())},
       {LogField::kAttempt, int64_t{failures_in_a_row_}},
       {LogField::kDelayMs, absl::ToInt64Milliseconds(delay)}});
}

}  // namespace handrail::messaging
