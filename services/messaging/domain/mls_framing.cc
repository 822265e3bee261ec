#include "services/messaging/domain/mls_framing.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/macros.h"
#include "common/base/status.h"

namespace handrail::messaging {
namespace {

constexpr uint64_t kMls10 = 1;
constexpr uint64_t kBasicCredential = 1;
constexpr uint64_t kLeafOfKeyPackage = 1;

absl::Status Malformed(absl::string_view part) {
  return Error(absl::StatusCode::kInvalidArgument, reason::kFieldInvalid)
      .Message(absl::StrCat("this is not a well-formed MLS message: ", part));
}

// Takes the parts of RFC 9420 §2 off the front of the input.
class Reader {
 public:
  explicit Reader(absl::string_view input) : left_(input) {}

  absl::StatusOr<uint64_t> Number(size_t bytes, absl::string_view part) {
    if (left_.size() < bytes) return Malformed(part);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i) value = value << 8 | static_cast<uint8_t>(left_[i]);
    left_.remove_prefix(bytes);
    return value;
  }

  // A vector `opaque x<V>`: its length takes 1, 2 or 4 bytes, and no more of them than it needs
  // (RFC 9420 §2.1.2).
  absl::StatusOr<absl::string_view> Vector(absl::string_view part) {
    if (left_.empty()) return Malformed(part);
    const unsigned log_bytes = static_cast<uint8_t>(left_[0]) >> 6;
    if (log_bytes == 3) return Malformed(part);
    const size_t bytes = size_t{1} << log_bytes;
    ASSIGN_OR_RETURN(uint64_t size, Number(bytes, part));
    // The two bits that tell the length of the length are not part of it.
    constexpr uint64_t kMasks[] = {0x3f, 0x3fff, 0x3fffffff};
    size &= kMasks[log_bytes];
    const bool is_shortest = bytes == 1 || (bytes == 2 && size >= 64) || size >= 16384;
    if (!is_shortest || size > left_.size()) return Malformed(part);
    const absl::string_view vector = left_.substr(0, size);
    left_.remove_prefix(size);
    return vector;
  }

  absl::string_view left() const { return left_; }

 private:
  absl::string_view left_;
};

// The header of an MLSMessage.
absl::StatusOr<MlsWireFormat> ReadHeader(Reader& reader) {
  ASSIGN_OR_RETURN(const uint64_t version, reader.Number(2, "version"));
  if (version != kMls10) return Malformed("the version is not MLS 1.0");
  ASSIGN_OR_RETURN(const uint64_t format, reader.Number(2, "wire_format"));
  switch (static_cast<MlsWireFormat>(format)) {
    case MlsWireFormat::kPublicMessage:
    case MlsWireFormat::kPrivateMessage:
    case MlsWireFormat::kWelcome:
    case MlsWireFormat::kKeyPackage: return static_cast<MlsWireFormat>(format);
  }
  return Malformed("wire_format");
}

absl::Status ExpectHeader(Reader& reader, MlsWireFormat expected) {
  ASSIGN_OR_RETURN(const MlsWireFormat format, ReadHeader(reader));
  return format == expected ? absl::OkStatus() : Malformed("another wire_format is expected here");
}

absl::Status ReadGroupAndEpoch(Reader& reader, MlsFrame& frame) {
  ASSIGN_OR_RETURN(frame.group_id, reader.Vector("group_id"));
  if (frame.group_id.empty() || frame.group_id.size() > kMaxMlsGroupIdBytes) {
    return Malformed("group_id");
  }
  ASSIGN_OR_RETURN(frame.epoch, reader.Number(8, "epoch"));
  return absl::OkStatus();
}

absl::Status ReadSender(Reader& reader, MlsFrame& frame) {
  ASSIGN_OR_RETURN(const uint64_t sender, reader.Number(1, "sender_type"));
  if (sender < 1 || sender > 4) return Malformed("sender_type");
  frame.sender = static_cast<MlsSender>(sender);
  if (frame.sender == MlsSender::kMember || frame.sender == MlsSender::kExternal) {
    RETURN_IF_ERROR(reader.Number(4, "sender index").status());
  }
  return absl::OkStatus();
}

absl::Status ReadAuthenticatedData(Reader& reader, MlsFrame& frame) {
  ASSIGN_OR_RETURN(frame.authenticated_data, reader.Vector("authenticated_data"));
  if (frame.authenticated_data.size() > kMaxMlsAuthenticatedDataBytes) {
    return Malformed("authenticated_data");
  }
  return absl::OkStatus();
}

absl::Status ReadContentType(Reader& reader, MlsFrame& frame) {
  ASSIGN_OR_RETURN(const uint64_t type, reader.Number(1, "content_type"));
  if (type < 1 || type > 3) return Malformed("content_type");
  frame.content_type = static_cast<MlsContentType>(type);
  return absl::OkStatus();
}

// RFC 9420 §6: who may send which content, in the open.
absl::Status CheckPublic(const MlsFrame& frame) {
  if (frame.content_type == MlsContentType::kApplication) {
    return Malformed("application content must be a PrivateMessage");
  }
  const bool commits = frame.content_type == MlsContentType::kCommit;
  if (frame.sender == MlsSender::kNewMemberCommit && !commits) return Malformed("sender_type");
  if (commits && frame.sender != MlsSender::kMember && frame.sender != MlsSender::kNewMemberCommit)
    return Malformed("sender_type");
  return absl::OkStatus();
}

absl::Status ReadPrivate(Reader& reader, MlsFrame& frame) {
  RETURN_IF_ERROR(ReadContentType(reader, frame));
  RETURN_IF_ERROR(ReadAuthenticatedData(reader, frame));
  RETURN_IF_ERROR(reader.Vector("encrypted_sender_data").status());
  ASSIGN_OR_RETURN(const absl::string_view ciphertext, reader.Vector("ciphertext"));
  if (ciphertext.empty()) return Malformed("ciphertext");
  return reader.left().empty() ? absl::OkStatus() : Malformed("bytes behind its end");
}

absl::Status ReadPublic(Reader& reader, MlsFrame& frame) {
  RETURN_IF_ERROR(ReadSender(reader, frame));
  RETURN_IF_ERROR(ReadAuthenticatedData(reader, frame));
  RETURN_IF_ERROR(ReadContentType(reader, frame));
  RETURN_IF_ERROR(CheckPublic(frame));
  // Content, signature and tags follow, which members verify.
  return reader.left().empty() ? Malformed("content") : absl::OkStatus();
}

// RFC 9420 §7.2.
absl::Status SkipCapabilities(Reader& reader) {
  for (const char* part : {"versions", "cipher_suites", "extensions", "proposals", "credentials"}) {
    RETURN_IF_ERROR(reader.Vector(part).status());
  }
  return absl::OkStatus();
}

// Minimal length, as RFC 9420 §2.1.2 has it.
void AppendVector(std::string& out, absl::string_view bytes) {
  const size_t size = bytes.size();
  const int more_bytes = size < 64 ? 0 : size < 16384 ? 1 : 3;
  const uint32_t prefix = more_bytes == 0 ? 0 : more_bytes == 1 ? 0x4000u : 0x80000000u;
  const uint32_t length = prefix | static_cast<uint32_t>(size);
  for (int i = more_bytes; i >= 0; --i) out.push_back(static_cast<char>(length >> (8 * i)));
  out.append(bytes.data(), size);
}

}  // namespace

absl::StatusOr<MlsWireFormat> ParseMlsWireFormat(absl::string_view message) {
  Reader reader(message);
  return ReadHeader(reader);
}

absl::StatusOr<MlsFrame> ParseMlsFrame(absl::string_view message) {
  Reader reader(message);
  MlsFrame frame;
  ASSIGN_OR_RETURN(frame.wire_format, ReadHeader(reader));
  switch (frame.wire_format) {
    case MlsWireFormat::kPublicMessage:
      RETURN_IF_ERROR(ReadGroupAndEpoch(reader, frame));
      RETURN_IF_ERROR(ReadPublic(reader, frame));
      return frame;
    case MlsWireFormat::kPrivateMessage:
      RETURN_IF_ERROR(ReadGroupAndEpoch(reader, frame));
      RETURN_IF_ERROR(ReadPrivate(reader, frame));
      return frame;
    case MlsWireFormat::kWelcome:
    case MlsWireFormat::kKeyPackage: break;
  }
  return Malformed("a PublicMessage or PrivateMessage is expected here");
}

absl::StatusOr<MlsWelcome> ParseMlsWelcome(absl::string_view message) {
  Reader reader(message);
  MlsWelcome welcome;
  RETURN_IF_ERROR(ExpectHeader(reader, MlsWireFormat::kWelcome));
  ASSIGN_OR_RETURN(const uint64_t suite, reader.Number(2, "cipher_suite"));
  welcome.cipher_suite = static_cast<uint16_t>(suite);
  ASSIGN_OR_RETURN(const absl::string_view secrets, reader.Vector("secrets"));
  Reader entries(secrets);
  while (!entries.left().empty()) {
    ASSIGN_OR_RETURN(const absl::string_view reference, entries.Vector("new_member"));
    RETURN_IF_ERROR(entries.Vector("kem_output").status());
    RETURN_IF_ERROR(entries.Vector("encrypted secrets").status());
    const auto& known = welcome.recipients;
    if (reference.empty() || known.size() == kMaxWelcomeRecipients ||
        std::find(known.begin(), known.end(), reference) != known.end()) {
      return Malformed("secrets");
    }
    welcome.recipients.push_back(reference);
  }
  if (welcome.recipients.empty()) return Malformed("secrets");
  RETURN_IF_ERROR(reader.Vector("encrypted_group_info").status());
  if (!reader.left().empty()) return Malformed("bytes behind its end");
  return welcome;
}

absl::StatusOr<MlsKeyPackage> ParseMlsKeyPackage(absl::string_view message) {
  Reader reader(message);
  MlsKeyPackage package;
  RETURN_IF_ERROR(ExpectHeader(reader, MlsWireFormat::kKeyPackage));
  package.body = reader.left();
  ASSIGN_OR_RETURN(const uint64_t version, reader.Number(2, "version"));
  if (version != kMls10) return Malformed("the version is not MLS 1.0");
  ASSIGN_OR_RETURN(const uint64_t suite, reader.Number(2, "cipher_suite"));
  package.cipher_suite = static_cast<uint16_t>(suite);
  ASSIGN_OR_RETURN(package.init_key, reader.Vector("init_key"));
  if (package.init_key.empty()) return Malformed("init_key");
  RETURN_IF_ERROR(reader.Vector("encryption_key").status());
  ASSIGN_OR_RETURN(package.signature_key, reader.Vector("signature_key"));
  ASSIGN_OR_RETURN(const uint64_t credential, reader.Number(2, "credential_type"));
  if (credential != kBasicCredential) return Malformed("the credential is not a basic one");
  ASSIGN_OR_RETURN(package.identity, reader.Vector("identity"));
  RETURN_IF_ERROR(SkipCapabilities(reader));
  ASSIGN_OR_RETURN(const uint64_t source, reader.Number(1, "leaf_node_source"));
  if (source != kLeafOfKeyPackage) return Malformed("leaf_node_source");
  ASSIGN_OR_RETURN(package.not_before, reader.Number(8, "lifetime"));
  ASSIGN_OR_RETURN(package.not_after, reader.Number(8, "lifetime"));
  // Extensions and signatures follow, which members verify.
  if (reader.left().empty()) return Malformed("leaf_node");
  return package;
}

std::string KeyPackageRefInput(absl::string_view body) {
  std::string input;
  AppendVector(input, "MLS 1.0 KeyPackage Reference");
  AppendVector(input, body);
  return input;
}

}  // namespace handrail::messaging
