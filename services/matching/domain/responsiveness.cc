#include "services/matching/domain/responsiveness.h"

#include <algorithm>

namespace handrail::matching {
namespace {

// Whoever is not known stands in the middle, as in every factor of the score.
constexpr double kUnknown = 0.5;
// The share of the newest: about the last seven answers count.
constexpr double kNewest = 0.25;
constexpr absl::Duration kHalfWorth = absl::Hours(8);

double After(double before, double worth) {
  const double from = before < 0 ? kUnknown : std::min(before, 1.0);
  return from + kNewest * (worth - from);
}

}  // namespace

double AfterAnswer(double before, absl::Duration reply) {
  const double halves = absl::FDivDuration(std::max(reply, absl::ZeroDuration()), kHalfWorth);
  return After(before, 1 / (1 + halves));
}

double AfterSilence(double before) { return After(before, 0); }

}  // namespace handrail::matching
