#include "services/matching/domain/choice_ledger.h"

namespace handrail::matching {

int64_t DayOf(absl::Time now) {
  const int64_t seconds = absl::ToUnixSeconds(now);
  return seconds / 86400 - (seconds % 86400 < 0 ? 1 : 0);
}

absl::Time NextDay(absl::Time now) { return absl::FromUnixSeconds((DayOf(now) + 1) * 86400); }

}  // namespace handrail::matching
