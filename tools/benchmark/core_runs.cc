#include "tools/benchmark/core_runs.h"

#include <malloc.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "common/base/status.h"
#include "services/matching/adapters/program_table.h"
#include "tools/benchmark/core_pool.h"

namespace handrail::benchmark {
namespace {

constexpr int kBatch = 256;  // newcomers are drawn in batches, outside of what is measured

void AddBare(Report& report, const char* name, double value, const char* unit) {
  report.Add({name, "-", value, unit, ""});
}

CoreCost RunTurns(CorePool& pool, int turns) {
  CoreCost cost;
  for (int done = 0; done < turns; done += kBatch) {
    pool.Prepare(4 * kBatch);
    const double before = ThreadCpuSeconds();
    for (int i = 0; i < std::min(kBatch, turns - done); ++i) pool.Turn(cost);
    cost.seconds += ThreadCpuSeconds() - before;
  }
  return cost;
}

std::unique_ptr<CorePool> SettledPool(const CorePlan& plan, int tickets, int turns) {
  auto pool = std::make_unique<CorePool>(plan.seed, tickets, matching::BuiltInPrograms());
  pool->AddSponsors(/*taken=*/true);
  pool->AddTickets();
  RunTurns(*pool, turns);
  return pool;
}

absl::Status MeasureChoice(const CorePlan& plan, const char* name, int tickets, Report& report) {
  // Until everybody who waited at the beginning has been passed by three times over.
  const auto pool = SettledPool(plan, tickets, std::min(plan.turns, 3 * tickets));
  const CoreCost cost = RunTurns(*pool, plan.turns);
  if (cost.paired * 2 < plan.turns || pool->waiting() * 2 < static_cast<size_t>(tickets)) {
    return absl::InternalError("the pool did not stay in its steady state");
  }
  AddBare(report, name, static_cast<double>(cost.paired) / cost.seconds, "tickets/s CPU");
  return absl::OkStatus();
}

double CostOfDecision(const CoreCost& cost) {
  return cost.seconds / static_cast<double>(std::max<int64_t>(1, cost.decisions));
}

double P99(std::vector<double> values) {
  if (values.empty()) return 0;
  const size_t place = (values.size() - 1) * 99 / 100;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(place),
                   values.end());
  return values[place];
}

// The worse of two: the steady state, where few sponsors are free, and a ticket that looks while
// all of them are.
void MeasureLatency(const CorePlan& plan, CorePool& pool, Report& report) {
  pool.KeepLatencies(true);
  RunTurns(pool, plan.decisions);
  const double steady = P99(pool.TakeLatencies());
  CorePool ample(plan.seed + 1, plan.large, matching::BuiltInPrograms());
  ample.AddSponsors(/*taken=*/false);
  ample.KeepLatencies(true);
  for (int i = 0; i < plan.decisions; ++i) {
    if (i % kBatch == 0) ample.Prepare(kBatch);
    ample.Look();
  }
  AddBare(report, "decision_p99_1m", std::max(steady, P99(ample.TakeLatencies())), "ms CPU");
}

double HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks) + static_cast<double>(info.hblkhd);
}

// What the process holds more when the people have been put in and everything else has been let go.
double MeasureBytes(const CorePlan& plan) {
  const double before = HeapBytes();
  CorePool pool(plan.seed, plan.large, matching::BuiltInPrograms());
  pool.AddSponsors(/*taken=*/true);
  pool.AddTickets();
  const double beside = pool.BytesBeside();
  return (HeapBytes() - before - beside) / static_cast<double>(pool.waiting() + pool.sponsors());
}

}  // namespace

absl::Status MeasureCore(const CorePlan& plan,
                         const std::function<bool(const std::string&)>& wanted, Report& report) {
  if (wanted("core_choice_1k")) {
    RETURN_IF_ERROR(MeasureChoice(plan, "core_choice_1k", 1'000, report));
  }
  if (wanted("core_choice_100k")) {
    RETURN_IF_ERROR(MeasureChoice(plan, "core_choice_100k", 100'000, report));
  }
  if (wanted("index_bytes")) AddBare(report, "index_bytes", MeasureBytes(plan), "bytes/person");
  const bool cost = wanted("decision_cost_1m_to_10k");
  if (!cost && !wanted("decision_p99_1m")) return absl::OkStatus();
  const auto large = SettledPool(plan, plan.large, plan.turns);
  if (cost) {
    const auto small = SettledPool(plan, 10'000, plan.turns);
    // In turns, so that both meet the same machine.
    CoreCost of_large, of_small;
    for (int round = 0; round < 10; ++round) {
      const CoreCost a = RunTurns(*large, plan.turns / 10);
      const CoreCost b = RunTurns(*small, plan.turns / 10);
      of_large.seconds += a.seconds;
      of_large.decisions += a.decisions;
      of_small.seconds += b.seconds;
      of_small.decisions += b.decisions;
    }
    AddBare(report, "decision_cost_1m_to_10k", CostOfDecision(of_large) / CostOfDecision(of_small),
            "ratio");
  }
  if (wanted("decision_p99_1m")) MeasureLatency(plan, *large, report);
  return absl::OkStatus();
}

}  // namespace handrail::benchmark
