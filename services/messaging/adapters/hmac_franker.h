#ifndef HANDRAIL_SERVICES_MESSAGING_ADAPTERS_HMAC_FRANKER_H_
#define HANDRAIL_SERVICES_MESSAGING_ADAPTERS_HMAC_FRANKER_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/crypto/derived_keys.h"
#include "services/messaging/domain/franking.h"

namespace handrail::messaging {

// What the keys of stamps are derived for, of the service's key ring.
inline constexpr absl::string_view kStampPurpose = "messaging/franking-stamp";

// HMAC-SHA256 (RFC 2104) under keys that rotate: the newest stamps, all verify. Comparing takes the
// same time wherever two differ. Thread-safe.
class HmacFranker final : public Franker {
 public:
  // At least one; the last is the newest.
  explicit HmacFranker(std::vector<crypto::DerivedKey> keys) : keys_(std::move(keys)) {}

  Franking Stamp(const StampedMessage& message) const override;
  bool IsStampOf(const StampedMessage& message, absl::string_view key_id,
                 absl::string_view stamp) const override;
  bool Opens(absl::string_view commitment, absl::string_view franking_key,
             absl::string_view content) const override;

 private:
  const std::vector<crypto::DerivedKey> keys_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_ADAPTERS_HMAC_FRANKER_H_
