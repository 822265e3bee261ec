#include "common/crypto/sealed_token.h"

#include <sodium.h>

#include "common/crypto/base64url.h"
#include "common/crypto/hash.h"

namespace handrail::crypto {
namespace {

constexpr char kVersion = 1;
constexpr size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr size_t kOverhead = 1 + kNonceBytes + kTagBytes;

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* MutableBytes(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

}  // namespace

std::string SealedTokenCodec::AssociatedData(absl::string_view holder) const {
  std::string data;
  AppendField(data, "handrail/sealed-token/v1");
  AppendField(data, purpose_);
  AppendField(data, holder);
  return data;
}

std::string SealedTokenCodec::Make(absl::string_view holder, absl::string_view content,
                                   Random& random) const {
  const std::string associated = AssociatedData(holder);
  std::string token(kOverhead + content.size(), '\0');
  token[0] = kVersion;
  random.Fill(token.data() + 1, kNonceBytes);
  crypto_aead_xchacha20poly1305_ietf_encrypt(
      MutableBytes(token) + 1 + kNonceBytes, nullptr, Bytes(content), content.size(),
      Bytes(associated), associated.size(), nullptr, Bytes(token) + 1, Bytes(key_.Reveal()));
  return Base64UrlEncode(token);
}

std::optional<std::string> SealedTokenCodec::Open(absl::string_view holder,
                                                  absl::string_view token) const {
  if (token.size() > (kOverhead + kMaxSealedTokenBytes) * 4 / 3 + 4) return std::nullopt;
  const auto sealed = Base64UrlDecode(token);
  if (!sealed.has_value() || sealed->size() < kOverhead || (*sealed)[0] != kVersion) {
    return std::nullopt;
  }
  const std::string associated = AssociatedData(holder);
  std::string content(sealed->size() - kOverhead, '\0');
  const absl::string_view enciphered = absl::string_view(*sealed).substr(1 + kNonceBytes);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          MutableBytes(content), nullptr, nullptr, Bytes(enciphered), enciphered.size(),
          Bytes(associated), associated.size(), Bytes(*sealed) + 1, Bytes(key_.Reveal())) != 0) {
    return std::nullopt;
  }
  return content;
}

}  // namespace handrail::crypto
