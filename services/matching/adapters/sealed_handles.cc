#include "services/matching/adapters/sealed_handles.h"

#include "absl/strings/str_cat.h"
#include "common/crypto/hash.h"

namespace handrail::matching {
namespace {

constexpr size_t kContentBytes = 2 * RawId::kBytes + 3 * 8;

crypto::SecretKey DerivedKey(const crypto::KeyRing& ring, absl::string_view purpose) {
  std::string bytes = crypto::HmacSha256(ring.index_key().Reveal(),
                                         absl::StrCat("handrail-derived-key-v1\n", purpose));
  crypto::SecretKey key = *crypto::SecretKey::FromBytes(bytes);  // HMAC-SHA-256 gives 32 bytes
  crypto::Wipe(bytes);
  return key;
}

void AppendNumber(uint64_t value, std::string& out) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

uint64_t NumberAt(absl::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

}  // namespace

SealedHandles::SealedHandles(const crypto::KeyRing& ring, Random& random)
    : codec_(DerivedKey(ring, "matching/candidate-handles"), "matching/candidate"),
      random_(random) {}

std::string SealedHandles::Make(const MemberId& caller, const Handle& handle) const {
  std::string content = absl::StrCat(handle.ticket.Bytes(), handle.sponsor.Bytes());
  AppendNumber(handle.list, content);
  AppendNumber(static_cast<uint64_t>(absl::ToUnixSeconds(handle.expire_time)), content);
  AppendNumber(handle.told.bits(), content);
  return codec_.Make(caller.Bytes(), content, random_);
}

std::optional<CandidateHandles::Handle> SealedHandles::Read(const MemberId& caller,
                                                            absl::string_view text) const {
  const auto opened = codec_.Open(caller.Bytes(), text);
  if (!opened.has_value() || opened->size() != kContentBytes) return std::nullopt;
  const absl::string_view content = *opened;
  const auto ticket = TicketId::FromBytes(content.substr(0, RawId::kBytes));
  const auto sponsor = MemberId::FromBytes(content.substr(RawId::kBytes, RawId::kBytes));
  if (!ticket.ok() || !sponsor.ok()) return std::nullopt;
  Handle handle;
  handle.ticket = *ticket;
  handle.sponsor = *sponsor;
  handle.list = NumberAt(content.substr(2 * RawId::kBytes));
  handle.expire_time =
      absl::FromUnixSeconds(static_cast<int64_t>(NumberAt(content.substr(2 * RawId::kBytes + 8))));
  handle.told = EnumSet<MatchReason>::FromBits(
      static_cast<uint32_t>(NumberAt(content.substr(2 * RawId::kBytes + 16))));
  return handle;
}

std::function<std::string(int64_t day, const MemberId& sponsor)> MakeSeenHash(
    const crypto::KeyRing& ring) {
  return [&ring](int64_t day, const MemberId& sponsor) {
    std::string input;
    crypto::AppendField(input, "matching/candidates-seen/v1");
    AppendNumber(static_cast<uint64_t>(day), input);
    crypto::AppendField(input, sponsor.Bytes());
    return crypto::HmacSha256(ring.index_key().Reveal(), input).substr(0, 16);
  };
}

}  // namespace handrail::matching
