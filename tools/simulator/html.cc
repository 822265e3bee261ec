#include <algorithm>
#include <cmath>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "tools/simulator/report.h"

// The page. Bars and dots are all it needs, so it draws them itself: a chart library would have to
// travel with the operator's command and run a script in the reader's browser.
namespace handrail::simulator {
namespace {

std::string Escaped(absl::string_view text) {
  return absl::StrReplaceAll(text,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

constexpr char kHead[] = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Handrail: simulation of matching</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 13px; } td, th { padding: .2rem .5rem; text-align: right; }
th { border-bottom: 2px solid #888; } tr:nth-child(even) { background: #8881; } .ours { font-weight: bold; }
td:first-child, td:nth-child(2), th:first-child, th:nth-child(2) { text-align: left; }
svg text { font: 12px system-ui, sans-serif; fill: currentColor; } svg { max-width: 100%; }
.charts { display: flex; flex-wrap: wrap; gap: 1.5rem; }
</style></head><body>
)";

const char* ColorOf(absl::string_view policy) {
  if (policy == "handrail") return "#0a7d5a";
  if (policy == "fcfs") return "#888888";
  return "#9db8d9";
}

// The ends of a scale; wide enough to tell values apart, and never of no width.
struct Scale {
  double least = 0;
  double most = 1;
  double At(double value, double pixels) const {
    return pixels * std::clamp((value - least) / (most - least), 0.0, 1.0);
  }
};

std::string Bars(const std::string& title, const std::vector<const Measures*>& rows,
                 const std::function<double(const Measures&)>& value) {
  constexpr int kRow = 22;
  double most = 0;
  for (const Measures* row : rows) most = std::max(most, value(*row));
  const Scale scale{0, most > 0 ? most : 1};
  std::string svg = absl::StrFormat(
      "<svg role=\"img\" width=\"420\" height=\"%d\"><text x=\"0\" y=\"14\">%s</text>\n",
      static_cast<int>(rows.size()) * kRow + 26, Escaped(title));
  int y = 26;
  for (const Measures* row : rows) {
    absl::StrAppendFormat(&svg,
                          "<text x=\"0\" y=\"%d\">%s</text><rect x=\"110\" y=\"%d\" width=\"%.1f\" "
                          "height=\"16\" fill=\"%s\"/><text x=\"%.1f\" y=\"%d\">%.4g</text>\n",
                          y + 13, Escaped(row->policy), y, scale.At(value(*row), 230),
                          ColorOf(row->policy), 114 + scale.At(value(*row), 230), y + 13,
                          value(*row));
    y += kRow;
  }
  return svg + "</svg>\n";
}

// Each row a dot: how long the unlucky wait, beside how well people fit.
std::string Dots(const std::string& title, const std::vector<const Measures*>& rows) {
  constexpr double kWidth = 520;
  constexpr double kHeight = 300;
  Scale x{1e9, 0};
  Scale y{1e9, 0};
  for (const Measures* row : rows) {
    x = {std::min(x.least, row->p99_wait_vs_fcfs), std::max(x.most, row->p99_wait_vs_fcfs)};
    y = {std::min(y.least, row->score_vs_optimum), std::max(y.most, row->score_vs_optimum)};
  }
  x = {x.least - 0.05, x.most + 0.05};
  y = {y.least - 0.02, y.most + 0.02};
  std::string svg = absl::StrFormat(
      "<svg role=\"img\" width=\"700\" height=\"370\"><text x=\"0\" y=\"14\">%s</text>\n"
      "<rect x=\"50\" y=\"26\" width=\"%g\" height=\"%g\" fill=\"none\" stroke=\"#888\"/>\n"
      "<text x=\"50\" y=\"345\">%.2f</text><text x=\"540\" y=\"345\">%.2f</text>"
      "<text x=\"180\" y=\"360\">p99 of the wait, first-come-first-served is 1</text>\n"
      "<text x=\"0\" y=\"326\">%.2f</text><text x=\"0\" y=\"40\">%.2f</text>"
      "<text x=\"0\" y=\"180\">fit</text>\n",
      Escaped(title), kWidth, kHeight, x.least, x.most, y.least, y.most);
  for (const Measures* row : rows) {
    const double at_x = 50 + x.At(row->p99_wait_vs_fcfs, kWidth);
    const double at_y = 326 - y.At(row->score_vs_optimum, kHeight);
    absl::StrAppendFormat(&svg,
                          "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"><title>%s: %.3f, "
                          "%.3f</title></circle><text x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                          at_x, at_y, ColorOf(row->policy), Escaped(row->policy),
                          row->p99_wait_vs_fcfs, row->score_vs_optimum, at_x + 6, at_y + 4,
                          Escaped(row->policy));
  }
  return svg + "</svg>\n";
}

std::string TableOf(const std::vector<const Measures*>& rows) {
  std::string html =
      "<table><tr><th>supply<th>policy<th>matched<th>score<th>of the bound<th>of the optimum"
      "<th>first offer p50<th>p99<th>pairing p50<th>p90<th>p99<th>to FCFS<th>offers a pairing"
      "<th>Gini<th>starved<th>blocking</tr>\n";
  for (const Measures* row : rows) {
    const Percentiles offer = row->WaitToOffer();
    const Percentiles wait = row->WaitToPairing();
    absl::StrAppendFormat(
        &html, "<tr%s><td>%s<td>%s<td>%.3f<td>%.2f<td>%.3f<td>%.3f<td>%.1f<td>%.1f<td>%.1f",
        row->policy == "handrail" ? " class=\"ours\"" : "", Escaped(row->supply),
        Escaped(row->policy), row->matched, row->mean_score, row->score_vs_bound,
        row->score_vs_optimum, offer.p50, offer.p99, wait.p50);
    absl::StrAppendFormat(&html, "<td>%.1f<td>%.1f<td>%.3f<td>%.2f<td>%.3f<td>%d<td>%d</tr>\n",
                          wait.p90, wait.p99, row->p99_wait_vs_fcfs, row->offers_per_pairing,
                          row->gini, row->starved, row->blocking_pairs);
  }
  return html + "</table>\n";
}

std::string GroupsOf(const Measures& row) {
  std::string html = absl::StrFormat(
      "<h3>Waits by language and program, supply %s, our policy</h3><table><tr><th>language"
      "<th>program<th>paired<th>first offer p50<th>p90<th>p99<th>pairing p50<th>p90<th>p99</tr>\n",
      Escaped(row.supply));
  for (const auto& [group, waits] : row.groups) {
    const Percentiles offer = PercentilesOf(waits.first_offer);
    const Percentiles pairing = PercentilesOf(waits.pairing);
    absl::StrAppendFormat(
        &html, "<tr><td>%s<td>%s<td>%d<td>%.1f<td>%.1f<td>%.1f<td>%.1f<td>%.1f<td>%.1f</tr>\n",
        Escaped(group.language), Escaped(group.program), pairing.count, offer.p50, offer.p90,
        offer.p99, pairing.p50, pairing.p90, pairing.p99);
  }
  return html + "</table>\n";
}

}  // namespace

std::string ToHtml(const Report& report) {
  std::string html = kHead;
  absl::StrAppendFormat(
      &html,
      "<h1>Simulation of matching</h1><p>%d newcomers in %d days, %d logs from seed %d, people of "
      "%s. Waits in hours. What each measure means stands in docs/simulation.md.</p>\n",
      report.options.newcomers, report.options.days, report.options.repeats, report.options.seed,
      Escaped(report.population));
  for (const std::string& supply : SupplyNames()) {
    std::vector<const Measures*> rows;
    for (const Measures& row : report.rows) {
      if (row.supply == supply) rows.push_back(&row);
    }
    if (rows.empty()) continue;
    absl::StrAppend(&html, "<h2>Supply: ", supply, "</h2>\n", TableOf(rows),
                    "<div class=\"charts\">\n");
    absl::StrAppend(
        &html,
        Bars("Fit: mean score, the offline optimum is 1", rows,
             [](const Measures& row) { return row.score_vs_optimum; }),
        Bars("Wait to pairing, p99, hours", rows,
             [](const Measures& row) { return row.WaitToPairing().p99; }),
        Bars("Inequality of load (Gini)", rows, [](const Measures& row) { return row.gini; }),
        Bars("Offers a pairing", rows, [](const Measures& row) { return row.offers_per_pairing; }));
    absl::StrAppend(&html, Dots("Wait and fit", rows), "</div>\n");
    for (const Measures* row : rows) {
      if (row->policy == "handrail") absl::StrAppend(&html, GroupsOf(*row));
    }
  }
  if (!report.curve.empty()) {
    std::vector<const Measures*> rows;
    for (const Measures& row : report.curve) rows.push_back(&row);
    absl::StrAppend(&html, "<h2>Our policy over aging and window, seats scarce</h2>\n",
                    Dots("Wait and fit", rows), TableOf(rows));
  }
  return html + "</body></html>\n";
}

}  // namespace handrail::simulator
