#include "common/base/outbox_loop.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/base/macros.h"
#include "common/base/status.h"

namespace handrail {
namespace {

absl::Duration Grown(absl::Duration first, int times, absl::Duration longest) {
  absl::Duration delay = first;
  for (int i = 0; i < times && delay < longest; ++i) delay *= 2;
  return std::min(delay, longest);
}

}  // namespace

bool IsReceiverDown(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kAborted:
    // Of whom it does not know or let in, or what it does not know yet, it takes nothing at all.
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnimplemented: return true;
    default: return false;
  }
}

OutboxLoop::OutboxLoop(OutboxQueue& queue, std::string component, const Clock& clock,
                       Random& random, const OutboxLoopOptions& options)
    : queue_(queue),
      component_(std::move(component)),
      clock_(clock),
      random_(random),
      options_(options) {}

std::map<absl::StatusCode, int64_t> OutboxLoop::Refusals() const {
  MutexLock lock(mutex_);
  return refusals_;
}

void OutboxLoop::Run() {
  while (!stopping_ && clock_.Now() >= paused_until_) {
    const auto due = queue_.TakeDue(Deadline(), clock_.Now(), IsStuck() ? 1 : options_.batch_limit);
    const absl::Status sent = due.ok() ? SendAll(*due) : due.status();
    if (!sent.ok()) return Pause(sent);
    if (*due > 0) continue;
    // With everything set behind there was nobody to ask.
    if (!IsStuck()) failures_in_a_row_ = 0;
    return;
  }
}

absl::Status OutboxLoop::SendAll(size_t count) {
  size_t first = 0;
  while (first < count && !stopping_) {
    const size_t together = std::min(queue_.CountTogether(first), count - first);
    RETURN_IF_ERROR(SendApart(first, together));
    first += together;
  }
  return absl::OkStatus();
}

absl::Status OutboxLoop::SendApart(size_t first, size_t count) {
  const absl::Status outcome = queue_.Send(Deadline(), first, count);
  if (count == 1 || outcome.ok() || IsReceiverDown(outcome)) return Settle(first, count, outcome);
  // One of them is at fault: one by one, the others get through.
  for (size_t place = first; place < first + count && !stopping_; ++place) {
    RETURN_IF_ERROR(Settle(place, 1, queue_.Send(Deadline(), place, 1)));
  }
  return absl::OkStatus();
}

absl::Status OutboxLoop::Settle(size_t first, size_t count, const absl::Status& outcome) {
  if (outcome.ok()) {
    RETURN_IF_ERROR(queue_.Remove(Deadline(), first, count));
    delivered_ += static_cast<int64_t>(count);
  } else if (IsReceiverDown(outcome)) {
    if (IsStuck()) RETURN_IF_ERROR(PutBehind(first, count));
    return outcome;
  } else {
    RETURN_IF_ERROR(SetAside(first, outcome));
  }
  failures_in_a_row_ = 0;
  return absl::OkStatus();
}

absl::Status OutboxLoop::SetAside(size_t place, const absl::Status& outcome) {
  const int attempts = queue_.Attempts(place);
  const absl::Duration delay = Grown(options_.first_deferral, attempts, options_.longest_deferral);
  ++failures_;
  {
    MutexLock lock(mutex_);
    ++refusals_[outcome.code()];
  }
  Log(Severity::kError, "outbox_entry_refused",
      {{LogField::kComponent, component_},
       {LogField::kCode, absl::StatusCodeToString(outcome.code())},
       {LogField::kReason, ReasonOf(outcome)},
       {LogField::kAttempt, int64_t{attempts} + 1},
       {LogField::kDelayMs, absl::ToInt64Milliseconds(delay)}});
  return queue_.Defer(Deadline(), place, clock_.Now() + delay, attempts + 1);
}

absl::Status OutboxLoop::PutBehind(size_t first, size_t count) {
  // No pause is longer, so that whatever else is due goes first.
  const absl::Time due = clock_.Now() + options_.longest_backoff;
  for (size_t place = first; place < first + count; ++place) {
    RETURN_IF_ERROR(queue_.Defer(Deadline(), place, due, queue_.Attempts(place)));
  }
  return absl::OkStatus();
}

void OutboxLoop::Pause(const absl::Status& cause) {
  ++failures_;
  const absl::Duration most =
      Grown(options_.first_backoff, failures_in_a_row_, options_.longest_backoff);
  ++failures_in_a_row_;
  // Half fixed, half drawn, so that replicas do not come back in step.
  const absl::Duration delay = most / 2 + random_.Unit() * (most / 2);
  paused_until_ = clock_.Now() + delay;
  Log(Severity::kWarning, "outbox_paused",
      {{LogField::kComponent, component_},
       {LogField::kCode, absl::StatusCodeToString(cause.code())},
       {LogField::kReason, ReasonOf(cause)},
       {LogField::kAttempt, int64_t{failures_in_a_row_}},
       {LogField::kDelayMs, absl::ToInt64Milliseconds(delay)}});
}

}  // namespace handrail
