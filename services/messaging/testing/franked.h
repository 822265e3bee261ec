#ifndef HANDRAIL_SERVICES_MESSAGING_TESTING_FRANKED_H_
#define HANDRAIL_SERVICES_MESSAGING_TESTING_FRANKED_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/crypto/derived_keys.h"
#include "common/crypto/hash.h"
#include "services/messaging/adapters/hmac_franker.h"
#include "services/messaging/domain/franking.h"
#include "services/messaging/testing/mls_bytes.h"

// Messages that commit to their content, as a client makes them.
namespace handrail::messaging {

// Changes one bit.
inline void Flip(char& byte) { byte = static_cast<char>(byte ^ 1); }

// A key ring's text with these keys, the newest last.
inline std::string RingText(const std::vector<std::string>& ids) {
  std::string text = absl::StrCat("index ", std::string(64, '0'), "\n");
  for (const std::string& id : ids) {
    // Of each id its own.
    std::string digits;
    for (const char c : crypto::Sha256(id))
      digits += absl::StrCat(absl::Hex(c & 0xff, absl::kZeroPad2));
    absl::StrAppend(&text, id, " ", digits, "\n");
  }
  return text;
}

inline HmacFranker FrankerOf(const std::vector<std::string>& ids) {
  return HmacFranker(*crypto::ParseDerivedKeys(RingText(ids), kStampPurpose));
}

inline std::string FrankingKeyOf(absl::string_view content) {
  return crypto::Sha256(absl::StrCat("the franking key of ", content));
}
inline std::string CommitmentTo(absl::string_view content) {
  return crypto::HmacSha256(FrankingKeyOf(content), content);
}
inline std::string AuthenticatedDataFor(absl::string_view content) {
  return absl::StrCat("\1", CommitmentTo(content));
}
// As it is sent in an epoch of a group.
inline std::string FrankedBytes(absl::string_view content, int64_t epoch = 1,
                                absl::string_view group = "group") {
  return MlsPrivateBytes(MlsContentType::kApplication, group, epoch, "secret",
                         AuthenticatedDataFor(content));
}

// What the reader of an envelope shows of it; its content is known from elsewhere.
inline ReportedMessage ShownOf(const Envelope& envelope, absl::string_view content) {
  ReportedMessage message;
  message.stamped = {CommitmentTo(content), envelope.sender,   envelope.sender_device,
                     envelope.conversation, envelope.sequence, envelope.create_time,
                     NoCommitment()};
  message.content = std::string(content);
  message.franking_key = FrankingKeyOf(content);
  if (!envelope.franking.has_value()) return message;
  message.stamped.previous_commitment = envelope.franking->previous_commitment;
  message.stamp = envelope.franking->stamp;
  message.key_id = envelope.franking->key_id;
  return message;
}

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_TESTING_FRANKED_H_
