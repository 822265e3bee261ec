#include "services/messaging/domain/franking.h"

#include "absl/strings/str_cat.h"
#include "common/base/big_endian.h"

namespace handrail::messaging {
namespace {

constexpr absl::string_view kLabel = "handrail/franking-stamp/v1";

}  // namespace

absl::string_view CommitmentIn(absl::string_view authenticated_data) {
  if (authenticated_data.size() != 1 + kCommitmentBytes) return {};
  if (static_cast<uint8_t>(authenticated_data[0]) != kFrankingVersion) return {};
  return authenticated_data.substr(1);
}

std::string NoCommitment() { return std::string(kCommitmentBytes, '\0'); }

std::string StampInput(const StampedMessage& message) {
  return absl::StrCat(
      kLabel, message.commitment, message.sender.Bytes(), message.sender_device.Bytes(),
      message.conversation.Bytes(), EightBytes(message.sequence),
      EightBytes(absl::ToUnixMicros(message.create_time)), message.previous_commitment);
}

}  // namespace handrail::messaging
