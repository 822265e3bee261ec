#ifndef HANDRAIL_COMMON_CRYPTO_PAGE_TOKEN_H_
#define HANDRAIL_COMMON_CRYPTO_PAGE_TOKEN_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/crypto/secret_key.h"

namespace handrail::crypto {

inline constexpr size_t kMaxPageCursorBytes = 512;

// Page tokens of list methods (AIP-158): a cursor, bound by HMAC-SHA-256 to the caller and to the
// question, so that a token of one list is refused on another. Such a token authorises nothing: the
// method checks the caller's rights as if it were the first page. The cursor can be read by its
// owner, so it holds nothing that the page before did not show. Thread-safe.
class PageTokenCodec {
 public:
  explicit PageTokenCodec(SecretKey key) : key_(std::move(key)) {}

  // `caller` names who asks, `question` is the method and a hash of the filter and the order.
  // `cursor` has at most kMaxPageCursorBytes, any bytes.
  std::string Make(absl::string_view caller, absl::string_view question,
                   absl::string_view cursor) const;
  // The cursor. INVALID_ARGUMENT / PAGE_TOKEN_INVALID for anything that Make did not give for this
  // caller and question.
  absl::StatusOr<std::string> Parse(absl::string_view token, absl::string_view caller,
                                    absl::string_view question) const;

 private:
  std::string Mac(absl::string_view caller, absl::string_view question,
                  absl::string_view cursor) const;
  const SecretKey key_;
};

}  // namespace handrail::crypto

#endif  // HANDRAIL_COMMON_CRYPTO_PAGE_TOKEN_H_
