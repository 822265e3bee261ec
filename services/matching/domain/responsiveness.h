#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_RESPONSIVENESS_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_RESPONSIVENESS_H_

#include "absl/time/time.h"

// How soon a sponsor tends to answer, as one number that the score takes (domain.md 3.2: "smoothed
// time-to-reply"). An answer counts for its time alone: to take an offer and not to take it are
// the same.
namespace handrail::matching {

// What it is after an answer that took `reply` (0 or more), from what it was before: 0..1, or
// negative when nothing was known. An answer at once is worth 1, one after 8 hours half of that.
double AfterAnswer(double before, absl::Duration reply);

// What it is after an offer that ran out without an answer.
double AfterSilence(double before);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_RESPONSIVENESS_H_
