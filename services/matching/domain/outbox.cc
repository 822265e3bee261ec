#include "services/matching/domain/outbox.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/status.h"

namespace handrail::matching {

OutboxSender::OutboxSender(Ledger& ledger, Conversations& conversations, const Clock& clock,
                           Random& random, const OutboxOptions& options, Sink sink)
    : ledger_(ledger),
      conversations_(conversations),
      clock_(clock),
      random_(random),
      options_(options),
      sink_(std::move(sink)),
      workers_(std::make_unique<Executor>(options.threads, static_cast<size_t>(options.batch))) {}

void OutboxSender::Start() {
  task_ = std::make_unique<PeriodicTask>(options_.interval, [this] {
    // A batch is bounded, and a full one may have more behind it.
    for (int round = 0; round < 100 && SendDue(); ++round) {
    }
  });
}

void OutboxSender::Stop() {
  if (task_ != nullptr) task_->Stop();
  workers_->Stop();
}

void OutboxSender::Wake() {
  if (task_ != nullptr) task_->Wake();
}

bool OutboxSender::SendDue() {
  const auto due = ledger_.DueOutbox(clock_.Now() + options_.timeout, clock_.Now(), options_.batch);
  if (!due.ok()) {
    Log(Severity::kWarning, "outbox_not_read", {{LogField::kReason, ReasonOf(due.status())}});
    return false;
  }
  struct Round {
    explicit Round(size_t count) : missing(count) {}
    Mutex mutex;
    CondVar finished;
    size_t missing ABSL_GUARDED_BY(mutex);
  };
  Round round(due->size());
  // Entries of one batch are of different pairings: an open hides its close.
  for (const OutboxEntry& entry : *due) {
    const auto work = [this, &entry, &round] {
      Send(entry);
      MutexLock lock(round.mutex);
      if (--round.missing == 0) round.finished.SignalAll();
    };
    if (!workers_->TryRun(work)) work();
  }
  MutexLock lock(round.mutex);
  while (round.missing > 0) round.finished.Wait(round.mutex);
  return due->size() == static_cast<size_t>(options_.batch);
}

void OutboxSender::Send(const OutboxEntry& entry) {
  const absl::Time deadline = clock_.Now() + options_.timeout;
  std::optional<ConversationId> conversation;
  absl::Status status;
  if (entry.step == OutboxEntry::Step::kOpen) {
    const auto opened = conversations_.Open(deadline, entry);
    status = opened.status();
    if (opened.ok()) conversation = *opened;
  } else {
    status = conversations_.Close(deadline, entry);
  }
  if (status.ok()) {
    const auto effects =
        ledger_.OutboxDelivered(clock_.Now() + options_.timeout, entry, conversation);
    if (effects.ok()) {
      if (!effects->empty()) sink_(*effects);
      return;
    }
    status = effects.status();  // sent again later, which messaging expects
  }
  const absl::Duration step = std::min(
      options_.last_retry, options_.first_retry * (int64_t{1} << std::min(entry.attempts, 12)));
  const absl::Duration delay = step * (0.5 + 0.5 * random_.Unit());
  Log(Severity::kInfo, "outbox_delayed",
      {{LogField::kReason, ReasonOf(status)},
       {LogField::kAttempt, entry.attempts + 1},
       {LogField::kDelayMs, absl::ToInt64Milliseconds(delay)}});
  ledger_.OutboxDelayed(clock_.Now() + options_.timeout, entry, clock_.Now() + delay)
      .IgnoreError();  // then it is due at once
}

}  // namespace handrail::matching
