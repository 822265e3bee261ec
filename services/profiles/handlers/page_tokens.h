#ifndef HANDRAIL_SERVICES_PROFILES_HANDLERS_PAGE_TOKENS_H_
#define HANDRAIL_SERVICES_PROFILES_HANDLERS_PAGE_TOKENS_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/call.h"
#include "common/crypto/page_token.h"
#include "services/profiles/domain/types.h"

namespace handrail::profiles {

struct PageSizes {
  int standard = 50;  // when none was asked for
  int largest = 100;
};

// Page cursors as the opaque tokens of the API, bound to caller, method and filter. Thread-safe.
class PageTokens {
 public:
  explicit PageTokens(crypto::SecretKey key) : codec_(std::move(key)) {}

  // INVALID_ARGUMENT / PAGE_TOKEN_INVALID for a token of another caller, method or filter.
  absl::StatusOr<PageRequest> Read(const Call& call, absl::string_view filter, int page_size,
                                   absl::string_view token, PageSizes sizes = PageSizes()) const;
  // Empty after the last page.
  std::string Write(const Call& call, absl::string_view filter,
                    const std::optional<PageCursor>& next) const;

 private:
  const crypto::PageTokenCodec codec_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_HANDLERS_PAGE_TOKENS_H_
