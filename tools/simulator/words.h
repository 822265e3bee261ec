#ifndef HANDRAIL_TOOLS_SIMULATOR_WORDS_H_
#define HANDRAIL_TOOLS_SIMULATOR_WORDS_H_

#include "absl/strings/string_view.h"
#include "services/matching/domain/traits.h"

namespace handrail::simulator {

// What a reader of a report calls the program: "AA"; "other" for those that no world has.
inline absl::string_view NameOf(matching::Philosophy philosophy) {
  using matching::Philosophy;
  switch (philosophy) {
    case Philosophy::kTwelveStepAa: return "AA";
    case Philosophy::kTwelveStepNa: return "NA";
    case Philosophy::kTwelveStepCa: return "CA";
    case Philosophy::kTwelveStepCma: return "CMA";
    case Philosophy::kSmart: return "SMART";
    case Philosophy::kRecoveryDharma: return "Recovery Dharma";
    case Philosophy::kCelebrateRecovery: return "Celebrate Recovery";
    default: return "other";
  }
}

}  // namespace handrail::simulator

#endif  // HANDRAIL_TOOLS_SIMULATOR_WORDS_H_
