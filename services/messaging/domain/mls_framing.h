#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_MLS_FRAMING_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_MLS_FRAMING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// The public framing of MLS messages (RFC 9420 §6 and §12.4.3), which is all that a delivery
// service needs to see: for which group and epoch a message is, and whether it is a commit. What is
// enciphered stays opaque, signatures are not verified, and nothing behind the framing is read.
//
// A message is read whole or refused with INVALID_ARGUMENT / FIELD_INVALID; the text of the error
// names the part at fault and quotes nothing of it. Views point into the input. Thread-safe.
namespace handrail::messaging {

// RFC 9420 §17.2. GroupInfo (4) is never sent as a message here.
enum class MlsWireFormat : uint16_t {
  kPublicMessage = 1,
  kPrivateMessage = 2,
  kWelcome = 3,
  kKeyPackage = 5,
};

// RFC 9420 §6.
enum class MlsContentType : uint8_t { kApplication = 1, kProposal = 2, kCommit = 3 };

// Who wrote a public message. The sender of a private one is enciphered.
enum class MlsSender : uint8_t {
  kHidden = 0,
  kMember = 1,
  kExternal = 2,
  kNewMemberProposal = 3,
  kNewMemberCommit = 4,
};

inline constexpr size_t kMaxMlsGroupIdBytes = 64;
inline constexpr size_t kMaxMlsAuthenticatedDataBytes = 1024;
// A Welcome names at most as many key packages as a conversation has devices.
inline constexpr size_t kMaxWelcomeRecipients = 32;

// The framing of a PublicMessage or PrivateMessage.
struct MlsFrame {
  MlsWireFormat wire_format = MlsWireFormat::kPrivateMessage;
  absl::string_view group_id;  // 1..kMaxMlsGroupIdBytes bytes
  uint64_t epoch = 0;
  MlsContentType content_type = MlsContentType::kApplication;
  MlsSender sender = MlsSender::kHidden;
  absl::string_view authenticated_data;
};

struct MlsWelcome {
  uint16_t cipher_suite = 0;
  // KeyPackageRefs of those who are invited, 1..kMaxWelcomeRecipients, no two the same.
  std::vector<absl::string_view> recipients;
};

struct MlsKeyPackage {
  uint16_t cipher_suite = 0;
  absl::string_view init_key;
  // Of the leaf node: whose package this says it is. Only basic credentials are read (RFC 9420
  // §5.3).
  absl::string_view signature_key;
  absl::string_view identity;
  // Between which the package may be used, in seconds since 1970 (RFC 9420 §7.2).
  uint64_t not_before = 0;
  uint64_t not_after = 0;
  // The KeyPackage without the MLSMessage header: what its reference is a hash of.
  absl::string_view body;
};

// The wire format of an MLSMessage; INVALID_ARGUMENT unless it is one of ours in version 1.0.
absl::StatusOr<MlsWireFormat> ParseMlsWireFormat(absl::string_view message);
// A message that a group's members send each other. Application content is refused in a
// PublicMessage (RFC 9420 §6: it must be enciphered).
absl::StatusOr<MlsFrame> ParseMlsFrame(absl::string_view message);
absl::StatusOr<MlsWelcome> ParseMlsWelcome(absl::string_view message);
absl::StatusOr<MlsKeyPackage> ParseMlsKeyPackage(absl::string_view message);

// What the suite's hash turns into a KeyPackageRef (RFC 9420 §5.2, RefHashInput). `body` is
// MlsKeyPackage::body, at most 2^30 - 1 bytes.
std::string KeyPackageRefInput(absl::string_view body);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_MLS_FRAMING_H_
