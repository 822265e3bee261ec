#ifndef HANDRAIL_TOOLS_HANDRAIL_OPERATORS_METRICS_TEXT_H_
#define HANDRAIL_TOOLS_HANDRAIL_OPERATORS_METRICS_TEXT_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace handrail::tools {

// What a service says of itself on /metrics, in the Prometheus text format. Lines that cannot be
// read are left out; values that are no finite number too.
class Metrics {
 public:
  static Metrics Parse(absl::string_view text);

  bool Has(absl::string_view name) const;
  // The sum over all series of this name whose labels contain each of `labels` ("code=\"OK\"") and
  // none of `without`; 0 when there is none.
  double Sum(absl::string_view name, const std::vector<std::string>& labels = {},
             const std::vector<std::string>& without = {}) const;
  double Max(absl::string_view name) const;  // 0 when there is none
  bool empty() const { return series_.empty(); }

 private:
  struct Series {
    std::string labels;  // between the braces
    double value = 0;
  };
  std::map<std::string, std::vector<Series>> series_;  // by name
};

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_OPERATORS_METRICS_TEXT_H_
