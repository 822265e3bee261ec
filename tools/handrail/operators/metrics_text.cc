#include "tools/handrail/operators/metrics_text.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace handrail::tools {

Metrics Metrics::Parse(absl::string_view text) {
  Metrics metrics;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    if (line[0] == '#') continue;
    const size_t brace = line.find('{');
    const size_t close = brace == absl::string_view::npos ? brace : line.rfind('}');
    if (brace != absl::string_view::npos && (close == absl::string_view::npos || close < brace)) {
      continue;
    }
    const bool labelled = brace != absl::string_view::npos;
    const size_t space = labelled ? close + 1 : line.find(' ');
    if (space == absl::string_view::npos || space >= line.size()) continue;
    // A time may follow the value.
    const std::vector<absl::string_view> rest =
        absl::StrSplit(line.substr(space), ' ', absl::SkipEmpty());
    double value = 0;
    if (rest.empty() || !absl::SimpleAtod(rest[0], &value) || !std::isfinite(value)) continue;
    const std::string name(line.substr(0, labelled ? brace : space));
    Series series;
    if (labelled) series.labels = std::string(line.substr(brace + 1, close - brace - 1));
    series.value = value;
    metrics.series_[name].push_back(std::move(series));
  }
  return metrics;
}

bool Metrics::Has(absl::string_view name) const { return series_.count(std::string(name)) != 0; }

double Metrics::Sum(absl::string_view name, const std::vector<std::string>& labels,
                    const std::vector<std::string>& without) const {
  const auto found = series_.find(std::string(name));
  if (found == series_.end()) return 0;
  double sum = 0;
  for (const Series& series : found->second) {
    const auto has = [&](const std::string& label) {
      return absl::StrContains(series.labels, label);
    };
    if (!std::all_of(labels.begin(), labels.end(), has)) continue;
    if (std::any_of(without.begin(), without.end(), has)) continue;
    sum += series.value;
  }
  return sum;
}

double Metrics::Max(absl::string_view name) const {
  const auto found = series_.find(std::string(name));
  if (found == series_.end()) return 0;
  double most = 0;
  for (const Series& series : found->second) most = std::max(most, series.value);
  return most;
}

}  // namespace handrail::tools
