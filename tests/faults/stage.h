#ifndef HANDRAIL_TESTS_FAULTS_STAGE_H_
#define HANDRAIL_TESTS_FAULTS_STAGE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "tests/support/history.h"
#include "tests/support/people.h"

namespace handrail::tests {

// What all players share.
struct Stage {
  tools::Services& services;
  Clock& clock;
  Random& random;
  History& history;
};

// True in so many of a hundred times.
inline bool Chance(Stage& stage, uint64_t percent) { return stage.random.Below(100) < percent; }

// What a service may answer although nothing is wrong is handled by the caller; the rest is a
// finding.
inline void Unexpected(Stage& stage, absl::string_view call, const absl::Status& status) {
  stage.history.Contradiction(absl::StrCat(
      call, " was answered with ", absl::StatusCodeToString(status.code()), " ", ReasonOf(status)));
}

// The id in a resource name; zero when there is none.
template <typename IdType>
IdType IdOf(absl::string_view name) {
  const auto id = IdType::FromName(name);
  return id.ok() ? *id : IdType();
}

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_FAULTS_STAGE_H_
