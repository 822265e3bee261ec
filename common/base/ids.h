#ifndef HANDRAIL_COMMON_BASE_IDS_H_
#define HANDRAIL_COMMON_BASE_IDS_H_

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/random.h"

namespace handrail {

// 128 bits that name one thing. Written as 32 lower-case hexadecimal digits, stored in SQL as 16
// bytes, shown in the API as a resource name, `<collection>/<32 digits>` (AIP-122).
// Random where people other than the owner may see them; time-ordered (UUIDv7, RFC 9562) inside.
class RawId {
 public:
  static constexpr size_t kBytes = 16;

  constexpr RawId() = default;

  bool IsZero() const { return bytes_ == std::array<uint8_t, kBytes>{}; }
  // The 16 bytes, for SQL.
  absl::string_view Bytes() const {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }
  std::string ToString() const;  // 32 lower-case hexadecimal digits

  friend auto operator<=>(const RawId&, const RawId&) = default;
  template <typename H>
  friend H AbslHashValue(H state, const RawId& id) {
    return H::combine(std::move(state), id.bytes_);
  }

 protected:
  void SetRandom(Random& random);
  void SetTimeOrdered(absl::Time now, Random& random);
  bool SetBytes(absl::string_view bytes);  // false unless there are 16
  bool SetHex(absl::string_view digits);   // false unless 32 lower-case hexadecimal digits

 private:
  std::array<uint8_t, kBytes> bytes_{};
};

// INVALID_ARGUMENT, RESOURCE_NAME_INVALID.
absl::Status ResourceNameError(absl::string_view collection);

// `Tag` gives the collection: struct MemberTag { static constexpr absl::string_view kCollection; }.
template <typename Tag>
class Id : public RawId {
 public:
  constexpr Id() = default;

  static Id Random(handrail::Random& random) {
    Id id;
    id.SetRandom(random);
    return id;
  }
  static Id TimeOrdered(absl::Time now, handrail::Random& random) {
    Id id;
    id.SetTimeOrdered(now, random);
    return id;
  }
  // From SQL. An id of another length is our own corruption: DATA_LOSS.
  static absl::StatusOr<Id> FromBytes(absl::string_view bytes) {
    Id id;
    if (!id.SetBytes(bytes)) return absl::DataLossError("an id that is not 16 bytes long");
    return id;
  }
  // From 32 hexadecimal digits. INVALID_ARGUMENT otherwise.
  static absl::StatusOr<Id> Parse(absl::string_view digits) {
    Id id;
    if (!id.SetHex(digits)) return ResourceNameError(Tag::kCollection);
    return id;
  }
  // From `<collection>/<32 digits>`. INVALID_ARGUMENT otherwise.
  static absl::StatusOr<Id> FromName(absl::string_view name) {
    const absl::string_view collection = Tag::kCollection;
    if (name.size() <= collection.size() || name.substr(0, collection.size()) != collection ||
        name[collection.size()] != '/') {
      return ResourceNameError(collection);
    }
    return Parse(name.substr(collection.size() + 1));
  }
  std::string Name() const {
    std::string name(Tag::kCollection);
    name += '/';
    name += ToString();
    return name;
  }
};

#define HANDRAIL_DEFINE_ID(type, collection)                     \
  struct type##Tag {                                             \
    static constexpr absl::string_view kCollection = collection; \
  };                                                             \
  using type = Id<type##Tag>

HANDRAIL_DEFINE_ID(MemberId, "members");
HANDRAIL_DEFINE_ID(DeviceId, "devices");
HANDRAIL_DEFINE_ID(TicketId, "tickets");
HANDRAIL_DEFINE_ID(OfferId, "offers");
HANDRAIL_DEFINE_ID(PairingId, "pairings");
HANDRAIL_DEFINE_ID(ConversationId, "conversations");
HANDRAIL_DEFINE_ID(MessageId, "messages");
HANDRAIL_DEFINE_ID(AttachmentId, "attachments");
HANDRAIL_DEFINE_ID(OutboxId, "outboxEntries");
HANDRAIL_DEFINE_ID(ReceiptId, "consentReceipts");
HANDRAIL_DEFINE_ID(BlockId, "blocks");

#undef HANDRAIL_DEFINE_ID

}  // namespace handrail

#endif  // HANDRAIL_COMMON_BASE_IDS_H_
