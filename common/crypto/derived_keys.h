#ifndef HANDRAIL_COMMON_CRYPTO_DERIVED_KEYS_H_
#define HANDRAIL_COMMON_CRYPTO_DERIVED_KEYS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/crypto/secret_key.h"
#include "common/crypto/vault.h"

namespace handrail::crypto {

// A key for one purpose, made from one line of a key ring's file: HMAC-SHA256 of the purpose under
// the key of that line. It rotates with the ring, and says nothing of the ring's key or of keys for
// other purposes.
struct DerivedKey {
  std::string id;  // of the line
  SecretKey key;
};

// One for each line but `index`, in the file's order: the last is the newest. `text` as of
// KeyRing::Parse, with its codes.
absl::StatusOr<std::vector<DerivedKey>> ParseDerivedKeys(absl::string_view text,
                                                         absl::string_view purpose);
// Codes of KeyRing::Load.
absl::StatusOr<std::vector<DerivedKey>> LoadDerivedKeys(
    const std::string& path, absl::string_view purpose,
    KeyFilePolicy policy = KeyFilePolicy::kOwnerOnly);

}  // namespace handrail::crypto

#endif  // HANDRAIL_COMMON_CRYPTO_DERIVED_KEYS_H_
