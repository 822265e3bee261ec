#include "tools/handrail/client/device_code.h"

#include <optional>
#include <string>

#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/crypto/base64url.h"

namespace handrail::tools {
namespace {

constexpr char kPrefix[] = "handrail1.";
constexpr size_t kKeyBytes = 32;
constexpr size_t kChallengeBytes = 32;
constexpr size_t kSignatureBytes = 64;

}  // namespace

absl::StatusOr<profiles::v1::DeviceProof> ParseDeviceCode(absl::string_view code) {
  std::optional<std::string> bytes;
  if (absl::ConsumePrefix(&code, kPrefix)) bytes = crypto::Base64UrlDecode(code);
  if (!bytes || bytes->size() != kKeyBytes + kChallengeBytes + kSignatureBytes) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kFieldInvalid)
        .Message("that is no code of a device; copy all of what handrail-chat join shows");
  }
  profiles::v1::DeviceProof proof;
  proof.set_public_key(bytes->substr(0, kKeyBytes));
  proof.set_challenge(bytes->substr(kKeyBytes, kChallengeBytes));
  proof.set_signature(bytes->substr(kKeyBytes + kChallengeBytes));
  return proof;
}

}  // namespace handrail::tools
