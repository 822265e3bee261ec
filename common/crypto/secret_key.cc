#include "common/crypto/secret_key.h"

#include <sodium.h>

#include <cstdlib>
#include <cstring>

#include "common/base/status.h"

namespace handrail::crypto {

void EnsureSodium() {
  static const int result = sodium_init();
  if (result < 0) std::abort();
}

GuardedBytes::GuardedBytes(size_t size) : size_(size) {
  EnsureSodium();
  bytes_.reset(static_cast<unsigned char*>(sodium_malloc(size)));
  if (bytes_ == nullptr) std::abort();  // out of memory
}

void GuardedBytes::Deleter::operator()(unsigned char* bytes) const { sodium_free(bytes); }

SecretKey SecretKey::Generate(Random& random) {
  SecretKey key;
  random.Fill(key.bytes_.data(), kBytes);
  return key;
}

absl::StatusOr<SecretKey> SecretKey::FromBytes(absl::string_view bytes) {
  if (bytes.size() != kBytes) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
        .Message("a secret key must have 32 bytes");
  }
  SecretKey key;
  std::memcpy(key.bytes_.data(), bytes.data(), kBytes);
  return key;
}

void Wipe(std::string& text) {
  if (!text.empty()) sodium_memzero(text.data(), text.size());
  text.clear();
}

}  // namespace handrail::crypto
