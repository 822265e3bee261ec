// Key sets (JWKS) as profiles publishes them and the other services fetch them.

#include "common/crypto/key_set.h"
#include "common/testing/fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail;
  const auto keys = crypto::ParseKeySet(testing::FuzzText(data, size));
  if (!keys.ok()) {
    FUZZ_CHECK(keys.status().code() == absl::StatusCode::kInvalidArgument);
    return 0;
  }
  FUZZ_CHECK(keys->size() <= 64);
  for (const auto& [key_id, key] : *keys) {
    FUZZ_CHECK(crypto::IsValidKeyId(key_id));
    FUZZ_CHECK(crypto::IsValidKeyId(crypto::KeyIdOf(key)));
  }
  const auto again = crypto::ParseKeySet(crypto::EncodeKeySet(*keys));
  FUZZ_CHECK(again.ok() && *again == *keys);
  return 0;
}
