#ifndef HANDRAIL_COMMON_CRYPTO_HASH_H_
#define HANDRAIL_COMMON_CRYPTO_HASH_H_

#include <sodium.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace handrail::crypto {

inline constexpr size_t kSha256Bytes = 32;

// 32 bytes (FIPS 180-4).
std::string Sha256(absl::string_view data);
// 32 bytes (RFC 2104 with SHA-256). The key may have any length; 32 random bytes are the norm.
std::string HmacSha256(absl::string_view key, absl::string_view data);
// Takes the same time wherever the two differ. The lengths are not secret.
bool ConstantTimeEquals(absl::string_view a, absl::string_view b);

// SHA-256 over a list of fields. Each field goes in behind its length, so that no two lists give
// the same input: ("ab", "c") and ("a", "bc") differ. Not thread-safe.
class Sha256Hasher {
 public:
  Sha256Hasher();
  Sha256Hasher& Add(absl::string_view field);
  Sha256Hasher& Add(int64_t number);
  // 32 bytes. Once; the hasher is spent.
  std::string Finish();

 private:
  crypto_hash_sha256_state state_;
};

// The fields one after the other, each behind its length as 8 bytes, big-endian: what Sha256Hasher
// hashes, for use under a MAC or as associated data.
void AppendField(std::string& out, absl::string_view field);

}  // namespace handrail::crypto

#endif  // HANDRAIL_COMMON_CRYPTO_HASH_H_
