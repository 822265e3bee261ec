#include "common/crypto/sha256_stream.h"

#include <openssl/evp.h>

#include <cstdlib>

#include "common/crypto/hash.h"

namespace handrail::crypto {
namespace {

// SHA-256 of bytes in memory fails only when there is no memory left, or no OpenSSL to speak of.
void Must(int result) {
  if (result != 1) std::abort();
}

}  // namespace

void Sha256Stream::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256Stream::Sha256Stream() : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr) std::abort();
  Must(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
}

void Sha256Stream::Add(absl::string_view bytes) {
  Must(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

std::string Sha256Stream::Finish() {
  std::string digest(kSha256Bytes, '\0');
  Must(
      EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr));
  return digest;
}

}  // namespace handrail::crypto
