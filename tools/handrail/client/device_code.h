#ifndef HANDRAIL_TOOLS_HANDRAIL_CLIENT_DEVICE_CODE_H_
#define HANDRAIL_TOOLS_HANDRAIL_CLIENT_DEVICE_CODE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "handrail/profiles/v1/identity.pb.h"

namespace handrail::tools {

// The proof of a device's key that `handrail-chat join` shows as one word: "handrail1." and, in
// base64url, 32 bytes of key, 32 of challenge and 64 of signature. INVALID_ARGUMENT / FIELD_INVALID
// for what is no such word; whether it is still good, profiles says.
absl::StatusOr<profiles::v1::DeviceProof> ParseDeviceCode(absl::string_view code);

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_CLIENT_DEVICE_CODE_H_
