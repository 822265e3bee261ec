#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/benchmark/runs.h"

namespace handrail::benchmark {
namespace {

double Of(const std::map<std::string, double>& values, const std::string& name) {
  const auto found = values.find(name);
  return found == values.end() ? 0 : found->second;
}

}  // namespace

void Bench::Add(std::string name, double value, std::string unit, std::string to) {
  report.Add({std::move(name), deployment.backend(), value, std::move(unit), std::move(to)});
}

void Bench::AddBare(std::string name, double value, std::string unit, std::string to) {
  report.Add({std::move(name), "-", value, std::move(unit), std::move(to)});
}

Window UsageWindow::window() {
  return {[this] { before_ = deployment_.TakeUsage(); },
          [this] { after_ = deployment_.TakeUsage(); }};
}

double UsageWindow::CpuMicros(const std::string& process) const {
  return 1e6 * (Of(after_.cpu_seconds, process) - Of(before_.cpu_seconds, process));
}

double UsageWindow::Syncs(const std::vector<std::string>& services) const {
  if (before_.postgres_syncs >= 0) {
    return static_cast<double>(after_.postgres_syncs - before_.postgres_syncs);
  }
  double commits = 0;
  for (const std::string& service : services) {
    commits += Of(after_.commits, service) - Of(before_.commits, service);
  }
  return commits;
}

absl::Status CheckLoad(Bench& bench, const std::string& name, const LoadResult& result) {
  if (result.failed == 0 && result.completed > 0) return absl::OkStatus();
  const std::string text =
      absl::StrCat(name, " on ", bench.deployment.backend(), ": ", result.failed, " failed beside ",
                   result.completed, "; the first: ", result.first_error.ToString());
  if (result.completed == 0 || result.failed * 100 > result.completed) {
    return absl::InternalError(text);
  }
  bench.report.Note(text);
  return absl::OkStatus();
}

}  // namespace handrail::benchmark
