#include "services/profiles/handlers/page_tokens.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::profiles {
namespace {

// Who may use the token again: the person over all devices, or the service.
std::string CallerOf(const Call& call) {
  return call.who.kind == Principal::Kind::kService ? absl::StrCat("service:", call.who.service)
                                                    : call.who.member.Name();
}

std::string QuestionOf(const Call& call, absl::string_view filter) {
  return absl::StrCat(call.method, "\n", filter);
}

}  // namespace

absl::StatusOr<PageRequest> PageTokens::Read(const Call& call, absl::string_view filter,
                                             int page_size, absl::string_view token,
                                             PageSizes sizes) const {
  PageRequest request;
  request.limit = page_size == 0 ? sizes.standard : std::min(page_size, sizes.largest);
  if (token.empty()) return request;
  ASSIGN_OR_RETURN(const std::string cursor,
                   codec_.Parse(token, CallerOf(call), QuestionOf(call, filter)));
  // 16 bytes of id, then the time in decimal digits.
  int64_t micros = 0;
  if (cursor.size() < RawId::kBytes ||
      !absl::SimpleAtoi(absl::string_view(cursor).substr(RawId::kBytes), &micros)) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kPageTokenInvalid)
        .Message("the page token is not of this list");
  }
  request.after = PageCursor{absl::FromUnixMicros(micros), cursor.substr(0, RawId::kBytes)};
  return request;
}

std::string PageTokens::Write(const Call& call, absl::string_view filter,
                              const std::optional<PageCursor>& next) const {
  if (!next.has_value()) return "";
  return codec_.Make(CallerOf(call), QuestionOf(call, filter),
                     absl::StrCat(next->id, absl::ToUnixMicros(next->time)));
}

}  // namespace handrail::profiles
