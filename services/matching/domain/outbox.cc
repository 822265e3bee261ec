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
  MutexLock lock(mutex_);
  task_ = std::make_unique<PeriodicTask>(options_.interval, [this] { Dispatch(); });
}

void OutboxSender::Stop() {
  PeriodicTask* task = nullptr;
  {
    MutexLock lock(mutex_);
    task = task_.get();
  }
  if (task != nullptr) task->Stop();
  workers_->Stop();
}

void OutboxSender::Wake() {
  MutexLock lock(mutex_);
  if (task_ != nullptr) task_->Wake();
}

void OutboxSender::SendDue() {
  bool more = true;
  while (more) {
    Dispatch();
    MutexLock lock(mutex_);
    while (!under_way_.empty()) idle_.Wait(mutex_);
    more = std::exchange(more_, false);
  }
}

void OutboxSender::Dispatch() {
  // Taken before the ledger is read: what ends meanwhile is not read, or is still in the copy.
  std::set<OutboxId> under_way;
  {
    MutexLock lock(mutex_);
    under_way = under_way_;
    more_ = false;
  }
  const auto batch = static_cast<size_t>(options_.batch);
  const size_t limit = batch + under_way.size() + 1;  // one more tells that there is more
  const auto due =
      ledger_.DueOutbox(clock_.Now() + options_.timeout, clock_.Now(), static_cast<int>(limit));
  if (!due.ok()) {
    Log(Severity::kWarning, "outbox_not_read", {{LogField::kReason, ReasonOf(due.status())}});
    return;
  }
  // Entries that are due together are of different pairings: an open hides its close.
  for (const OutboxEntry& entry : *due) {
    if (under_way.contains(entry.id)) continue;
    MutexLock lock(mutex_);
    more_ = under_way_.size() >= batch;
    if (more_) break;
    const bool taken = workers_->TryRun([this, entry] {
      Send(entry);
      OnSent(entry.id);
    });
    if (!taken) return;  // it stops
    under_way_.insert(entry.id);
  }
  MutexLock lock(mutex_);
  more_ = more_ || due->size() == limit;
  WakeForMore();  // everything may have ended before it was known that there is more
}

void OutboxSender::WakeForMore() {
  const bool room = under_way_.size() <= static_cast<size_t>(options_.batch) / 2;
  if (more_ && room && task_ != nullptr) task_->Wake();
}

void OutboxSender::OnSent(const OutboxId& id) {
  MutexLock lock(mutex_);
  under_way_.erase(id);
  WakeForMore();
  if (under_way_.empty()) idle_.SignalAll();
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
