#ifndef HANDRAIL_SERVICES_PROFILES_DOMAIN_AVOID_LIST_H_
#define HANDRAIL_SERVICES_PROFILES_DOMAIN_AVOID_LIST_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "services/profiles/domain/store.h"

namespace handrail::profiles {

// No more than a snapshot may name (common.v1.MemberSnapshot.avoided).
inline constexpr int kAvoidedLimit = 100;

// Each member's private list of people whom they know and do not wish to be matched with. Matching
// hears of it with the member's next snapshot, within seconds; nobody else does. Thread-safe.
class AvoidList {
 public:
  // `changed` is called when entries are left in the outbox.
  AvoidList(Store& store, const Clock& clock, std::function<void()> changed)
      : store_(store), clock_(clock), changed_(std::move(changed)) {}

  // Who is on the list already gets the relation that is said now. INVALID_ARGUMENT / FIELD_INVALID
  // for oneself, NOT_FOUND, RESOURCE_EXHAUSTED / QUEUE_FULL.
  absl::StatusOr<AvoidedMember> Avoid(const Call& call, const MemberId& other, Relation relation);
  // Nothing happens when the person is not on the list.
  absl::Status StopAvoiding(const Call& call, const MemberId& other);
  // The caller's own, newest first.
  absl::StatusOr<Page<AvoidedMember>> List(const Call& call, const PageRequest& page);

 private:
  Store& store_;
  const Clock& clock_;
  const std::function<void()> changed_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_DOMAIN_AVOID_LIST_H_
