// Stored answers and audiences of profiles: what can be read at all is written again as what was
// read.

#include "common/testing/fuzzing.h"
#include "services/profiles/domain/byte_codec.h"

namespace handrail::profiles {
namespace {

template <typename T>
void Try(absl::string_view bytes) {
  T value;
  if (const absl::Status status = Decode(bytes, value); !status.ok()) {
    FUZZ_CHECK(status.code() == absl::StatusCode::kDataLoss);
    return;
  }
  T again;
  FUZZ_CHECK(Decode(Encode(value), again).ok());
  FUZZ_CHECK(again == value);
}

}  // namespace
}  // namespace handrail::profiles

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail;
  const absl::string_view bytes = testing::FuzzText(data, size);
  profiles::Try<profiles::Device>(bytes);
  profiles::Try<profiles::Profile>(bytes);
  profiles::Try<profiles::ConsentReceipt>(bytes);
  profiles::Try<profiles::Block>(bytes);
  profiles::Try<profiles::AvoidedMember>(bytes);
  if (const auto audiences = profiles::DecodeAudiences(bytes); audiences.ok()) {
    const auto again = profiles::DecodeAudiences(profiles::EncodeAudiences(*audiences));
    FUZZ_CHECK(again.ok() && *again == *audiences);
  }
  return 0;
}
