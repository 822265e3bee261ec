#include "common/storage/database_metrics.h"

#include <string>

namespace handrail::storage {
namespace {

prometheus::Counter& MakeCounter(prometheus::Registry& registry, const char* name,
                                 const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

DatabaseMetrics::DatabaseMetrics(const Database& database, prometheus::Registry& registry)
    : database_(database),
      commits_(MakeCounter(registry, "handrail_database_commits_total", "Durable commits.")),
      units_(MakeCounter(registry, "handrail_database_units_total",
                         "Units of work that were part of durable commits.")),
      retries_(MakeCounter(registry, "handrail_database_retries_total",
                           "Units of work that ran again after a conflict.")),
      largest_batch_(prometheus::BuildGauge()
                         .Name("handrail_database_largest_batch")
                         .Help("The most units of work in one commit since the start.")
                         .Register(registry)
                         .Add({})) {
  auto& batches = prometheus::BuildCounter()
                      .Name("handrail_database_batches_total")
                      .Help("Commits by the units of work in them: at least so many.")
                      .Register(registry);
  for (size_t i = 0; i < batches_.size(); ++i) {
    batches_[i] = &batches.Add({{"units", std::to_string(1 << i)}});
  }
}

void DatabaseMetrics::Update() {
  MutexLock lock(mutex_);
  const DatabaseStats now = database_.Stats();
  const auto add = [](prometheus::Counter& counter, int64_t grown) {
    if (grown > 0) counter.Increment(static_cast<double>(grown));
  };
  add(commits_, now.commits - shown_.commits);
  add(units_, now.units - shown_.units);
  add(retries_, now.retries - shown_.retries);
  for (size_t i = 0; i < batches_.size(); ++i) {
    add(*batches_[i], now.batch_sizes[i] - shown_.batch_sizes[i]);
  }
  largest_batch_.Set(static_cast<double>(now.largest_batch));
  shown_ = now;
}

}  // namespace handrail::storage
