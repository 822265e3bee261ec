#include "common/storage/invariant_monitor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/macros.h"
#include "common/base/status.h"

namespace handrail::storage {
namespace {

prometheus::Counter& OutcomeCounter(prometheus::Registry& registry, const char* outcome) {
  return prometheus::BuildCounter()
      .Name("handrail_invariant_checks_total")
      .Help("Looks at whether an invariant holds, by outcome.")
      .Register(registry)
      .Add({{"outcome", outcome}});
}

}  // namespace

InvariantMonitor::InvariantMonitor(Database& database, const Clock& clock,
                                   prometheus::Registry& registry,
                                   std::vector<InvariantQuery> queries, const Options& options)
    : database_(database),
      clock_(clock),
      queries_(std::move(queries)),
      options_(options),
      violations_(prometheus::BuildGauge()
                      .Name("handrail_invariant_violations")
                      .Help("Rows that broke an invariant when it was last looked at.")
                      .Register(registry)),
      held_(OutcomeCounter(registry, "held")),
      broken_(OutcomeCounter(registry, "broken")),
      failed_(OutcomeCounter(registry, "failed")),
      counts_(queries_.size(), 0) {
  for (const InvariantQuery& query : queries_) violations_.Add({{"invariant", query.name}});
}

void InvariantMonitor::Start() {
  task_ = std::make_unique<PeriodicTask>(options_.interval, [this] { RunOnce(); });
}

void InvariantMonitor::Stop() {
  if (task_ != nullptr) task_->Stop();
}

absl::StatusOr<int64_t> InvariantMonitor::Count(const InvariantQuery& query) {
  int64_t count = 0;
  const absl::Time now = clock_.Now();
  RETURN_IF_ERROR(database_.Read(now + options_.timeout, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const Rows rows, tx.Query(query.sql, query.args ? query.args(now) : Args()));
    count = rows.front().Int(0);
    return absl::OkStatus();
  }));
  return count;
}

void InvariantMonitor::RunOnce() {
  size_t index = 0;
  {
    MutexLock lock(mutex_);
    index = next_;
    next_ = (next_ + 1) % queries_.size();
  }
  const InvariantQuery& query = queries_[index];
  const absl::StatusOr<int64_t> count = Count(query);
  if (!count.ok()) {
    failed_.Increment();
    Log(Severity::kWarning, "an invariant could not be checked",
        {{LogField::kComponent, "invariants"},
         {LogField::kDetail, query.name},
         {LogField::kReason, ReasonOf(count.status())}});
    return;
  }
  (*count == 0 ? held_ : broken_).Increment();
  if (*count > 0) {
    Log(Severity::kError, "an invariant is broken",
        {{LogField::kComponent, "invariants"},
         {LogField::kDetail, absl::StrCat(query.name, ": ", query.text)},
         {LogField::kCount, *count}});
  }
  MutexLock lock(mutex_);
  counts_[index] = *count;
  int64_t sum = 0;
  for (size_t i = 0; i < queries_.size(); ++i) {
    if (queries_[i].name == query.name) sum += counts_[i];
  }
  violations_.Add({{"invariant", query.name}}).Set(static_cast<double>(sum));
}

}  // namespace handrail::storage
