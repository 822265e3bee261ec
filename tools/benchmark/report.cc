#include "tools/benchmark/report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace handrail::benchmark {
namespace {

// Four significant digits, thousands without an exponent.
std::string Shown(double value) {
  if (value == 0) return "0";
  if (std::abs(value) >= 1000) return absl::StrFormat("%.0f", value);
  return absl::StrFormat("%.4g", value);
}

std::string RatioShown(const Row& row) {
  return row.to.empty() ? "" : absl::StrFormat("%.3g", row.ratio);
}

// The value in the same round that a sample is compared with; of the same backend before one
// without a backend.
std::optional<double> ComparedWith(const Sample& sample, const std::vector<Sample>& round) {
  std::optional<double> found;
  for (const Sample& other : round) {
    if (other.name != sample.to) continue;
    if (other.backend == sample.backend) return other.value;
    if (other.backend == "-") found = other.value;
  }
  return found;
}

constexpr char kBegin[] = "<!-- figures: begin -->\n";
constexpr char kEnd[] = "<!-- figures: end -->\n";

}  // namespace

std::string PutFigures(const std::string& document, const std::string& figures) {
  const size_t begin = document.find(kBegin);
  const size_t end = document.find(kEnd);
  if (begin == std::string::npos || end == std::string::npos || end < begin) return figures;
  return absl::StrCat(document.substr(0, begin), kBegin, figures, document.substr(end));
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  if (values.size() % 2 == 1) return values[middle];
  return (values[middle - 1] + values[middle]) / 2;
}

void Report::BeginRound() { rounds_.emplace_back(); }

void Report::Add(Sample sample) {
  if (rounds_.empty()) BeginRound();
  rounds_.back().push_back(std::move(sample));
}

void Report::Note(std::string text) {
  if (std::find(notes_.begin(), notes_.end(), text) == notes_.end()) {
    notes_.push_back(std::move(text));
  }
}

void Report::Fact(std::string key, std::string value) {
  facts_.emplace_back(std::move(key), std::move(value));
}

std::vector<Row> Report::Rows() const {
  struct Collected {
    Sample sample;
    std::vector<double> values;
    std::vector<double> ratios;
  };
  std::vector<Collected> all;
  for (const auto& round : rounds_) {
    for (const Sample& sample : round) {
      auto found = std::find_if(all.begin(), all.end(), [&](const Collected& one) {
        return one.sample.name == sample.name && one.sample.backend == sample.backend;
      });
      if (found == all.end()) found = all.insert(all.end(), {sample, {}, {}});
      found->values.push_back(sample.value);
      if (sample.to.empty()) continue;
      const auto compared = ComparedWith(sample, round);
      if (compared.has_value() && *compared > 0) found->ratios.push_back(sample.value / *compared);
    }
  }
  std::vector<Row> rows;
  for (const Collected& one : all) {
    Row row{one.sample.name, one.sample.backend, Median(one.values), one.sample.unit, 0, "", 0};
    row.repeats = static_cast<int>(one.values.size());
    if (!one.ratios.empty()) {
      row.ratio = Median(one.ratios);
      row.to = one.sample.to;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string Report::Table() const {
  std::string text;
  for (const auto& [key, value] : facts_) absl::StrAppend(&text, key, ": ", value, "\n");
  absl::StrAppend(&text, absl::StrFormat("\n%-44s %-9s %12s %-14s %8s  %-30s %s\n", "what",
                                         "database", "median", "unit", "ratio", "to", "repeats"));
  for (const Row& row : Rows()) {
    absl::StrAppend(
        &text, absl::StrFormat("%-44s %-9s %12s %-14s %8s  %-30s %d\n", row.name, row.backend,
                               Shown(row.value), row.unit, RatioShown(row), row.to, row.repeats));
  }
  for (const std::string& note : notes_) absl::StrAppend(&text, "note: ", note, "\n");
  return text;
}

std::string Report::Json() const {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Row& row : Rows()) {
    nlohmann::ordered_json one;
    one["name"] = row.name;
    one["backend"] = row.backend;
    one["value"] = row.value;
    one["unit"] = row.unit;
    one["ratio"] = row.to.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(row.ratio);
    one["to"] = row.to.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(row.to);
    one["repeats"] = row.repeats;
    rows.push_back(std::move(one));
  }
  return rows.dump(2) + "\n";
}

std::string Report::Markdown() const {
  std::string text;
  for (const auto& [key, value] : facts_) absl::StrAppend(&text, "- ", key, ": ", value, "\n");
  absl::StrAppend(&text, "\n| what | database | median | unit | ratio | to | repeats |\n",
                  "|---|---|---:|---|---:|---|---:|\n");
  for (const Row& row : Rows()) {
    absl::StrAppend(&text, "| `", row.name, "` | ", row.backend, " | ", Shown(row.value), " | ",
                    row.unit, " | ", RatioShown(row), " | ",
                    row.to.empty() ? "" : absl::StrCat("`", row.to, "`"), " | ", row.repeats,
                    " |\n");
  }
  if (!notes_.empty()) absl::StrAppend(&text, "\n");
  for (const std::string& note : notes_) absl::StrAppend(&text, "- note: ", note, "\n");
  return text;
}

}  // namespace handrail::benchmark
