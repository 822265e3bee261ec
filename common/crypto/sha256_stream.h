#ifndef HANDRAIL_COMMON_CRYPTO_SHA256_STREAM_H_
#define HANDRAIL_COMMON_CRYPTO_SHA256_STREAM_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

// OpenSSL's EVP_MD_CTX.
struct evp_md_ctx_st;

namespace handrail::crypto {

// Plain SHA-256 (FIPS 180-4) of bytes that come piece by piece: however they are cut, the digest is
// that of all of them. Unlike Sha256Hasher, which keeps its fields apart. Not thread-safe.
class Sha256Stream {
 public:
  Sha256Stream();
  void Add(absl::string_view bytes);
  // 32 bytes. Once; the stream is spent.
  std::string Finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace handrail::crypto

#endif  // HANDRAIL_COMMON_CRYPTO_SHA256_STREAM_H_
