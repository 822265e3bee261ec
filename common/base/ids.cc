#include "common/base/ids.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail {
namespace {

// -1 for what is not a lower-case hexadecimal digit: one id has one spelling.
int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string RawId::ToString() const { return absl::BytesToHexString(Bytes()); }

void RawId::SetRandom(Random& random) { random.Fill(bytes_.data(), bytes_.size()); }

void RawId::SetTimeOrdered(absl::Time now, Random& random) {
  random.Fill(bytes_.data(), bytes_.size());
  const auto unix_ms = static_cast<uint64_t>(absl::ToUnixMillis(now));
  for (size_t i = 0; i < 6; ++i) {
    bytes_[i] = static_cast<uint8_t>((unix_ms >> (40 - 8 * i)) & 0xff);
  }
  bytes_[6] = static_cast<uint8_t>((bytes_[6] & 0x0f) | 0x70);  // version 7
  bytes_[8] = static_cast<uint8_t>((bytes_[8] & 0x3f) | 0x80);  // variant 10
}

bool RawId::SetBytes(absl::string_view bytes) {
  if (bytes.size() != kBytes) return false;
  std::memcpy(bytes_.data(), bytes.data(), kBytes);
  return true;
}

bool RawId::SetHex(absl::string_view digits) {
  if (digits.size() != 2 * kBytes) return false;
  for (size_t i = 0; i < kBytes; ++i) {
    const int high = HexDigit(digits[2 * i]);
    const int low = HexDigit(digits[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes_[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return true;
}

absl::Status ResourceNameError(absl::string_view collection) {
  return Error(absl::StatusCode::kInvalidArgument, reason::kResourceNameInvalid)
      .Message(absl::StrCat("expected a name of the form ", collection,
                            "/ followed by 32 hexadecimal digits"));
}

}  // namespace handrail
