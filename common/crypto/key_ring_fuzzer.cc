// The operator's key ring file: a ring that was accepted wraps and unwraps, and unwraps nothing
// that it did not wrap.

#include "common/crypto/vault.h"
#include "common/testing/fuzzing.h"
#include "common/testing/seeded_random.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail;
  const absl::string_view text = testing::FuzzText(data, size);
  const auto ring = crypto::KeyRing::Parse(text);
  if (!ring.ok()) {
    FUZZ_CHECK(ring.status().code() == absl::StatusCode::kInvalidArgument);
    return 0;
  }
  testing::SeededRandom random(1);
  const auto member = MemberId::Random(random);
  const auto key = crypto::MemberKey::Generate(random);
  const std::string wrapped = ring->Wrap(member, key, random);
  const auto unwrapped = ring->Unwrap(member, wrapped);
  FUZZ_CHECK(unwrapped.ok() && unwrapped->Reveal() == key.Reveal());
  FUZZ_CHECK(!ring->NeedsRewrap(wrapped));
  FUZZ_CHECK(!ring->Unwrap(member, text).ok());
  return 0;
}
