// Base64url: any bytes come back, and exactly one text decodes to given bytes.

#include "common/crypto/base64url.h"
#include "common/testing/fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail;
  const absl::string_view text = testing::FuzzText(data, size);
  if (const auto bytes = crypto::Base64UrlDecode(text); bytes.has_value()) {
    FUZZ_CHECK(crypto::Base64UrlEncode(*bytes) == text);
  }
  const auto back = crypto::Base64UrlDecode(crypto::Base64UrlEncode(text));
  FUZZ_CHECK(back.has_value() && *back == text);
  return 0;
}
