#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_MEMBER_DIRECTORY_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_MEMBER_DIRECTORY_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "services/messaging/domain/messages.h"

namespace handrail::messaging {

// What profiles knows of a member, asked only when messaging has no copy yet. Thread-safe.
class MemberDirectory {
 public:
  struct Answer {
    MemberSnapshot snapshot;
    std::vector<Block> blocks;  // by or against the member
  };
  virtual ~MemberDirectory() = default;
  // NOT_FOUND; UNAVAILABLE / PEER_UNAVAILABLE; DEADLINE_EXCEEDED. May block until `deadline`.
  virtual absl::StatusOr<Answer> Get(absl::Time deadline, const MemberId& member) = 0;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_MEMBER_DIRECTORY_H_
