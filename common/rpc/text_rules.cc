#include "common/rpc/text_rules.h"

#include <unicode/bytestream.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/strenum.h>
#include <unicode/timezone.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"

namespace handrail::rpc {
namespace {

bool IsVisible(UChar32 character) {
  switch (u_charType(character)) {
    case U_CONTROL_CHAR:
    case U_FORMAT_CHAR:  // bidirectional controls, zero-width characters, tags
    case U_UNASSIGNED:   // non-characters, too
    case U_PRIVATE_USE_CHAR:
    case U_SURROGATE:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR: return false;
    default: break;
  }
  // Variation selectors choose between text and picture of one character, and are common in emoji.
  if (character >= 0xFE00 && character <= 0xFE0F) return true;
  return !u_hasBinaryProperty(character, UCHAR_DEFAULT_IGNORABLE_CODE_POINT);
}

absl::flat_hash_set<std::string> LoadableTimeZones() {
  absl::flat_hash_set<std::string> zones;
  UErrorCode error = U_ZERO_ERROR;
  const std::unique_ptr<icu::StringEnumeration> ids(
      icu::TimeZone::createTimeZoneIDEnumeration(UCAL_ZONE_TYPE_ANY, nullptr, nullptr, error));
  if (U_FAILURE(error)) return zones;
  int32_t length = 0;
  while (const char* id = ids->next(&length, error)) {
    if (U_FAILURE(error)) break;
    zones.emplace(id, static_cast<size_t>(length));
  }
  return zones;
}

bool IsAll(absl::string_view text, bool (*predicate)(unsigned char)) {
  return std::all_of(text.begin(), text.end(),
                     [predicate](char c) { return predicate(static_cast<unsigned char>(c)); });
}

}  // namespace

bool NormalizeText(std::string* text) {
  if (std::all_of(text->begin(), text->end(), [](char c) { return c >= 0x20 && c < 0x7f; })) {
    return true;  // most text, and NFC already
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(text->data());
  const auto size = static_cast<int32_t>(text->size());
  for (int32_t i = 0; i < size;) {
    UChar32 character;
    U8_NEXT(bytes, i, size, character);
    if (character < 0 || !IsVisible(character)) return false;
  }
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(error);
  if (U_FAILURE(error)) return false;
  const icu::StringPiece piece(text->data(), size);
  if (nfc->isNormalizedUTF8(piece, error) && U_SUCCESS(error)) return true;
  std::string normalized;
  icu::StringByteSink<std::string> sink(&normalized);
  error = U_ZERO_ERROR;
  nfc->normalizeUTF8(0, piece, sink, nullptr, error);
  if (U_FAILURE(error)) return false;
  *text = std::move(normalized);
  return true;
}

bool IsResourceName(absl::string_view text, absl::string_view collection) {
  constexpr size_t kDigits = 32;
  if (text.size() != collection.size() + 1 + kDigits) return false;
  if (text.substr(0, collection.size()) != collection || text[collection.size()] != '/') {
    return false;
  }
  const absl::string_view digits = text.substr(collection.size() + 1);
  return std::all_of(digits.begin(), digits.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsRequestId(absl::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
  });
}

bool IsTimeZone(absl::string_view text) {
  static const auto& zones = *new absl::flat_hash_set<std::string>(LoadableTimeZones());
  if (!zones.contains(text)) return false;
  absl::TimeZone zone;
  return absl::LoadTimeZone(text, &zone);
}

bool IsLanguageTag(absl::string_view text) {
  if (text.size() > 35) return false;  // the longest that BCP 47 advises to expect
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '-');
  if (parts[0].size() < 2 || parts[0].size() > 3 || !IsAll(parts[0], absl::ascii_isalpha)) {
    return false;
  }
  size_t next = 1;
  if (next < parts.size() && parts[next].size() == 4 && IsAll(parts[next], absl::ascii_isalpha)) {
    ++next;  // script
  }
  if (next < parts.size() &&
      ((parts[next].size() == 2 && IsAll(parts[next], absl::ascii_isalpha)) ||
       (parts[next].size() == 3 && IsAll(parts[next], absl::ascii_isdigit)))) {
    ++next;  // region
  }
  for (; next < parts.size(); ++next) {  // variants
    const bool sized = (parts[next].size() >= 5 && parts[next].size() <= 8) ||
                       (parts[next].size() == 4 &&
                        absl::ascii_isdigit(static_cast<unsigned char>(parts[next][0])));
    if (!sized || !IsAll(parts[next], absl::ascii_isalnum)) return false;
  }
  return true;
}

bool IsCountry(absl::string_view text) {
  static const auto& countries = *new absl::flat_hash_set<std::string>([] {
    absl::flat_hash_set<std::string> codes;
    for (const char* const* code = icu::Locale::getISOCountries(); *code != nullptr; ++code) {
      codes.emplace(*code);
    }
    return codes;
  }());
  return countries.contains(text);
}

}  // namespace handrail::rpc
