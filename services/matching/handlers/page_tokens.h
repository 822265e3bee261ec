#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_PAGE_TOKENS_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_PAGE_TOKENS_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/call.h"
#include "common/crypto/page_token.h"
#include "services/matching/domain/ledger.h"

namespace handrail::matching {

// Where a page starts, as the opaque tokens of the API, bound to caller, method and filter.
// Thread-safe.
class PageTokens {
 public:
  explicit PageTokens(crypto::SecretKey key) : codec_(std::move(key)) {}

  struct Request {
    int limit = 50;
    std::optional<PageStart> after;
  };
  // INVALID_ARGUMENT / PAGE_TOKEN_INVALID for a token of another caller, method or filter.
  absl::StatusOr<Request> Read(const Call& call, absl::string_view filter, int page_size,
                               absl::string_view token) const;
  // The token of the page after this one; empty when there is none.
  template <typename T>
  std::string Write(const Call& call, absl::string_view filter, const Page<T>& page) const {
    if (!page.more || page.items.empty()) return "";
    return Make(call, filter, {page.items.back().create_time, page.items.back().id});
  }

 private:
  std::string Make(const Call& call, absl::string_view filter, const PageStart& start) const;
  const crypto::PageTokenCodec codec_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_PAGE_TOKENS_H_
