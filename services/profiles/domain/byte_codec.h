#ifndef HANDRAIL_SERVICES_PROFILES_DOMAIN_BYTE_CODEC_H_
#define HANDRAIL_SERVICES_PROFILES_DOMAIN_BYTE_CODEC_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/profiles/domain/types.h"

namespace handrail::profiles {

// The bytes in which answers and audiences are stored, always enciphered: a format number, then
// fields one after the other, integers as 8 bytes, texts after their length. Decoding what was not
// written by the encoder of the same type gives DATA_LOSS / DATA_CORRUPT.
std::string Encode(const Device& device);
std::string Encode(const Profile& profile);
std::string Encode(const ConsentReceipt& receipt);
std::string Encode(const Block& block);
std::string Encode(const AvoidedMember& avoided);
std::string EncodeAudiences(const std::map<std::string, Audience>& audiences);

absl::Status Decode(absl::string_view bytes, Device& device);
absl::Status Decode(absl::string_view bytes, Profile& profile);
absl::Status Decode(absl::string_view bytes, ConsentReceipt& receipt);
absl::Status Decode(absl::string_view bytes, Block& block);
absl::Status Decode(absl::string_view bytes, AvoidedMember& avoided);
absl::StatusOr<std::map<std::string, Audience>> DecodeAudiences(absl::string_view bytes);

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_DOMAIN_BYTE_CODEC_H_
