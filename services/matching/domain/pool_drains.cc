#include "services/matching/domain/pool_drains.h"

#include <utility>
#include <vector>

#include "common/base/log.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(5);
constexpr int kChunk = 500;

}  // namespace

void PoolDrains::Start() {
  task_ = std::make_unique<PeriodicTask>(interval_, [this] {
    const absl::Status status = Refresh();
    if (!status.ok()) {
      Log(Severity::kDebug, "drains_not_read", {{LogField::kReason, ReasonOf(status)}});
    }
  });
}

void PoolDrains::Stop() {
  if (task_ != nullptr) task_->Stop();
}

bool PoolDrains::IsDrained(const PoolKey& pool) const {
  if (!any_.load()) return false;
  MutexLock lock(mutex_);
  const auto found = until_.find(pool);
  return found != until_.end() && clock_.Now() < found->second;
}

absl::Status PoolDrains::Refresh() {
  const absl::Time now = clock_.Now();
  int64_t look = 0;
  {
    MutexLock lock(mutex_);
    look = ++begun_;
  }
  ASSIGN_OR_RETURN(const std::vector<PoolDrain> drains, operators_.ListDrains(now + kTimeout, now));
  absl::flat_hash_map<PoolKey, absl::Time> before;
  for (const PoolDrain& drain : drains) before.emplace(drain.pool, drain.until);
  {
    MutexLock lock(mutex_);
    if (look < shown_) return absl::OkStatus();
    shown_ = look;
    any_ = !before.empty();
    std::swap(before, until_);
    for (const auto& [pool, until] : until_) before.erase(pool);
  }
  for (const auto& [pool, until] : before) Resume(pool);
  return absl::OkStatus();
}

void PoolDrains::Resume(const PoolKey& pool) {
  std::optional<PageStart> after;
  for (int told = 0; told < kResumeLimit; told += kChunk) {
    auto waiting = ledger_.LoadWaiting(clock_.Now() + kTimeout, pool, kChunk, after);
    if (!waiting.ok() || waiting->empty()) return;  // the matcher's scrub finds who is left
    after = PageStart{waiting->back().create_time, waiting->back().ticket};
    Effects effects;
    effects.tickets = *std::move(waiting);
    sink_(effects);
  }
}

}  // namespace handrail::matching
