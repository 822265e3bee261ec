#ifndef HANDRAIL_SERVICES_PROFILES_DOMAIN_CONSENT_H_
#define HANDRAIL_SERVICES_PROFILES_DOMAIN_CONSENT_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "services/profiles/domain/store.h"

namespace handrail::profiles {

// What a person was shown when they agreed.
struct Notice {
  std::string version;
  std::string language;  // BCP 47
};

// A receipt for every consent, withdrawable. At most one receipt of a purpose stands at a time.
// Thread-safe.
class Consent {
 public:
  // `changed` is called after a commit that other services must hear of.
  Consent(Store& store, const Clock& clock, Random& random, std::function<void()> changed);

  // Agreeing twice to the same version of a notice returns the same receipt. Agreeing to another
  // version closes the receipt that stands and opens a new one, without a moment between.
  absl::StatusOr<ConsentReceipt> Grant(const Call& call, ConsentPurpose purpose,
                                       const Notice& notice);

  // Withdrawing twice returns the same receipt. NOT_FOUND when the person never agreed.
  absl::StatusOr<ConsentReceipt> Withdraw(const Call& call, ConsentPurpose purpose);

  // Newest first.
  absl::StatusOr<Page<ConsentReceipt>> List(const Call& call, const PageRequest& page);

 private:
  Store& store_;
  const Clock& clock_;
  Random& random_;
  const std::function<void()> changed_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_DOMAIN_CONSENT_H_
