// Ids and resource names: one id has one spelling, and whatever is accepted spells itself back.

#include "common/base/ids.h"
#include "common/testing/fuzzing.h"

namespace handrail {
namespace {

template <typename IdType>
void Try(absl::string_view text) {
  if (const auto id = IdType::FromName(text); id.ok()) {
    FUZZ_CHECK(id->Name() == text);
    FUZZ_CHECK(*IdType::Parse(id->ToString()) == *id);
  }
  if (const auto id = IdType::Parse(text); id.ok()) {
    FUZZ_CHECK(id->ToString() == text);
    FUZZ_CHECK(*IdType::FromName(id->Name()) == *id);
    FUZZ_CHECK(*IdType::FromBytes(id->Bytes()) == *id);
  }
  if (const auto id = IdType::FromBytes(text); id.ok()) FUZZ_CHECK(id->Bytes() == text);
}

}  // namespace
}  // namespace handrail

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail;
  const absl::string_view text = testing::FuzzText(data, size);
  Try<MemberId>(text);
  Try<TicketId>(text);
  Try<ConversationId>(text);
  Try<ReceiptId>(text);
  return 0;
}
