#ifndef HANDRAIL_SERVICES_MESSAGING_ADAPTERS_WEBHOOK_SIGNER_H_
#define HANDRAIL_SERVICES_MESSAGING_ADAPTERS_WEBHOOK_SIGNER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/crypto/secret_key.h"

namespace handrail::messaging {

// Signs as the Standard Webhooks specification 1.0.0 says, symmetric: HMAC-SHA256 over
// "<id>.<timestamp>.<body>". Every secret signs, so that sender and receiver can change to a new
// one at different times. Thread-safe.
class WebhookSigner {
 public:
  // A file of lines `whsec_<base64>`, each of 24 to 64 random bytes, at most 4; empty lines and
  // those that begin with # do not count. Must be a regular file that not everybody may read.
  // INVALID_ARGUMENT / CONFIGURATION_INVALID.
  static absl::StatusOr<WebhookSigner> Load(const std::string& path);
  static absl::StatusOr<WebhookSigner> Parse(absl::string_view text);

  // The value of webhook-signature. `id` has no full stop. `timestamp` is in seconds since 1970.
  std::string Sign(absl::string_view id, int64_t timestamp, absl::string_view body) const;

 private:
  WebhookSigner() = default;
  absl::Status AddSecret(absl::string_view line, int number);

  std::vector<crypto::GuardedBytes> secrets_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_ADAPTERS_WEBHOOK_SIGNER_H_
