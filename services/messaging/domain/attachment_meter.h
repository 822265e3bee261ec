#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_ATTACHMENT_METER_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_ATTACHMENT_METER_H_

#include <cstdint>

#include "absl/status/status.h"

namespace handrail::messaging {

// Is told how much goes through, never what or whose. Thread-safe; does not block.
class AttachmentMeter {
 public:
  virtual ~AttachmentMeter() = default;
  // An attachment was begun, or refused with a reason.
  virtual void OnBegun(const absl::Status& status) = 0;
  // An attachment was finished, or why not.
  virtual void OnFinished(const absl::Status& status) = 0;
  // Bytes that a member put, and bytes that a member fetched.
  virtual void OnStored(int64_t bytes) = 0;
  virtual void OnFetched(int64_t bytes) = 0;
  // Attachments of which nothing is left.
  virtual void OnSwept(int64_t attachments) = 0;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_ATTACHMENT_METER_H_
