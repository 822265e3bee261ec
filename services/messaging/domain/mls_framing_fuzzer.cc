// Public framing of MLS: any bytes are read or refused, and what is read lies inside them.

#include <functional>

#include "common/testing/fuzzing.h"
#include "services/messaging/domain/mls_framing.h"

namespace {

bool LiesIn(absl::string_view part, absl::string_view whole) {
  const std::less_equal<const char*> not_after;
  return part.empty() || (not_after(whole.data(), part.data()) &&
                          not_after(part.data() + part.size(), whole.data() + whole.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail::messaging;
  const absl::string_view input = handrail::testing::FuzzText(data, size);
  const auto format = ParseMlsWireFormat(input);
  const auto frame = ParseMlsFrame(input);
  const auto welcome = ParseMlsWelcome(input);
  const auto package = ParseMlsKeyPackage(input);
  // A message is of one kind, the one that its header names.
  FUZZ_CHECK(int{frame.ok()} + int{welcome.ok()} + int{package.ok()} <= 1);
  if (frame.ok()) {
    FUZZ_CHECK(format.ok() && *format == frame->wire_format);
    FUZZ_CHECK(LiesIn(frame->group_id, input) && LiesIn(frame->authenticated_data, input));
    FUZZ_CHECK(!frame->group_id.empty() && frame->group_id.size() <= kMaxMlsGroupIdBytes);
    FUZZ_CHECK(frame->authenticated_data.size() <= kMaxMlsAuthenticatedDataBytes);
  }
  if (welcome.ok()) {
    FUZZ_CHECK(format.ok() && *format == MlsWireFormat::kWelcome);
    FUZZ_CHECK(!welcome->recipients.empty() && welcome->recipients.size() <= kMaxWelcomeRecipients);
    for (const absl::string_view recipient : welcome->recipients) {
      FUZZ_CHECK(LiesIn(recipient, input));
    }
  }
  if (package.ok()) {
    FUZZ_CHECK(format.ok() && *format == MlsWireFormat::kKeyPackage);
    FUZZ_CHECK(LiesIn(package->body, input) && LiesIn(package->init_key, input));
    FUZZ_CHECK(LiesIn(package->signature_key, input) && LiesIn(package->identity, input));
    FUZZ_CHECK(KeyPackageRefInput(package->body).size() > package->body.size());
  }
  return 0;
}
