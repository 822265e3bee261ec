#include "services/messaging/domain/franking.h"

#include "absl/strings/str_cat.h"

namespace handrail::messaging {
namespace {

constexpr absl::string_view kLabel = "handrail/franking-stamp/v1";

std::string EightBytes(int64_t number) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(static_cast<uint64_t>(number) >> shift));
  }
  return bytes;
}

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
