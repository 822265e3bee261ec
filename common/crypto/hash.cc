#include "common/crypto/hash.h"

#include <openssl/sha.h>

namespace handrail::crypto {
namespace {

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string LengthPrefix(uint64_t size) {
  std::string out(8, '\0');
  for (size_t i = 0; i < 8; ++i) out[i] = static_cast<char>(size >> (56 - 8 * i));
  return out;
}

}  // namespace

std::string Sha256(absl::string_view data) {
  // OpenSSL's uses the processor's SHA instructions; this is on the path of every call.
  std::string digest(kSha256Bytes, '\0');
  SHA256(Bytes(data), data.size(), reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

std::string HmacSha256(absl::string_view key, absl::string_view data) {
  std::string mac(crypto_auth_hmacsha256_BYTES, '\0');
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, Bytes(key), key.size());
  crypto_auth_hmacsha256_update(&state, Bytes(data), data.size());
  crypto_auth_hmacsha256_final(&state, reinterpret_cast<unsigned char*>(mac.data()));
  sodium_memzero(&state, sizeof(state));
  return mac;
}

bool ConstantTimeEquals(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

Sha256Hasher::Sha256Hasher() { crypto_hash_sha256_init(&state_); }

Sha256Hasher& Sha256Hasher::Add(absl::string_view field) {
  const std::string prefix = LengthPrefix(field.size());
  crypto_hash_sha256_update(&state_, Bytes(prefix), prefix.size());
  crypto_hash_sha256_update(&state_, Bytes(field), field.size());
  return *this;
}

Sha256Hasher& Sha256Hasher::Add(int64_t number) {
  return Add(LengthPrefix(static_cast<uint64_t>(number)));
}

std::string Sha256Hasher::Finish() {
  std::string digest(crypto_hash_sha256_BYTES, '\0');
  crypto_hash_sha256_final(&state_, reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

void AppendField(std::string& out, absl::string_view field) {
  out += LengthPrefix(field.size());
  out.append(field.data(), field.size());
}

}  // namespace handrail::crypto
