#ifndef HANDRAIL_COMMON_CRYPTO_BASE64URL_H_
#define HANDRAIL_COMMON_CRYPTO_BASE64URL_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace handrail::crypto {

// Base64url without padding (RFC 4648 §5, as RFC 7515 uses it).
std::string Base64UrlEncode(absl::string_view bytes);

// Strict, unlike absl's: exactly one text decodes to given bytes. Refuses padding, white space, the
// letters + and /, an impossible length, and unused low bits that are not zero; otherwise a signed
// text could be changed without its signature noticing.
std::optional<std::string> Base64UrlDecode(absl::string_view text);

}  // namespace handrail::crypto

#endif  // HANDRAIL_COMMON_CRYPTO_BASE64URL_H_
