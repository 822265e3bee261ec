#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_METER_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_METER_H_

#include <cstdint>

#include "absl/status/status.h"
#include "services/messaging/domain/invalid_commits.h"

namespace handrail::messaging {

// Is told what goes through. Thread-safe; does not block.
class Meter {
 public:
  virtual ~Meter() = default;
  // A message was accepted, or refused with a reason.
  virtual void OnSend(const absl::Status& status) = 0;
  // Messages that were handed to a stream or a page.
  virtual void OnDelivered(int64_t messages) = 0;
  // A conversation's group was started anew.
  virtual void OnGroupReset() = 0;
  // A device said that it cannot follow a commit, and was told what to do.
  virtual void OnInvalidCommit(Mending mending) = 0;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_METER_H_
