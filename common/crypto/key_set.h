#ifndef HANDRAIL_COMMON_CRYPTO_KEY_SET_H_
#define HANDRAIL_COMMON_CRYPTO_KEY_SET_H_

#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/crypto/ed25519.h"

namespace handrail::crypto {

// Public keys by key id.
using KeySet = std::map<std::string, VerifyKey, std::less<>>;

// A JSON Web Key Set (RFC 7517) of Ed25519 keys (RFC 8037), for publishing.
std::string EncodeKeySet(const KeySet& keys);

// At most 64 KiB and 64 keys. Keys of another type or curve are skipped, as RFC 7517 §5 asks; an
// Ed25519 key must have a kid of its own, a valid x, and, where present, use "sig" and alg "EdDSA".
// A set that holds a private key is refused: someone has published what must stay secret.
// INVALID_ARGUMENT / CONFIGURATION_INVALID.
absl::StatusOr<KeySet> ParseKeySet(absl::string_view json);

// The thumbprint of a key (RFC 7638), base64url: a kid that cannot clash.
std::string KeyIdOf(const VerifyKey& key);

// 1 to 64 characters of A-Z a-z 0-9 _ -.
bool IsValidKeyId(absl::string_view key_id);

}  // namespace handrail::crypto

#endif  // HANDRAIL_COMMON_CRYPTO_KEY_SET_H_
