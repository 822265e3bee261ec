#include "services/profiles/domain/outbox_sender.h"

#include <algorithm>
#include <memory>
#include <string>

#include "common/base/log.h"
#include "common/base/macros.h"
#include "common/base/mutex.h"

namespace handrail::profiles {
namespace {

// Codes that say that this very entry is at fault: sending it again at once will not help, and the
// entries behind it must not wait for it.
bool IsRefusal(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
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

const char* NameOf(Receiver receiver) {
  return receiver == Receiver::kMatching ? "outbox to matching" : "outbox to messaging";
}

// Waits for one answer. Shared, because an answer may come after the wait was given up.
struct Answer {
  Mutex mutex;
  CondVar changed;
  bool done ABSL_GUARDED_BY(mutex) = false;
  absl::Status status ABSL_GUARDED_BY(mutex);
};

}  // namespace

OutboxSender::OutboxSender(Store& store, Receiver receiver, MemberReceiver& link,
                           const Clock& clock, Random& random, OutboxOptions options)
    : store_(store),
      receiver_(receiver),
      link_(link),
      clock_(clock),
      random_(random),
      options_(options) {}

void OutboxSender::Run() {
  while (!stopping_ && clock_.Now() >= paused_until_) {
    const absl::StatusOr<std::vector<OutboxEntry>> entries =
        store_.DueOutbox(receiver_, clock_.Now(), options_.batch_limit, Deadline());
    const absl::Status sent = entries.ok() ? SendBatch(*entries) : entries.status();
    if (!sent.ok()) return Pause(sent);
    failures_in_a_row_ = 0;
    if (entries->empty()) return;
  }
}

absl::Status OutboxSender::SendBatch(absl::Span<const OutboxEntry> entries) {
  // Blocks come first in what is due, and go first.
  size_t blocks = 0;
  while (blocks < entries.size() && entries[blocks].kind == OutboxEntry::Kind::kBlock) {
    if (stopping_) return absl::OkStatus();
    RETURN_IF_ERROR(Settle(entries.subspan(blocks, 1), SendBlock(entries[blocks])));
    ++blocks;
  }
  std::vector<OutboxEntry> members;
  for (const OutboxEntry& entry : entries.subspan(blocks)) {
    if (entry.fault.ok()) {
      members.push_back(entry);
    } else {
      RETURN_IF_ERROR(Settle(absl::MakeConstSpan(&entry, 1), entry.fault));
    }
  }
  return SendMembersApart(members);
}

absl::Status OutboxSender::SendMembersApart(absl::Span<const OutboxEntry> members) {
  if (members.empty() || stopping_) return absl::OkStatus();
  const absl::Status outcome = SendMembers(members);
  if (!IsRefusal(outcome)) return Settle(members, outcome);
  // One of them is at fault: one by one, the others get through.
  for (size_t i = 0; i < members.size() && !stopping_; ++i) {
    RETURN_IF_ERROR(Settle(members.subspan(i, 1), SendMembers(members.subspan(i, 1))));
  }
  return absl::OkStatus();
}

absl::Status OutboxSender::SendBlock(const OutboxEntry& entry) {
  if (!entry.fault.ok()) return entry.fault;
  const auto answer = std::make_shared<Answer>();
  link_.ApplyBlock(entry.block, Deadline(), [answer](const absl::Status& status) {
    MutexLock lock(answer->mutex);
    answer->done = true;
    answer->status = status;
    answer->changed.SignalAll();
  });
  MutexLock lock(answer->mutex);
  // The link answers by the deadline; the second that is added only guards against one that does
  // not.
  while (!answer->done) {
    if (!answer->changed.WaitFor(answer->mutex, options_.send_timeout + absl::Seconds(1))) {
      return absl::DeadlineExceededError("no answer");
    }
  }
  return answer->status;
}

absl::Status OutboxSender::SendMembers(absl::Span<const OutboxEntry> entries) {
  std::vector<MemberSnapshot> members;
  members.reserve(entries.size());
  for (const OutboxEntry& entry : entries) members.push_back(entry.snapshot);
  return link_.ApplyMembers(members, Deadline());
}

absl::Status OutboxSender::Settle(absl::Span<const OutboxEntry> entries,
                                  const absl::Status& outcome) {
  if (outcome.ok()) {
    RETURN_IF_ERROR(store_.RemoveOutbox(receiver_, entries, Deadline()));
    delivered_ += static_cast<int64_t>(entries.size());
    return absl::OkStatus();
  }
  if (!IsRefusal(outcome) || entries.size() != 1) return outcome;
  const OutboxEntry& entry = entries.front();
  const absl::Duration delay =
      Grown(options_.first_deferral, entry.attempts, options_.longest_deferral);
  ++failures_;
  Log(Severity::kError, "outbox_entry_refused",
      {{LogField::kComponent, NameOf(receiver_)},
       {LogField::kCode, absl::StatusCodeToString(outcome.code())},
       {LogField::kAttempt, int64_t{entry.attempts + 1}},
       {LogField::kDelayMs, absl::ToInt64Milliseconds(delay)}});
  return store_.DeferOutbox(receiver_, entry, clock_.Now() + delay, Deadline());
}

void OutboxSender::Pause(const absl::Status& cause) {
  ++failures_;
  const absl::Duration most =
      Grown(options_.first_backoff, failures_in_a_row_, options_.longest_backoff);
  ++failures_in_a_row_;
  // Half fixed, half drawn, so that replicas do not come back in step.
  const absl::Duration delay = most / 2 + random_.Unit() * (most / 2);
  paused_until_ = clock_.Now() + delay;
  Log(Severity::kWarning, "outbox_paused",
      {{LogField::kComponent, NameOf(receiver_)},
       {LogField::kCode, absl::StatusCodeToString(cause.code())},
       {LogField::kAttempt, int64_t{failures_in_a_row_}},
       {LogField::kDelayMs, absl::ToInt64Milliseconds(delay)}});
}

}  // namespace handrail::profiles
