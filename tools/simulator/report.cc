#include "tools/simulator/report.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace handrail::simulator {
namespace {

using nlohmann::ordered_json;

constexpr char kOurs[] = "handrail";
// Percentiles of fewer people say little.
constexpr int64_t kSmallestGroup = 30;

// JSON with as many digits as mean something.
double Round(double value) { return std::round(value * 1e4) / 1e4; }

ordered_json ToJson(const Percentiles& waits) {
  return {{"p50", Round(waits.p50)},
          {"p90", Round(waits.p90)},
          {"p99", Round(waits.p99)},
          {"count", waits.count}};
}

ordered_json ToJson(const Measures& row) {
  ordered_json groups = ordered_json::array();
  for (const auto& [group, waits] : row.groups) {
    groups.push_back({{"language", group.language},
                      {"program", group.program},
                      {"wait_to_first_offer", ToJson(PercentilesOf(waits.first_offer))},
                      {"wait_to_pairing", ToJson(PercentilesOf(waits.pairing))}});
  }
  return {{"supply", row.supply},
          {"policy", row.policy},
          {"matched", Round(row.matched)},
          {"score_vs_bound", Round(row.score_vs_bound)},
          {"score_vs_optimum", Round(row.score_vs_optimum)},
          {"p99_wait", Round(row.WaitToPairing().p99)},
          {"p99_wait_vs_fcfs", Round(row.p99_wait_vs_fcfs)},
          {"gini", Round(row.gini)},
          {"starved", row.starved},
          {"blocking_pairs", row.blocking_pairs},
          {"newcomers", row.newcomers},
          {"sponsors", row.sponsors},
          {"mean_score", Round(row.mean_score)},
          {"mean_wait", Round(MeanOf(row.waits.pairing))},
          {"mean_wait_vs_fcfs", Round(row.mean_wait_vs_fcfs)},
          {"offers_per_pairing", Round(row.offers_per_pairing)},
          {"wait_to_first_offer", ToJson(row.WaitToOffer())},
          {"wait_to_pairing", ToJson(row.WaitToPairing())},
          {"by_group", groups}};
}

void AddTable(const std::vector<Measures>& rows, std::string& text) {
  absl::StrAppendFormat(&text, "%-9s %-24s %7s %6s %6s %7s %17s %23s %6s %6s %6s %7s %9s\n",
                        "supply", "policy", "matched", "score", "/bound", "/optim.",
                        "to offer p50  p99", "to pairing p50 p90  p99", "/fcfs", "offers", "gini",
                        "starved", "blocking");
  for (const Measures& row : rows) {
    const Percentiles offer = row.WaitToOffer();
    const Percentiles wait = row.WaitToPairing();
    absl::StrAppendFormat(
        &text, "%-9s %-24s %7.3f %6.2f %6.3f %7.3f %11.1f %5.0f %13.1f %4.0f %4.0f %6.3f %6.2f ",
        row.supply, row.policy, row.matched, row.mean_score, row.score_vs_bound,
        row.score_vs_optimum, offer.p50, offer.p99, wait.p50, wait.p90, wait.p99,
        row.p99_wait_vs_fcfs, row.offers_per_pairing);
    absl::StrAppendFormat(&text, "%6.3f %7d %9d\n", row.gini, row.starved, row.blocking_pairs);
  }
}

void AddGroups(const Measures& row, std::string& text) {
  absl::StrAppendFormat(&text, "\nWaits under %s with supply %s, hours, groups of at least %d:\n",
                        row.policy, row.supply, kSmallestGroup);
  for (const auto& [group, waits] : row.groups) {
    const Percentiles offer = PercentilesOf(waits.first_offer);
    const Percentiles pairing = PercentilesOf(waits.pairing);
    if (pairing.count < kSmallestGroup) continue;
    absl::StrAppendFormat(
        &text,
        "  %-3s %-20s %6d people   to offer %6.1f %6.1f %6.1f   to pairing %6.1f %6.1f %6.1f\n",
        group.language, group.program, pairing.count, offer.p50, offer.p90, offer.p99, pairing.p50,
        pairing.p90, pairing.p99);
  }
}

}  // namespace

std::string ToTable(const Report& report) {
  std::string text = absl::StrFormat(
      "%d newcomers in %d days, %d logs from seed %d; people of %s. Waits in hours.\n\n",
      report.options.newcomers, report.options.days, report.options.repeats, report.options.seed,
      report.population);
  AddTable(report.rows, text);
  if (!report.curve.empty()) {
    absl::StrAppend(&text, "\nOur policy over aging and window:\n");
    AddTable(report.curve, text);
  }
  for (const Measures& row : report.rows) {
    if (row.policy == kOurs) AddGroups(row, text);
  }
  return text;
}

std::string ToJson(const Report& report) {
  ordered_json rows = ordered_json::array();
  for (const Measures& row : report.rows) rows.push_back(ToJson(row));
  for (const Measures& row : report.curve) rows.push_back(ToJson(row));
  return rows.dump(2) + "\n";
}

}  // namespace handrail::simulator
