#include "services/matching/domain/texts.h"

namespace handrail::matching {

absl::Span<const absl::string_view> TextKeys() {
  static constexpr absl::string_view kKeys[] = {
      "reason.PATHWAY",    "reason.AVAILABILITY", "reason.RESPONSIVE", "reason.SHARED_EXPERIENCE",
      "reason.LIFE_STAGE", "reason.ENGAGEMENT",   "reason.CONTACT",    "reason.LOCALITY",
      "reason.HAS_TIME",   "reason.SUBSTANCE",
  };
  return kKeys;
}

}  // namespace handrail::matching
