#include "services/matching/handlers/page_tokens.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

constexpr int kStandardPage = 50;
constexpr int kLargestPage = 100;

std::string QuestionOf(const Call& call, absl::string_view filter) {
  return absl::StrCat(call.method, "\n", filter);
}

}  // namespace

absl::StatusOr<PageTokens::Request> PageTokens::Read(const Call& call, absl::string_view filter,
                                                     int page_size, absl::string_view token) const {
  Request request;
  request.limit = page_size == 0 ? kStandardPage : std::min(page_size, kLargestPage);
  if (token.empty()) return request;
  ASSIGN_OR_RETURN(const std::string cursor,
                   codec_.Parse(token, call.who.member.Name(), QuestionOf(call, filter)));
  // 16 bytes of id, then the time in decimal digits.
  int64_t micros = 0;
  const absl::string_view view = cursor;
  if (view.size() <= RawId::kBytes || !absl::SimpleAtoi(view.substr(RawId::kBytes), &micros)) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kPageTokenInvalid)
        .Message("the page token is not of this list");
  }
  request.after =
      PageStart{absl::FromUnixMicros(micros), *MemberId::FromBytes(view.substr(0, RawId::kBytes))};
  return request;
}

std::string PageTokens::Make(const Call& call, absl::string_view filter,
                             const PageStart& start) const {
  return codec_.Make(call.who.member.Name(), QuestionOf(call, filter),
                     absl::StrCat(start.id.Bytes(), absl::ToUnixMicros(start.create_time)));
}

}  // namespace handrail::matching
