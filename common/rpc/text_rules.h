#ifndef HANDRAIL_COMMON_RPC_TEXT_RULES_H_
#define HANDRAIL_COMMON_RPC_TEXT_RULES_H_

#include <string>

#include "absl/strings/string_view.h"

// What single texts of a request may be; the validator says which field needs which.
namespace handrail::rpc {

// Text as every request field wants it: valid UTF-8 without control, bidirectional-control, other
// invisible, private or unassigned characters. Replaces `text` by its Unicode NFC form. False when
// it must be refused.
bool NormalizeText(std::string* text);

// `<collection>/<32 lower-case hexadecimal digits>`.
bool IsResourceName(absl::string_view text, absl::string_view collection);

// 1 to 64 of A-Z, a-z, 0-9, '-' and '_'.
bool IsRequestId(absl::string_view text);

// A zone of the IANA database that is installed here. Only names of a fixed list ever reach the
// file system or the zone cache, which never forgets.
bool IsTimeZone(absl::string_view text);

// BCP 47: language, then script, region and variants where there are any ("es", "pt-BR",
// "zh-Hant-TW").
bool IsLanguageTag(absl::string_view text);

// ISO 3166-1 alpha-2, upper case.
bool IsCountry(absl::string_view text);

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_TEXT_RULES_H_
