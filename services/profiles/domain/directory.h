#ifndef HANDRAIL_SERVICES_PROFILES_DOMAIN_DIRECTORY_H_
#define HANDRAIL_SERVICES_PROFILES_DOMAIN_DIRECTORY_H_

#include <vector>

#include "absl/status/statusor.h"
#include "common/base/call.h"
#include "services/profiles/domain/store.h"

namespace handrail::profiles {

struct MemberFacts {
  MemberSnapshot snapshot;
  std::vector<Block> blocks;  // by or against the member
};

// What the other services ask. Thread-safe.
class Directory {
 public:
  explicit Directory(Store& store) : store_(store) {}

  // NOT_FOUND.
  absl::StatusOr<MemberFacts> GetMember(const Call& call, const MemberId& member);

  // Devices revoked at or after `since`, oldest first.
  absl::StatusOr<Page<Revocation>> ListRevocations(const Call& call, absl::Time since,
                                                   const PageRequest& page);

 private:
  Store& store_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_DOMAIN_DIRECTORY_H_
