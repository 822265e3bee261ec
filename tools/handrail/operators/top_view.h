#ifndef HANDRAIL_TOOLS_HANDRAIL_OPERATORS_TOP_VIEW_H_
#define HANDRAIL_TOOLS_HANDRAIL_OPERATORS_TOP_VIEW_H_

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "handrail/matching/v1/operator.pb.h"
#include "tools/handrail/operators/metrics_text.h"

namespace handrail::tools {

// One service as it was a moment ago.
struct ServiceSample {
  bool answers = false;  // its admin port
  bool ready = false;
  std::string trouble;  // what /readyz says when it is not
  Metrics metrics;
};

// Everything `handrail top` looks at, at one moment.
struct TopSample {
  absl::Time time;
  std::map<std::string, ServiceSample> services;  // by name
  std::vector<matching::v1::Pool> pools;
  absl::Time pools_time = absl::InfinitePast();  // when they were read; InfinitePast when never
  std::string pools_trouble;                     // why they could not be read the last time
};

enum class Paint : uint8_t { kPlain = 0, kAnsi = 1 };

// The screen of one moment, with rates since `before`. At most `height` lines.
std::string TopScreen(const TopSample& before, const TopSample& now, int height, Paint paint);

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_OPERATORS_TOP_VIEW_H_
