// Page tokens: a foreign text is never one, a cursor of any bytes comes back to who may have it.

#include "common/crypto/page_token.h"
#include "common/testing/fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail;
  static const crypto::PageTokenCodec codec(
      *crypto::SecretKey::FromBytes(std::string(crypto::SecretKey::kBytes, 'k')));
  const absl::string_view text = testing::FuzzText(data, size);
  if (const auto cursor = codec.Parse(text, "caller", "question"); cursor.ok()) {
    FUZZ_CHECK(codec.Make("caller", "question", *cursor) == text);
  } else {
    FUZZ_CHECK(cursor.status().code() == absl::StatusCode::kInvalidArgument);
  }
  const absl::string_view cursor = text.substr(0, crypto::kMaxPageCursorBytes);
  const std::string token = codec.Make("caller", "question", cursor);
  const auto back = codec.Parse(token, "caller", "question");
  FUZZ_CHECK(back.ok() && *back == cursor);
  FUZZ_CHECK(!codec.Parse(token, "callerq", "uestion").ok());
  FUZZ_CHECK(!codec.Parse(token + "A", "caller", "question").ok());
  return 0;
}
