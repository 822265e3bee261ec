#ifndef HANDRAIL_SERVICES_PROFILES_DOMAIN_CASES_H_
#define HANDRAIL_SERVICES_PROFILES_DOMAIN_CASES_H_

#include "absl/status/status.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "services/profiles/domain/store.h"

namespace handrail::profiles {

// Cases for the people who look after them. Thread-safe.
class Cases {
 public:
  // Both must outlive it.
  Cases(Store& store, const Clock& clock) : store_(store), clock_(clock) {}

  // Keeps a case that another service has verified, once for its id; what is kept first stays.
  // NOT_FOUND when the reporter is not here, or is here no more.
  absl::Status Open(const Call& call, Case opened);

 private:
  Store& store_;
  const Clock& clock_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_DOMAIN_CASES_H_
