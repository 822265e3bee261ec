#include "common/crypto/page_token.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/base64url.h"
#include "common/crypto/hash.h"

namespace handrail::crypto {
namespace {

constexpr char kVersion = 1;

absl::Status InvalidPageToken() {
  return Error(absl::StatusCode::kInvalidArgument, reason::kPageTokenInvalid)
      .Message("page_token: not one that this list gave; start again from the first page")
      .Field("page_token", "not one that this list gave");
}

}  // namespace

std::string PageTokenCodec::Mac(absl::string_view caller, absl::string_view question,
                                absl::string_view cursor) const {
  std::string input;
  AppendField(input, "handrail/page-token/v1");
  AppendField(input, caller);
  AppendField(input, question);
  AppendField(input, cursor);
  return HmacSha256(key_.Reveal(), input);
}

std::string PageTokenCodec::Make(absl::string_view caller, absl::string_view question,
                                 absl::string_view cursor) const {
  std::string token(1, kVersion);
  absl::StrAppend(&token, Mac(caller, question, cursor), cursor);
  return Base64UrlEncode(token);
}

absl::StatusOr<std::string> PageTokenCodec::Parse(absl::string_view token, absl::string_view caller,
                                                  absl::string_view question) const {
  constexpr size_t kOverhead = 1 + kSha256Bytes;
  if (token.size() > (kOverhead + kMaxPageCursorBytes) * 4 / 3 + 4) return InvalidPageToken();
  const auto decoded = Base64UrlDecode(token);
  if (!decoded.has_value() || decoded->size() < kOverhead || (*decoded)[0] != kVersion) {
    return InvalidPageToken();
  }
  const std::string cursor = decoded->substr(kOverhead);
  if (!ConstantTimeEquals(absl::string_view(*decoded).substr(1, kSha256Bytes),
                          Mac(caller, question, cursor))) {
    return InvalidPageToken();
  }
  return cursor;
}

}  // namespace handrail::crypto
