#ifndef HANDRAIL_TOOLS_BENCHMARK_REPORT_H_
#define HANDRAIL_TOOLS_BENCHMARK_REPORT_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace handrail::benchmark {

// One figure of one repeat. `to` names the figure of the same repeat that it is compared with.
struct Sample {
  std::string name;
  std::string backend;  // "sqlite", "postgres", or "-" for what has no database
  double value = 0;
  std::string unit;
  std::string to;  // empty: nothing
};

// A figure over all repeats: medians.
struct Row {
  std::string name;
  std::string backend;
  double value = 0;
  std::string unit;
  double ratio = 0;  // 0 without `to`: the median of the ratios, each within its repeat
  std::string to;
  int repeats = 0;
};

double Median(std::vector<double> values);

// Collects samples, repeat by repeat.
class Report {
 public:
  // The following samples belong together: a ratio is taken between samples of one round.
  void BeginRound();
  void Add(Sample sample);
  // Something a reader of the figures must know.
  void Note(std::string text);
  // What the figures were measured on: shown as "key: value".
  void Fact(std::string key, std::string value);

  std::vector<Row> Rows() const;
  std::string Table() const;
  std::string Json() const;
  std::string Markdown() const;
  bool empty() const { return rounds_.empty(); }

 private:
  std::vector<std::vector<Sample>> rounds_;
  std::vector<std::pair<std::string, std::string>> facts_;
  std::vector<std::string> notes_;
};

// `document` with what stands between its lines "<!-- figures: begin -->" and "<!-- figures: end
// -->" replaced by `figures`; `figures` alone when it has no such lines.
std::string PutFigures(const std::string& document, const std::string& figures);

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_REPORT_H_
